"""Histories of replacement before removal: a successor starts, takes over or fails, and old incarnations retire."""

from __future__ import annotations

import pytest

from launcher.core.succession import beside
from launcher.core.waits import waits_for
from launcher.model.effects import Kill, Launch, RequestStop, SetTimer, StartProbe, StopProbe, Timer
from launcher.model.events import (
    BecameReady,
    BecameUnready,
    DependencyChecked,
    Event,
    Exited,
    Launched,
    LivenessLost,
    RestartRequested,
    ShutdownDeadline,
    ShutdownForced,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.state import Desired, Phase, Role
from launcher.testing import FleetRunner, run_history
from tests.launcher.unit.core.plans import (
    CRASH,
    NEVER,
    PROBE,
    RETURNED,
    STOPPED,
    UNSTARTABLE,
    component,
    plan_of,
    service,
)

UP = (StartAllRequested(), Launched("api", 1, 101), Started("api", 1))
RESTART = RestartRequested("api")


def ready(*more: Event, **changes: object) -> FleetRunner:
    """Return a fleet whose overlapping component is ready in its first incarnation."""
    runner = FleetRunner(plan_of(component("api", overlap=True, **changes)))
    runner.send(*UP, *more)
    return runner


def roles(runner: FleetRunner) -> tuple[Phase, int, int | None, tuple[int, ...]]:
    """Return the phase, and the numbers of the current, the succeeding and the retiring incarnations."""
    state = runner.state("api")
    number = None if state.successor is None else state.successor.incarnation
    return state.phase, state.incarnation, number, tuple(life.incarnation for life in state.retiring)


# ---- it succeeds -------------------------------------------------------------------------------------------------------------------


def test_the_new_one_is_ready_before_the_old_one_is_asked_to_stop() -> None:
    """The launch comes first, the request to stop only with readiness; the old one ends in its own time."""
    runner = ready(start_timeout=7.0, stop_grace=3.0)
    assert runner.send(RESTART) == (Launch("api", 2), SetTimer(Timer.START, "api", 2, 7.0))
    assert roles(runner) == (Phase.READY, 1, 2, ())
    runner.wait(2.0)
    effects = runner.send(Launched("api", 2, 102), Started("api", 2))
    assert RequestStop("api", 1) in effects
    assert roles(runner) == (Phase.READY, 2, None, (1,))
    assert runner.armed == {(Timer.GRACE, "api", 1): (5.0, SetTimer(Timer.GRACE, "api", 1, 3.0))}
    state = runner.state("api")
    assert (state.pid, state.ready_at, state.since, state.retiring[0].pid) == (102, 2.0, 2.0, 101)
    runner.send(Exited("api", 1, STOPPED))
    assert roles(runner) == (Phase.READY, 2, None, ())
    assert runner.armed == {}
    assert (runner.state("api").total_restarts, runner.state("api").restarts) == (0, ())


def test_a_probe_decides_when_the_new_one_takes_over() -> None:
    """Started is not ready where a probe was declared; the old one is asked about until then."""
    runner = FleetRunner(plan_of(component("api", overlap=True, ready=PROBE)))
    runner.send(*UP, BecameReady("api", 1), RESTART)
    assert runner.send(Started("api", 2)) == (StartProbe("api", 2),)
    runner.send(BecameUnready("api", 2, "status 503"))
    state = runner.state("api")
    assert (state.phase, state.reason) == (Phase.READY, "")
    assert state.successor is not None
    assert state.successor.reason == "status 503"
    effects = runner.send(BecameReady("api", 2))
    assert StopProbe("api", 1) in effects
    assert StopProbe("api", 2) not in effects
    assert roles(runner) == (Phase.READY, 2, None, (1,))


def test_an_unready_one_is_replaced_as_well() -> None:
    """What runs without being ready may still serve; the successor makes it ready."""
    runner = FleetRunner(plan_of(component("api", overlap=True, ready=PROBE)))
    runner.send(*UP, BecameReady("api", 1), BecameUnready("api", 1, "status 503"), RESTART)
    assert roles(runner) == (Phase.UNREADY, 1, 2, ())
    runner.send(Started("api", 2), BecameReady("api", 2))
    assert roles(runner) == (Phase.READY, 2, None, (1,))


def test_an_old_one_that_does_not_end_is_killed_by_itself() -> None:
    """Its grace is its own; the current incarnation is left alone."""
    runner = ready(RESTART, Started("api", 2), stop_grace=3.0)
    assert runner.wait(3.0)[0] == Kill("api", 1)
    assert runner.wait(2.0)[0] == Kill("api", 1)
    assert runner.state("api").retiring[0].kills == 2
    runner.send(Exited("api", 1, STOPPED))
    assert roles(runner) == (Phase.READY, 2, None, ())
    last = runner.transitions[-1]
    assert (last.role, last.incarnation) == (Role.RETIRING, 1)
    assert last.exit is not None
    assert last.exit.killed


def test_several_old_ones_retire_each_in_its_time() -> None:
    """Restarts need not wait for what retires."""
    runner = ready(RESTART, Started("api", 2), RESTART, Started("api", 3))
    assert roles(runner) == (Phase.READY, 3, None, (1, 2))
    runner.send(Exited("api", 2, STOPPED))
    assert roles(runner) == (Phase.READY, 3, None, (1,))


def test_readers_are_told_of_each_step() -> None:
    """A successor that is launched, the take-over and the end of the old one are published once each."""
    runner = ready()
    told = len(runner.transitions)
    runner.send(RESTART, Started("api", 2), Exited("api", 1, STOPPED))
    assert [(change.role, change.incarnation, change.event) for change in runner.transitions[told:]] == [
        (Role.SUCCESSOR, 2, "DependenciesReady"),
        (Role.CURRENT, 2, "Started"),
        (Role.RETIRING, 1, "Exited"),
    ]
    assert {(change.before, change.after) for change in runner.transitions[told:]} == {
        (Phase.READY, Phase.READY)
    }


# ---- it fails ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "message"), [(CRASH, "ended before it was ready: ValueError: boom"), (UNSTARTABLE, None)]
)
def test_a_new_one_that_ends_leaves_the_old_one_as_it_was(ended: Event, message: str | None) -> None:
    """Not even what can never start takes the old one down; it is told why, and nothing counts as a restart."""
    runner = ready(RESTART, Exited("api", 2, ended))  # type: ignore[arg-type]  # an exit, which pytest forgets
    state = runner.state("api")
    assert roles(runner) == (Phase.READY, 1, None, ())
    assert state.failed_restart is not None
    assert state.failed_restart.message == message or message is None
    assert (state.restarts, state.total_restarts, state.failures) == ((), 0, 0)
    assert runner.armed == {}
    assert not [effect for effect in runner.effects if isinstance(effect, RequestStop)]
    told = runner.transitions[-1]
    assert (told.role, told.incarnation, told.exit) == (Role.SUCCESSOR, 2, state.failed_restart)


