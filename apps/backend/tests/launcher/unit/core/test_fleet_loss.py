"""Histories of what was there and is lost: who keeps going, who goes down with it, who is restarted when it is back."""

from __future__ import annotations

import pytest

from launcher.core.loss import RETURN_DELAY, needs
from launcher.core.plan import Plan
from launcher.core.restart import JITTER
from launcher.model.effects import CancelTimer, Launch, RequestStop, Timer
from launcher.model.events import (
    BecameReady,
    BecameUnready,
    DependencyChecked,
    Event,
    Exited,
    RestartRequested,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StopRequested,
)
from launcher.model.spec import DependencyLoss
from launcher.model.state import Desired, Phase
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import CRASH, PROBE, STOPPED, component, plan_of, service

UP = DependencyChecked("redis", ok=True, latency=0.002)
DOWN = DependencyChecked("redis", ok=False, reason="connection refused")
LOST = (DOWN, DOWN, DOWN)
LONG = RETURN_DELAY * (1 + JITTER)
"""Seconds after which a return has surely been followed."""

STOP = DependencyLoss.STOP
RESTART = DependencyLoss.RESTART


def running(plan: Plan, *events: Event) -> FleetRunner:
    """Return a fleet in which everything is ready, after some more events."""
    runner = FleetRunner(plan)
    runner.send(StartAllRequested(), *([UP] if plan.spec.dependencies else []))
    while waiting := [name for name, phase in runner.phases().items() if phase is Phase.STARTING]:
        runner.send(*(Started(name, 1) for name in waiting))
    runner.wait(100.0)
    runner.send(*events)
    return runner


def one(loss: DependencyLoss, **changes: object) -> Plan:
    """Return a plan of one component that needs one service."""
    return plan_of(
        component("worker", "redis", on_dependency_loss=loss, **changes),
        dependencies=(service("redis", timeout=5.0),),
    )


def stops(runner: FleetRunner) -> list[str]:
    """Return who was asked to stop, in order."""
    return [effect.component for effect in runner.effects if isinstance(effect, RequestStop)]


def launches(runner: FleetRunner) -> int:
    """Return how many lives there were."""
    return sum(isinstance(effect, Launch) for effect in runner.effects)


def test_the_default_keeps_going() -> None:
    """Who declares nothing is told nothing: not when the service is lost, not when it is back."""
    runner = running(one(DependencyLoss.KEEP), *LOST, UP)
    runner.wait(LONG)
    assert runner.state("worker").phase is Phase.READY
    assert (stops(runner), launches(runner)) == ([], 1)


@pytest.mark.parametrize("loss", [STOP, RESTART])
def test_one_or_two_failed_checks_are_no_loss(loss: DependencyLoss) -> None:
    """A flapping service moves nobody; the third failure in a row does."""
    runner = running(one(loss), DOWN, DOWN, UP, DOWN, DOWN)
    assert runner.state("worker").loss == ""
    assert runner.fleet.dependencies["redis"].usable is True
    runner.send(DOWN)
    assert runner.state("worker").loss == "redis"
    assert runner.fleet.dependencies["redis"].usable is False


def test_what_is_lacking_is_told_of_what_runs() -> None:
    """Status says what a running component lacks and since when, from the first failed check on."""
    plan = one(DependencyLoss.KEEP)
    runner = running(plan)
    assert needs(plan, runner.fleet, "worker") == ()
    runner.send(DOWN)
    runner.wait(12.0)
    runner.send(DOWN)
    (need,) = needs(plan, runner.fleet, "worker")
    assert (need.name, need.what, runner.clock() - need.since) == ("redis", "down", 12.0)
    runner.send(UP)
    assert needs(plan, runner.fleet, "worker") == ()


def test_a_component_is_needed_like_a_service() -> None:
    """The phase of a component that is not ready says what it is."""
    plan = plan_of(component("db", ready=PROBE), component("api", "db"))
    runner = FleetRunner(plan)
    runner.send(StartAllRequested(), Started("db", 1), BecameReady("db", 1), Started("api", 1))
    runner.send(BecameUnready("db", 1, "status 503"))
    assert [(need.name, need.what) for need in needs(plan, runner.fleet, "api")] == [("db", "unready")]


def test_it_goes_down_with_the_service_and_comes_back_with_it() -> None:
    """It is asked to stop, waits without giving up, and starts a moment after the return."""
    runner = running(one(STOP), *LOST)
    state = runner.state("worker")
    assert (state.phase, state.desired, state.reason) == (
        Phase.STOPPING,
        Desired.UP,
        "redis is lost: connection refused",
    )
    runner.send(Exited("worker", 1, STOPPED))
    runner.wait(3600.0)
    assert runner.state("worker").phase is Phase.WAITING
    runner.send(UP)
    state = runner.state("worker")
    assert (state.phase, state.reason) == (Phase.BACKOFF, "redis is back")
    runner.wait(LONG)
    assert (runner.state("worker").phase, runner.state("worker").incarnation) == (Phase.STARTING, 2)
    runner.send(Started("worker", 2))
    assert (runner.state("worker").failures, runner.state("worker").restarts) == (0, ())


