"""Histories of external services: waited for, found, lost, and given up."""

from __future__ import annotations

from launcher.core.waits import waits_for
from launcher.model.effects import CancelTimer, Finish, SetTimer, Timer, WatchDependency
from launcher.model.events import (
    DependencyChecked,
    DependencyDeadline,
    Exited,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.state import DependencyState, Exit, ExitKind, Phase
from launcher.testing import FleetRunner, run_history
from tests.launcher.unit.core.plans import CRASH, STOPPED, component, plan_of, service

PLAN = plan_of(
    component("api", "postgres"),
    component("worker", "postgres", "redis"),
    component("web", "api"),
    component("alone"),
    dependencies=(service("postgres", timeout=5.0), service("redis", timeout=30.0)),
    keep_going=True,
)
DOWN = DependencyChecked("postgres", ok=False, reason="connection refused", hint="is it running?")
BACK = DependencyChecked("postgres", ok=True, latency=0.002)


def test_a_dependency_is_watched_when_somebody_waits_for_it() -> None:
    """The first to wait has it checked, with a deadline; the second joins in."""
    runner = FleetRunner(PLAN)
    assert runner.fleet.dependencies["postgres"] == DependencyState("postgres")
    runner.send(StartAllRequested(), Started("alone", 1))
    assert [effect for effect in runner.effects if isinstance(effect, WatchDependency)] == [
        WatchDependency("postgres"),
        WatchDependency("redis"),
    ]
    assert runner.armed == {
        (Timer.DEPENDENCY, "postgres", 0): (5.0, SetTimer(Timer.DEPENDENCY, "postgres", 0, 5.0)),
        (Timer.DEPENDENCY, "redis", 0): (30.0, SetTimer(Timer.DEPENDENCY, "redis", 0, 30.0)),
    }


def test_nobody_waits_nobody_asks() -> None:
    """A dependency of something that is not wanted is not checked."""
    plan = plan_of(component("api"), component("worker", "redis"), dependencies=(service("redis"),))
    history = run_history(plan, [StartRequested("api")])
    assert WatchDependency("redis") not in history.effects


def test_a_dependency_that_comes_up_releases_what_waits() -> None:
    """As soon as a check succeeds its dependents start, and the deadline is disarmed."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested(), DOWN)
    effects = runner.send(BACK)
    assert CancelTimer(Timer.DEPENDENCY, "postgres") in effects
    assert [str(phase) for phase in runner.phases().values()] == [
        "starting",
        "waiting",
        "waiting",
        "starting",
    ]
    state = runner.fleet.dependencies["postgres"]
    assert (state.up, state.watched_since, state.latency) == (True, None, 0.002)
    assert (state.reason, state.hint) == ("", "")


def test_what_is_known_about_a_dependency_is_shown() -> None:
    """A waiting component says what is wrong with the dependency, and since when it is waited for."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested())
    runner.wait(1.0)
    assert [(wait.name, wait.what, wait.since) for wait in waits_for(PLAN, runner.fleet, "worker")] == [
        ("postgres", "not checked yet", 0.0),
        ("redis", "not checked yet", 0.0),
    ]
    runner.send(DOWN)
    assert [wait.what for wait in waits_for(PLAN, runner.fleet, "api")] == ["connection refused"]


def test_a_dependency_that_never_comes_up_fails_its_dependents() -> None:
    """At the deadline those that wait for it fail with its reason and hint; the others go on."""
    history = run_history(PLAN, [StartAllRequested(), Started("alone", 1), DOWN, 5.0])
    assert history.phases[-2:] == ["api failed", "worker failed"]
    ended = Exit(
        *(ExitKind.UNREACHABLE, "postgres was not reachable for 5 s: connection refused", "is it running?")
    )
    for name in ("api", "worker"):
        assert history.fleet.components[name].last_exit == ended
        assert history.fleet.components[name].reason == ended.message
    assert history.fleet.dependencies["postgres"].watched_since is None


def test_a_dependency_that_never_answered() -> None:
    """Without a single answer the message says just that."""
    history = run_history(PLAN, [StartAllRequested(), 5.0])
    assert history.fleet.components["api"].reason == "postgres was not reachable for 5 s: no answer"


def test_an_unreachable_dependency_ends_up_with_1() -> None:
    """Without keep_going a dependency that cannot be reached is a failed start."""
    plan = plan_of(component("api", "postgres"), dependencies=(service("postgres", timeout=5.0),))
    history = run_history(plan, [StartAllRequested(), DOWN, 5.0])
    assert history.finish == Finish(1, "api failed to start")


def test_losing_a_dependency_stops_nothing() -> None:
    """A dependency that goes down is noted; what runs keeps running."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested(), BACK, Started("api", 1))
    runner.wait(60.0)
    runner.send(DOWN)
    assert runner.state("api").phase is Phase.READY
    state = runner.fleet.dependencies["postgres"]
    assert (state.up, state.since, state.reason, state.latency) == (False, 60.0, "connection refused", 0.002)


def test_a_restart_waits_for_a_lost_dependency() -> None:
    """What dies of a lost dependency waits for it, with a new deadline."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested(), BACK, Started("api", 1), DependencyChecked("redis", ok=True))
    runner.wait(20.0)
    effects = runner.send(DOWN, Exited("api", 1, CRASH))
    assert runner.state("api").phase is Phase.WAITING
    assert WatchDependency("postgres") in effects
    assert SetTimer(Timer.DEPENDENCY, "postgres", 0, 5.0) in effects
    runner.send(BACK)
    assert runner.state("api").phase is Phase.STARTING


def test_a_start_after_giving_up_tries_again() -> None:
    """Somebody who asks for a start has the dependency waited for once more, for the whole time."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested(), Started("alone", 1), DOWN)
    runner.wait(100.0)
    effects = runner.send(StartRequested("api"))
    assert WatchDependency("postgres") in effects
    assert runner.armed[Timer.DEPENDENCY, "postgres", 0][0] == 105.0


def test_since_tells_when_it_changed() -> None:
    """Further checks with the same answer do not move the time of the change."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested())
    for _ in range(3):
        runner.wait(1.0)
        runner.send(DOWN)
    assert runner.fleet.dependencies["postgres"].since == 1.0


def test_a_late_deadline_of_a_dependency_that_is_up_changes_nothing() -> None:
    """A deadline that fired just before it was disarmed fails nobody."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested(), BACK)
    assert runner.send(DependencyDeadline("postgres")) == ()
    assert runner.state("api").phase is Phase.STARTING


def test_a_deadline_fails_only_what_waits() -> None:
    """What was stopped meanwhile is not failed by the deadline."""
    history = run_history(PLAN, [StartAllRequested(), DOWN, StopRequested("api"), 5.0])
    assert history.fleet.components["api"].phase is Phase.STOPPED
    assert history.fleet.components["worker"].phase is Phase.FAILED


def test_checks_go_on_while_the_backend_stops() -> None:
    """An answer that arrives during the stop starts nothing."""
    plan = plan_of(component("db"), component("api", "db", "postgres"), dependencies=(service("postgres"),))
    history = run_history(
        plan,
        [StartAllRequested(), Started("db", 1), ShutdownRequested("Ctrl-C"), BACK, Exited("db", 1, STOPPED)],
    )
    assert history.launched == ["db"]
    assert history.finish == Finish(0, "Ctrl-C")