def test_a_new_one_that_is_not_ready_in_time_is_stopped() -> None:
    """It retires as any other, with what its probe said last as the reason."""
    runner = ready(ready=PROBE, start_timeout=7.0)
    runner.send(BecameReady("api", 1), RESTART, Started("api", 2), BecameUnready("api", 2, "status 503"))
    assert RequestStop("api", 2) in runner.wait(7.0)
    assert roles(runner) == (Phase.READY, 1, None, (2,))
    state = runner.state("api")
    assert state.failed_restart is not None
    assert state.failed_restart.message == "not ready within 7 s: status 503"
    runner.send(BecameReady("api", 2), Exited("api", 2, STOPPED))
    assert roles(runner) == (Phase.READY, 1, None, ())


def test_a_new_one_without_a_sign_of_life_is_given_up() -> None:
    """The old one goes on."""
    runner = ready(RESTART, LivenessLost("api", 2, "no heartbeat"))
    assert roles(runner) == (Phase.READY, 1, None, (2,))


def test_a_number_is_never_given_twice() -> None:
    """After a failed restart the next try is another incarnation."""
    runner = ready(RESTART, Exited("api", 2, CRASH))
    assert runner.send(RESTART)[0] == Launch("api", 3)
    assert runner.state("api").failed_restart is None
    runner.send(Exited("api", 3, CRASH), Exited("api", 1, CRASH))
    runner.wait(1.0)
    assert roles(runner) == (Phase.STARTING, 4, None, ())