def test_a_return_that_does_not_last_starts_nothing() -> None:
    """Lost again before the moment is over: it goes on waiting."""
    runner = running(one(STOP), *LOST, Exited("worker", 1, STOPPED), UP, *LOST)
    runner.wait(3600.0)
    assert runner.state("worker").phase is Phase.WAITING
    assert launches(runner) == 1


def test_it_is_restarted_once_when_the_service_is_back() -> None:
    """It runs on during the loss, and has one new incarnation after it."""
    runner = running(one(RESTART), *LOST)
    runner.wait(3600.0)
    assert runner.state("worker").phase is Phase.READY
    runner.send(UP, UP)
    assert runner.state("worker").phase is Phase.READY
    runner.wait(LONG)
    state = runner.state("worker")
    assert (state.phase, state.reason) == (Phase.STOPPING, "redis is back: restarting")
    runner.send(Exited("worker", 1, STOPPED), Started("worker", 2), UP)
    runner.wait(3600.0)
    assert (runner.state("worker").phase, launches(runner)) == (Phase.READY, 2)


def test_a_restart_for_a_return_waits_for_the_last_return() -> None:
    """Lost again before the moment is over: the restart comes after the next return, and only once."""
    runner = running(one(RESTART), *LOST, UP, *LOST)
    runner.wait(3600.0)
    assert stops(runner) == []
    runner.send(UP)
    runner.wait(LONG)
    assert stops(runner) == ["worker"]


def test_what_may_overlap_is_replaced() -> None:
    """The restart for a return is like any other: the old incarnation serves until the new one is ready."""
    runner = running(one(RESTART, overlap=True), *LOST, UP)
    runner.wait(LONG)
    assert (runner.state("worker").phase, stops(runner)) == (Phase.READY, [])
    runner.send(Started("worker", 2))
    assert (runner.state("worker").incarnation, stops(runner)) == (2, ["worker"])


def test_a_successor_that_starts_into_a_loss_begins_again() -> None:
    """Whoever restarts it by hand gets an incarnation that has seen the service, not one that has seen it go."""
    runner = running(one(RESTART, overlap=True), RestartRequested("worker"), *LOST)
    state = runner.state("worker")
    assert [life.incarnation for life in state.retiring] == [2]
    assert state.successor is not None
    assert state.successor.phase is Phase.WAITING
    runner.send(Exited("worker", 2, STOPPED))
    runner.wait(3600.0)
    runner.send(UP, Started("worker", 3))
    runner.wait(3600.0)
    assert (runner.state("worker").incarnation, launches(runner)) == (3, 3)


def test_a_crash_during_the_loss_is_not_held_against_it() -> None:
    """What dies while its service is lost waits for the return, with no deadline, where it declares to follow."""
    runner = running(one(RESTART), *LOST, Exited("worker", 1, CRASH))
    runner.wait(3600.0)
    assert runner.state("worker").phase is Phase.WAITING
    runner.send(UP)
    runner.wait(LONG)
    assert runner.state("worker").incarnation == 2


def test_a_return_while_it_waits_to_be_started_again_adds_nothing() -> None:
    """A backoff that is running already is the only delay."""
    runner = running(
        one(RESTART), Exited("worker", 1, CRASH), Started("worker", 2), Exited("worker", 2, CRASH)
    )
    assert runner.state("worker").phase is Phase.BACKOFF
    runner.send(*LOST, UP)
    assert (runner.state("worker").phase, runner.state("worker").loss) == (Phase.BACKOFF, "")


def test_a_stop_by_hand_forgets_the_loss() -> None:
    """What somebody stopped does not come back by itself, and no restart is left to come."""
    runner = running(one(RESTART), *LOST, UP)
    effects = runner.send(StopRequested("worker"), Exited("worker", 1, STOPPED))
    assert CancelTimer(Timer.RETURN, "worker", 1) in effects
    runner.wait(3600.0)
    assert (runner.state("worker").phase, launches(runner)) == (Phase.STOPPED, 1)
    down = running(one(STOP), *LOST, Exited("worker", 1, STOPPED), StopRequested("worker"), UP)
    down.wait(3600.0)
    assert (down.state("worker").phase, launches(down)) == (Phase.STOPPED, 1)


