"""The doubles that other tests rely on do what they say."""

from __future__ import annotations

import pytest

from launcher.model.effects import Launch, RequestStop, SetTimer, Timer
from launcher.model.events import Event, Exited, Launched, StartAllRequested, Started, StopRequested
from launcher.model.state import Exit, ExitKind, Phase
from launcher.testing import FIRST_PID, Behaviour, FakeClock, FakeHost, FleetRunner, run_history
from tests.launcher.unit.core.plans import CRASH, RETURNED, component, plan_of

API = component("api")


def test_the_clock_only_moves_forward_and_only_when_told() -> None:
    """Time is what the test says, and never runs backwards."""
    clock = FakeClock(5.0)
    assert (clock(), clock()) == (5.0, 5.0)
    clock.move_to(7.0)
    clock.move_to(6.0)
    assert clock() == 7.0


def test_timers_of_a_runner_fire_when_time_passes() -> None:
    """Due timers fire in order and at their own moment; what is due later stays armed."""
    runner = FleetRunner(plan_of(component("api", start_timeout=2.0, stop_grace=3.0)))
    assert runner.fire_next() == ()
    assert runner.next_due() is None
    runner.send(StartAllRequested())
    assert runner.wait(1.9) == ()
    assert RequestStop("api", 1) in runner.wait(0.2)
    assert runner.clock() == 2.1
    assert runner.armed == {(Timer.GRACE, "api", 1): (5.0, SetTimer(Timer.GRACE, "api", 1, 3.0))}


def test_a_history_tells_phases_effects_and_timers_apart() -> None:
    """What is compared in tests is complete: every phase, every effect, every timer."""
    history = run_history(plan_of(API), [StartAllRequested(), Started("api", 1), 1.0, StopRequested("api")])
    assert history.phases == ["api waiting", "api starting", "api ready", "api stopping"]
    assert next(effect for effect in history.effects if not isinstance(effect, RequestStop)) == Launch(
        "api", 1
    )
    assert [request.timer for request in history.timers] == [Timer.START, Timer.GRACE]
    assert history.fleet.components["api"].phase is Phase.STOPPING
    assert history.finish is None


@pytest.fixture
def reported() -> list[Event]:
    """What a host reports."""
    return []


def test_a_host_that_is_told_nothing_starts_and_obeys(reported: list[Event]) -> None:
    """Each life reports its process, its start and its end exactly once; processes differ."""
    host = FakeHost(reported.append)
    for incarnation in (1, 2):
        host.launch(API, incarnation)
        host.request_stop("api", incarnation)
        host.request_stop("api", incarnation)
        host.kill("api", incarnation)
    stopped = Exit(ExitKind.RETURNED, "stopped")
    assert reported == [
        *(Launched("api", 1, FIRST_PID), Started("api", 1), Exited("api", 1, stopped)),
        *(Launched("api", 2, FIRST_PID + 1), Started("api", 2), Exited("api", 2, stopped)),
    ]


def test_a_host_does_as_it_is_told(reported: list[Event]) -> None:
    """Lives follow their behaviours in order, the last one again and again."""
    refusal = OSError("no processes left")
    lives = [Behaviour(refusal=refusal), Behaviour(starts=False, ends=CRASH), Behaviour(ends=RETURNED)]
    host = FakeHost(reported.append, {"api": lives})
    with pytest.raises(OSError, match="no processes left"):
        host.launch(API, 1)
    for incarnation in (2, 3, 4):
        host.launch(API, incarnation)
    assert [event for event in reported if not isinstance(event, Launched)] == [
        *(Exited("api", 2, CRASH), Started("api", 3), Exited("api", 3, RETURNED)),
        *(Started("api", 4), Exited("api", 4, RETURNED)),
    ]


async def test_a_host_knows_what_lives(reported: list[Event]) -> None:
    """Only the living incarnation can be ended, by force if it does not obey, and never twice at once."""
    host = FakeHost(reported.append, {"api": [Behaviour(obeys_stop=False)]})
    host.launch(API, 1)
    host.request_stop("api", 1)
    host.kill("api", 7)
    assert host.alive == {"api": 1}
    with pytest.raises(RuntimeError, match="api is launched while incarnation 1 lives"):
        host.launch(API, 2)
    host.kill("api", 1)
    assert host.alive == {}
    assert isinstance(reported[-1], Exited)
    assert reported[-1].exit.killed
    host.launch(API, 3)
    await host.close()
    assert host.alive == {}