# ---- meanwhile ---------------------------------------------------------------------------------------------------------------------


def test_a_second_restart_replaces_what_is_being_started() -> None:
    """Whoever asks later wants what is there later: the earlier successor retires, and never takes over."""
    runner = ready(RESTART)
    assert RequestStop("api", 2) in runner.send(RESTART)
    assert roles(runner) == (Phase.READY, 1, 3, (2,))
    runner.send(Started("api", 2))
    assert roles(runner) == (Phase.READY, 1, 3, (2,))
    runner.send(Started("api", 3))
    assert roles(runner) == (Phase.READY, 3, None, (2, 1))


def test_when_the_old_one_dies_the_new_one_goes_on_as_the_current_one() -> None:
    """Its deadline stays its own, and no restart is counted."""
    runner = ready(RESTART, start_timeout=7.0)
    runner.wait(1.0)
    runner.send(Exited("api", 1, CRASH))
    assert roles(runner) == (Phase.STARTING, 2, None, ())
    assert runner.armed[Timer.START, "api", 2][0] == 7.0
    assert runner.state("api").total_restarts == 0
    assert (runner.transitions[-1].incarnation, runner.transitions[-1].exit) == (1, CRASH)
    runner.send(Started("api", 2))
    assert roles(runner) == (Phase.READY, 2, None, ())


def test_an_old_one_that_hangs_is_stopped_while_the_new_one_starts() -> None:
    """Whichever comes first, its end or the readiness of the new one, the new one becomes current."""
    runner = ready(RESTART, LivenessLost("api", 1, "no heartbeat"))
    assert roles(runner) == (Phase.STOPPING, 1, 2, ())
    assert RequestStop("api", 1) not in runner.send(Started("api", 2)), "it was asked already"
    assert roles(runner) == (Phase.READY, 2, None, (1,))


@pytest.mark.parametrize("wish", [StopRequested("api"), ShutdownRequested("Ctrl-C")])
def test_a_stop_stops_all_of_them(wish: Event) -> None:
    """It is stopped only when the last of them has ended, in whatever order they do."""
    runner = ready(RESTART, Started("api", 2), RESTART)
    assert roles(runner) == (Phase.READY, 2, 3, (1,))
    assert {effect for effect in runner.send(wish) if isinstance(effect, RequestStop)} == {
        RequestStop("api", 2),
        RequestStop("api", 3),
    }
    for number in (2, 3):
        runner.send(Exited("api", number, STOPPED))
        assert runner.state("api").phase is Phase.STOPPING
        assert runner.finish is None
    runner.send(Exited("api", 1, STOPPED))
    assert runner.state("api").phase is Phase.STOPPED
    assert (runner.finish is not None) is isinstance(wish, ShutdownRequested)


def test_a_start_while_old_ones_still_end_waits_for_them() -> None:
    """A wish that comes during the stop is fulfilled after it."""
    runner = ready(RESTART, Started("api", 2), StopRequested("api"), Exited("api", 2, STOPPED))
    runner.send(StartRequested("api"))
    assert (runner.state("api").phase, runner.state("api").desired) == (Phase.STOPPING, Desired.UP)
    assert runner.send(Exited("api", 1, STOPPED))[-2] == Launch("api", 3)


def test_a_stop_of_what_waits_is_over_when_old_ones_have_ended() -> None:
    """A component that is not running is not stopped while something of it is left."""
    runner = ready(RESTART, Started("api", 2), Exited("api", 2, CRASH))
    assert runner.state("api").phase is Phase.BACKOFF
    runner.send(StopRequested("api"))
    assert runner.state("api").phase is Phase.STOPPING
    runner.send(Exited("api", 1, STOPPED))
    assert runner.state("api").phase is Phase.STOPPED