def test_what_was_never_ready_is_not_concerned() -> None:
    """During the first start everything is as without a policy: the deadline of the service decides."""
    runner = FleetRunner(one(STOP))
    runner.send(StartAllRequested(), UP, *LOST)
    assert runner.state("worker").phase is Phase.STARTING
    runner.send(Exited("worker", 1, CRASH))
    runner.wait(60.0)
    assert runner.state("worker").phase is Phase.FAILED


def test_dependents_go_down_first_and_come_back_last() -> None:
    """A chain goes down from its end, each when the one before has ended, and comes back in order of start."""
    plan = plan_of(
        component("store", "redis", on_dependency_loss=STOP),
        component("api", "store", on_dependency_loss=STOP),
        component("web", "api", on_dependency_loss=STOP),
        component("alone"),
        dependencies=(service("redis"),),
    )
    runner = running(plan, *LOST)
    assert stops(runner) == ["web"]
    assert runner.state("web").reason == "api is lost: goes down with store"
    runner.send(Exited("web", 1, STOPPED))
    assert stops(runner) == ["web", "api"]
    runner.send(Exited("api", 1, STOPPED))
    assert stops(runner) == ["web", "api", "store"]
    runner.send(Exited("store", 1, STOPPED), UP)
    for name in ("store", "api", "web"):
        runner.wait(LONG)
        assert runner.phases()[name] is Phase.STARTING
        runner.send(Started(name, 2))
    assert set(runner.phases().values()) == {Phase.READY}


def test_who_keeps_going_shields_its_dependents() -> None:
    """A component that runs on without its service is not lost to those that depend on it."""
    plan = plan_of(
        component("api", "redis"),
        component("web", "api", on_dependency_loss=STOP),
        dependencies=(service("redis"),),
    )
    assert stops(running(plan, *LOST)) == []


@pytest.mark.parametrize(
    ("events", "lost"),
    [
        ((BecameUnready("db", 1, "status 503"),), True),
        ((Exited("db", 1, CRASH),), True),
        ((RestartRequested("db"),), True),
        ((StopRequested("db"),), True),
        ((BecameUnready("db", 9, "status 503"),), False),
    ],
)
def test_how_a_component_is_lost(events: tuple[Event, ...], lost: bool) -> None:
    """Unready, crashed, stopped or restarted, a component is lost to those that follow it."""
    plan = plan_of(component("db"), component("api", "db", on_dependency_loss=STOP))
    runner = running(plan, *events)
    assert ("api" in stops(runner)) is lost


def test_one_of_several_replicas_is_no_loss() -> None:
    """As long as one replica is ready, the component is there."""
    plan = plan_of(component("db", replicas=2), component("api", "db", on_dependency_loss=RESTART))
    runner = running(plan, BecameUnready("db", 1, "status 503"))
    assert runner.state("api").loss == ""
    assert [need.name for need in needs(plan, runner.fleet, "api")] == ["db"]
    runner.send(BecameUnready("db.2", 1, "status 503"))
    assert runner.state("api").loss == "db"


def test_a_job_that_is_run_again_is_no_loss() -> None:
    """A one-shot that has completed once was all that its dependents needed of it."""
    plan = plan_of(component("migrate", oneshot=True), component("api", "migrate", on_dependency_loss=STOP))
    runner = FleetRunner(plan)
    runner.send(StartAllRequested(), Started("migrate", 1), Exited("migrate", 1, STOPPED), Started("api", 1))
    runner.send(RestartRequested("migrate"))
    assert (runner.phases()["migrate"], stops(runner)) == (Phase.STARTING, [])


def test_a_stopping_backend_follows_nothing() -> None:
    """A loss during the stop of the whole changes neither its order nor its end."""
    plan = plan_of(
        component("db"), component("api", "db", on_dependency_loss=STOP), dependencies=(service("redis"),)
    )
    runner = running(plan, ShutdownRequested("Ctrl-C"))
    runner.send(*LOST, Exited("api", 1, STOPPED), Exited("db", 1, STOPPED))
    assert runner.finish is not None
    assert stops(runner) == ["api", "db"]


def test_those_that_come_back_do_not_come_all_at_once() -> None:
    """The moment after a return is another one for each component, and known in advance."""
    names = [f"worker{number}" for number in range(10)]
    plan = plan_of(
        *(component(name, "redis", on_dependency_loss=RESTART) for name in names),
        dependencies=(service("redis"),),
    )
    runner = running(plan, *LOST, UP)
    moments = {runner.state(name).returns_at for name in names}
    assert len(moments) == len(names)
    now = runner.clock()
    for moment in moments:
        assert moment is not None
        assert RETURN_DELAY * (1 - JITTER) <= moment - now <= LONG
