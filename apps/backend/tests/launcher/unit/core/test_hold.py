"""Whose clients the launcher answers itself, from when on and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.hold import LATER, SOON, Held, held, may_accept, retry_after, serves, unserved
from launcher.model.events import (
    BecameReady,
    BecameUnready,
    Event,
    Exited,
    Launched,
    RestartRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import Bind, Kind, Probe, ProbeKind
from launcher.model.state import ComponentState, Phase
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import CRASH, PROBE, STOPPED, UNSTARTABLE, component, plan_of

API = component("api", kind=Kind.ASGI, bind=Bind(8000), ready=PROBE)
SHOP = component(
    "shop", kind=Kind.COMMAND, bind=Bind(8001), inherit_socket=True, ready=Probe(ProbeKind.NOTIFY)
)
DB = component("db", kind=Kind.COMMAND, bind=Bind(5432))
PLAN = plan_of(API, SHOP, DB, component("worker"), keep_going=True)


class Watched(FleetRunner):
    """A fleet whose unserved components are noted after every event, as the supervisor does it."""

    def __init__(self) -> None:
        super().__init__(PLAN)
        self.unserved: Mapping[str, float] = unserved(PLAN, self.fleet, {}, self.clock())

    def tell(self, *events: Event) -> None:
        for event in events:
            self.send(event)
            self.unserved = unserved(PLAN, self.fleet, self.unserved, self.clock())

    def held(self) -> Held:
        return held(PLAN, self.fleet, self.unserved, self.clock())


def states(phase: Phase, *, started: bool) -> ComponentState:
    return ComponentState("any", phase=phase, started_at=1.0 if started else None)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("started", [False, True])
def test_who_serves(phase: Phase, started: bool) -> None:
    """An application serves from when it says that it has started, a command from when it is ready; both until they are to stop."""
    state = states(phase, started=started)
    ready = phase in (Phase.READY, Phase.UNREADY)
    assert serves(API, state) is (ready or (phase is Phase.STARTING and started))
    assert serves(SHOP, state) is ready


@pytest.mark.parametrize("phase", list(Phase))
def test_a_command_that_runs_is_not_disturbed(phase: Phase) -> None:
    """Nobody accepts beside a running command, which may be accepting from its first moment to its last."""
    state = states(phase, started=True)
    runs = phase in (Phase.STARTING, Phase.READY, Phase.UNREADY, Phase.STOPPING)
    assert may_accept(SHOP, state) is runs
    assert not may_accept(API, state)


def test_only_held_ports_count() -> None:
    """Agents have no port, and a command that binds its own port is refused or served by itself."""
    assert set(Watched().unserved) == {"api", "shop"}


def test_a_slow_start_is_answered_after_the_hold_until_it_serves() -> None:
    """The clock runs from the beginning; it stops when the application listens, before its probe has agreed."""
    fleet = Watched()
    fleet.tell(StartAllRequested(), Launched("api", 1, 1))
    assert fleet.held() == Held(frozenset(), PLAN.spec.hold)
    fleet.wait(PLAN.spec.hold)
    assert fleet.held().names == {"api"}
    fleet.tell(Started("api", 1))
    assert fleet.fleet.components["api"].phase is Phase.STARTING
    assert fleet.held().names == frozenset()


def test_a_restart_in_time_is_nobodys_business() -> None:
    """Each time a component serves, the clock begins anew."""
    fleet = Watched()
    fleet.tell(StartAllRequested(), Launched("api", 1, 1), Started("api", 1), BecameReady("api", 1))
    fleet.wait(100.0)
    fleet.tell(RestartRequested("api"))
    fleet.wait(4.0)
    assert fleet.held().names == frozenset()
    fleet.tell(Exited("api", 1, STOPPED), Launched("api", 2, 2), Started("api", 2))
    fleet.wait(4.0)
    assert fleet.held().names == frozenset()
    assert "api" not in fleet.unserved


def test_unready_is_served() -> None:
    """A component whose probe fails answers its clients itself, whatever it answers."""
    fleet = Watched()
    fleet.tell(StartAllRequested(), Launched("api", 1, 1), Started("api", 1), BecameReady("api", 1))
    fleet.tell(BecameUnready("api", 1, "503"))
    fleet.wait(100.0)
    assert fleet.held().names == frozenset()


@pytest.mark.parametrize("end", [Exited("api", 1, UNSTARTABLE), StopRequested("api")])
def test_failed_and_stopped_are_answered(end: Event) -> None:
    """What is not coming back is answered after the same time, counted from when it last served."""
    fleet = Watched()
    fleet.tell(StartAllRequested(), Launched("api", 1, 1), Started("api", 1), BecameReady("api", 1))
    fleet.tell(end, Exited("api", 1, STOPPED))
    assert fleet.held().due == fleet.clock() + PLAN.spec.hold
    fleet.wait(PLAN.spec.hold)
    assert fleet.held().names == {"api"}


def test_a_command_is_let_alone_while_it_runs_and_its_clock_goes_on() -> None:
    """A command that dies again and again without being ready is answered for in each pause, at once."""
    fleet = Watched()
    fleet.tell(StartAllRequested(), Launched("shop", 1, 1), Started("shop", 1))
    fleet.wait(10.0)
    assert "shop" not in fleet.held().names
    fleet.tell(Exited("shop", 1, CRASH))
    assert "shop" in fleet.held().names
    fleet.tell(StartRequested("shop"))
    assert "shop" not in fleet.held().names


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        (ComponentState("a", phase=Phase.STARTING), SOON),
        (ComponentState("a", phase=Phase.WAITING), SOON),
        (ComponentState("a", phase=Phase.STOPPING), SOON),
        (ComponentState("a", phase=Phase.BACKOFF, next_attempt_at=112.4), 13),
        (ComponentState("a", phase=Phase.BACKOFF, next_attempt_at=90.0), SOON),
        (ComponentState("a", phase=Phase.FAILED), LATER),
        (ComponentState("a", phase=Phase.STOPPED), LATER),
    ],
)
def test_when_to_ask_again(state: ComponentState, seconds: int) -> None:
    """A backoff says when it ends; what somebody has to start first takes longer than what is on its way."""
    assert retry_after(state, 100.0) == seconds


EVENTS = st.sampled_from(
    [
        StartAllRequested(),
        *(
            event
            for name in ("api", "shop")
            for event in (
                StartRequested(name),
                StopRequested(name),
                RestartRequested(name),
                *(
                    kind(name, number, *rest)
                    for number in (1, 2)
                    for kind, *rest in (
                        (Launched, 7),
                        (Started,),
                        (BecameReady,),
                        (BecameUnready, "why"),
                        (Exited, CRASH),
                    )
                ),
            )
        ),
    ]
)


@given(st.lists(st.tuples(EVENTS, st.sampled_from([0.0, 0.5, 4.9, 5.0, 60.0])), max_size=30))
def test_nobody_is_taken_from_who_serves_and_nobody_waits_longer(steps: list[tuple[Event, float]]) -> None:
    """At every moment: held are exactly the ports that have been unserved for the hold, but for commands that run."""
    fleet = Watched()
    since = {"api": 0.0, "shop": 0.0}
    for event, pause in steps:
        fleet.wait(pause)
        fleet.tell(event)
        for spec in (API, SHOP):
            state = fleet.fleet.components[spec.name]
            if serves(spec, state):
                since.pop(spec.name, None)
            else:
                since.setdefault(spec.name, fleet.clock())
        now = fleet.clock()
        decided = fleet.held()
        quiet = {"shop"} if may_accept(SHOP, fleet.fleet.components["shop"]) else set()
        assert decided.names == {name for name, at in since.items() if now - at >= PLAN.spec.hold} - quiet
        assert decided.due is None or now < decided.due <= now + PLAN.spec.hold


@given(st.lists(EVENTS, max_size=20), st.floats(0.0, 20.0))
def test_it_becomes_due_when_it_said(events: list[Event], later: float) -> None:
    """Without any event, the set changes at the time announced and not before."""
    fleet = Watched()
    fleet.tell(*events)
    decided = fleet.held()
    after = held(PLAN, fleet.fleet, fleet.unserved, fleet.clock() + later)
    assert decided.names <= after.names
    assert (after.names != decided.names) is (
        decided.due is not None and decided.due <= fleet.clock() + later
    )


def test_a_hold_of_zero_answers_at_once() -> None:
    """0 is a setting like any other."""
    plan = replace(PLAN, spec=replace(PLAN.spec, hold=0.0))
    fleet = Watched()
    assert held(plan, fleet.fleet, fleet.unserved, fleet.clock()) == Held(frozenset({"api", "shop"}), None)