def test_the_backend_does_not_end_while_an_old_one_lives() -> None:
    """A component that has failed may have left one behind that still answers requests."""
    runner = ready(RESTART, Started("api", 2), restart=NEVER)
    runner.send(Exited("api", 2, CRASH))
    assert runner.state("api").phase is Phase.FAILED
    assert runner.fleet.draining, "nothing is left to do"
    assert runner.finish is None
    runner.send(Exited("api", 1, RETURNED))
    assert runner.finish is not None


def test_a_forced_stop_kills_all_of_them() -> None:
    """Successor, current and retiring; who does not end is named."""
    runner = ready(RESTART, Started("api", 2), RESTART)
    effects = runner.send(ShutdownForced("Ctrl-C again"))
    assert {effect for effect in effects if isinstance(effect, Kill)} == {
        Kill("api", number) for number in (1, 2, 3)
    }
    runner.send(Exited("api", 3, STOPPED), Exited("api", 2, STOPPED), ShutdownDeadline())
    assert runner.finish is not None
    assert runner.finish.reason == "gave up waiting for api to end"


# ---- with others -------------------------------------------------------------------------------------------------------------------


def test_dependents_do_not_notice() -> None:
    """What depends on it is neither stopped nor held up."""
    plan = plan_of(component("api", overlap=True), component("worker", "api"))
    history = run_history(plan, [*UP, Started("worker", 1), RESTART, Started("api", 2)])
    assert history.phases == [
        *("api waiting", "worker waiting", "api starting", "api ready"),
        *("worker starting", "worker ready"),
    ]


def test_a_successor_waits_for_what_the_component_depends_on() -> None:
    """Nothing is launched before that is ready, and whoever asks is told what is missing."""
    plan = plan_of(
        component("api", "postgres", overlap=True), dependencies=(service("postgres", timeout=8.0),)
    )
    runner = FleetRunner(plan)
    runner.send(StartAllRequested(), DependencyChecked("postgres", ok=True), *UP[1:])
    runner.send(DependencyChecked("postgres", ok=False, reason="refused"), RESTART)
    assert roles(runner) == (Phase.READY, 1, 0, ())
    assert [wait.name for wait in waits_for(plan, runner.fleet, "api")] == ["postgres"]
    assert runner.send(RESTART) == (), "it is not launched yet, so it will be new"
    assert Launch("api", 2) in runner.send(DependencyChecked("postgres", ok=True))


def test_a_successor_does_not_wait_for_ever() -> None:
    """When the dependency is given up, so is the restart."""
    plan = plan_of(
        component("api", "postgres", overlap=True), dependencies=(service("postgres", timeout=8.0),)
    )
    runner = FleetRunner(plan)
    runner.send(StartAllRequested(), DependencyChecked("postgres", ok=True), *UP[1:])
    runner.send(DependencyChecked("postgres", ok=False, reason="refused"), RESTART)
    runner.wait(8.0)
    state = runner.state("api")
    assert roles(runner) == (Phase.READY, 1, None, ())
    assert state.failed_restart is not None
    assert state.failed_restart.message == "postgres was not reachable for 8 s: refused"


def test_what_may_not_overlap_is_stopped_first() -> None:
    """As declared, or because it shares a process."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(*UP)
    assert RequestStop("api", 1) in runner.send(RESTART)
    assert runner.state("api").phase is Phase.STOPPING


def test_what_happens_beside_the_current_one_is_told_in_words() -> None:
    """Whoever looks at a component that is ready sees what else there is of it."""
    runner = ready()
    assert beside(runner.state("api")) == ""
    runner.send(RESTART)
    assert beside(runner.state("api")) == "restarting: incarnation 2 is starting"
    runner.send(BecameUnready("api", 2, "status 503"))
    assert beside(runner.state("api")) == "restarting: incarnation 2 is starting (status 503)"
    runner.send(Started("api", 2))
    assert beside(runner.state("api")) == "incarnation 1 still ends"
    runner.send(RESTART, Exited("api", 3, CRASH))
    assert beside(runner.state("api")) == (
        "the restart failed: ended before it was ready: ValueError: boom; incarnation 1 still ends"
    )
