"""Histories of the stop: one component, the whole backend, out of time, by force, and what the launcher ends with."""

from __future__ import annotations

import pytest

from launcher.model.effects import Effect, Finish, Kill, Launch, RequestStop, SetTimer, Timer
from launcher.model.events import (
    DependenciesReady,
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
from launcher.model.state import Phase
from launcher.testing import FleetRunner, run_history
from tests.launcher.unit.core.plans import (
    CRASH,
    KILLED,
    NEVER,
    RETURNED,
    STOPPED,
    component,
    plan_of,
    service,
)

CTRL_C = ShutdownRequested("Ctrl-C")
SECOND = ShutdownForced("second Ctrl-C")


def up(*components: str) -> list[Event | float]:
    """Return the history of a backend whose components become ready in this order."""
    return [StartAllRequested(), *(Started(name, 1) for name in components)]


def over(*components: str) -> list[Event | float]:
    """Return the ends of stopped components in this order."""
    return [Exited(name, 1, STOPPED) for name in components]


def stops(effects: tuple[Effect, ...]) -> list[str]:
    """Return the names of components that were asked to stop, in order."""
    return [effect.component for effect in effects if isinstance(effect, RequestStop)]


# ---- one component ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "phases"),
    [
        pytest.param([StartAllRequested()], ["api starting", "web waiting"], id="waiting and starting"),
        pytest.param(up("api"), ["api ready", "web starting"], id="starting and ready"),
    ],
)
def test_a_stop_reaches_every_phase(history: list[Event | float], phases: list[str]) -> None:
    """What waits, starts or is ready can be stopped; nothing starts afterwards."""
    plan = plan_of(component("api"), component("web", "api"))
    before = run_history(plan, history)
    assert sorted(f"{name} {state.phase}" for name, state in before.fleet.components.items()) == phases
    after = run_history(
        plan, [*history, StopRequested("web"), StopRequested("api"), *over("web", "api"), 3600.0]
    )
    assert {state.phase for state in after.fleet.components.values()} == {Phase.STOPPED}


def test_a_stop_while_waiting_has_nothing_to_stop() -> None:
    """A waiting component is stopped at once, without asking anything of its host."""
    plan = plan_of(component("db"), component("api", "db"))
    runner = FleetRunner(plan)
    runner.send(StartAllRequested())
    assert stops(runner.send(StopRequested("api"))) == []
    assert runner.state("api").phase is Phase.STOPPED
    runner.send(Started("db", 1))
    assert runner.state("api").phase is Phase.STOPPED


def test_a_stop_during_the_backoff_ends_it() -> None:
    """No start follows, and the timer is disarmed."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(StartAllRequested(), Exited("api", 1, CRASH), StopRequested("api"))
    assert runner.state("api").phase is Phase.STOPPED
    assert runner.armed == {}


def test_a_stop_of_what_failed_settles_it() -> None:
    """A failed component that is asked to stop is no longer wanted."""
    plan = plan_of(component("api", restart=NEVER), component("db"), keep_going=True)
    history = run_history(plan, [StartAllRequested(), Exited("api", 1, CRASH), StopRequested("api")])
    assert history.phases[-2:] == ["api failed", "api stopped"]


def test_a_stop_says_why() -> None:
    """The reason of a stop is shown while stopping, the way it ended afterwards."""
    runner = FleetRunner(plan_of(component("api"), component("db")))
    runner.send(*(event for event in up("api", "db") if isinstance(event, Event)))
    runner.send(StopRequested("api", "asked by a test"))
    assert runner.state("api").reason == "asked by a test"
    runner.send(Exited("api", 1, STOPPED))
    assert runner.state("api").reason == "stopped"


def test_a_crash_while_stopping_is_a_stop() -> None:
    """What was asked to stop is stopped, however it ends."""
    history = run_history(
        plan_of(component("api")), [*up("api"), StopRequested("api"), Exited("api", 1, CRASH)]
    )
    assert history.phases[-1] == "api stopped"
    assert history.fleet.components["api"].last_exit == CRASH


# ---- the whole backend -------------------------------------------------------------------------------------------------------------


def test_the_backend_stops_in_reverse_waves() -> None:
    """Dependents first, the members of one wave together, and the end comes when everything is at rest."""
    plan = plan_of(
        component("db"), component("api", "db"), component("worker", "db"), component("web", "api", "worker")
    )
    runner = FleetRunner(plan)
    runner.send(*(event for event in up("db", "api", "worker", "web") if isinstance(event, Event)))
    assert stops(runner.send(CTRL_C)) == ["web"]
    assert stops(runner.send(Exited("web", 1, STOPPED))) == ["api", "worker"]
    assert stops(runner.send(Exited("worker", 1, STOPPED))) == []
    assert stops(runner.send(Exited("api", 1, STOPPED))) == ["db"]
    assert not runner.fleet.finished
    runner.send(Exited("db", 1, STOPPED))
    assert runner.finish == Finish(0, "Ctrl-C")
    assert runner.armed == {}


def test_order_holds_across_something_that_is_not_running() -> None:
    """A dependent of a dependent is waited for, even if what lies between is stopped already."""
    plan = plan_of(component("db"), component("api", "db"), component("web", "api"))
    runner = FleetRunner(plan)
    runner.send(*(event for event in up("db", "api", "web") if isinstance(event, Event)))
    runner.send(StopRequested("api"), Exited("api", 1, STOPPED))
    assert stops(runner.send(CTRL_C)) == ["web"]
    assert stops(runner.send(Exited("web", 1, STOPPED))) == ["db"]


def test_ctrl_c_during_the_start() -> None:
    """What is starting is stopped, what waits never starts, and the end is an orderly one."""
    plan = plan_of(component("db"), component("api", "db"), component("web", "api"))
    history = run_history(
        plan, [*up("db"), Launched("api", 1, 4711), CTRL_C, Started("api", 1), *over("api", "db")]
    )
    assert history.launched == ["db", "api"]
    assert history.phases[-5:] == ["api stopping", "web stopped", "api stopped", "db stopping", "db stopped"]
    assert history.finish == Finish(0, "Ctrl-C")


def test_a_stop_before_the_start() -> None:
    """A backend of which nothing runs ends at once."""
    history = run_history(plan_of(component("api")), [CTRL_C])
    assert history.finish == Finish(0, "Ctrl-C")
    assert history.effects == [Finish(0, "Ctrl-C")]


def test_no_start_and_no_restart_while_the_backend_stops() -> None:
    """Wishes for a start are refused, and what dies meanwhile is not started again."""
    plan = plan_of(component("db"), component("api", "db"))
    runner = FleetRunner(plan)
    runner.send(*(event for event in up("db", "api") if isinstance(event, Event)), CTRL_C)
    asked = runner.send(
        *(StartRequested("api"), RestartRequested("api"), StartRequested("db"), StartAllRequested()),
        *(RestartRequested("db"), Exited("db", 1, CRASH)),
    )
    asked += runner.wait(3.0)
    assert not [effect for effect in asked if isinstance(effect, Launch)]
    runner.send(Exited("api", 1, STOPPED))
    assert runner.finish == Finish(0, "Ctrl-C")
    assert runner.phases() == {"db": Phase.STOPPED, "api": Phase.STOPPED}


def test_a_restart_under_way_becomes_a_stop() -> None:
    """A component that was being restarted when the backend is stopped stays down."""
    history = run_history(
        plan_of(component("api")), [*up("api"), RestartRequested("api"), CTRL_C, *over("api")]
    )
    assert history.launched == ["api"]
    assert history.finish == Finish(0, "Ctrl-C")


def test_an_unhealthy_end_while_the_backend_stops_does_not_hold_it_up() -> None:
    """What loses liveness while it waits for its turn to stop ends early and stays down."""
    plan = plan_of(component("db"), component("api", "db"))
    history = run_history(
        plan, [*up("db", "api"), CTRL_C, LivenessLost("db", 1, "no heartbeat"), *over("db", "api"), 60.0]
    )
    assert history.launched == ["db", "api"]
    assert history.finish == Finish(0, "Ctrl-C")


def test_stopping_twice_is_stopping_once() -> None:
    """A second orderly request changes neither reason nor deadline nor exit code."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(*(event for event in up("api") if isinstance(event, Event)), CTRL_C)
    before = runner.fleet
    assert runner.send(ShutdownRequested("SIGTERM", exit_code=9)) == ()
    assert runner.fleet == before


# ---- out of time and by force ------------------------------------------------------------------------------------------------------


def test_out_of_time_everything_is_killed_and_the_end_is_75() -> None:
    """At the deadline of the whole stop whatever is alive is killed, whether or not it was its turn."""
    plan = plan_of(component("db"), component("api", "db", stop_grace=60.0), stop_timeout=20.0)
    runner = FleetRunner(plan)
    runner.send(*(event for event in up("db", "api") if isinstance(event, Event)), CTRL_C)
    assert runner.armed[Timer.SHUTDOWN, "", 0] == (20.0, SetTimer(Timer.SHUTDOWN, "", 0, 20.0))
    asked = runner.wait(20.0)
    assert [effect for effect in asked if isinstance(effect, RequestStop | Kill)] == [
        *(RequestStop("db", 1), Kill("db", 1), Kill("api", 1))
    ]
    runner.send(Exited("api", 1, KILLED), Exited("db", 1, KILLED))
    assert runner.finish == Finish(75, "Ctrl-C")


def test_what_cannot_be_killed_is_given_up_with_75() -> None:
    """A few seconds after the kill the launcher ends regardless, and names what it leaves behind."""
    plan = plan_of(component("db"), component("api"), stop_timeout=20.0)
    history = run_history(plan, [*up("db", "api"), CTRL_C, *over("db"), 60.0])
    assert history.finish == Finish(75, "gave up waiting for api to end")
    assert history.fleet.components["api"].phase is Phase.STOPPING


def test_a_second_ctrl_c_kills_and_ends_with_130() -> None:
    """Force means now: everything alive is killed in the same turn."""
    plan = plan_of(component("db"), component("api", "db"), component("web", "api"))
    runner = FleetRunner(plan)
    runner.send(*(event for event in up("db", "api") if isinstance(event, Event)), CTRL_C)
    assert [effect for effect in runner.send(SECOND) if isinstance(effect, Kill)] == [
        Kill("db", 1),
        Kill("api", 1),
        Kill("web", 1),
    ]
    runner.send(Exited("db", 1, KILLED), Exited("api", 1, KILLED), Exited("web", 1, KILLED))
    assert runner.finish == Finish(130, "Ctrl-C")


def test_force_ends_what_waits_and_what_backs_off() -> None:
    """A forced stop leaves nothing that could still start."""
    plan = plan_of(component("db"), component("api"), component("web", "api"))
    history = run_history(plan, [*up("db"), Exited("api", 1, CRASH), SECOND, Exited("db", 1, KILLED)])
    assert history.finish == Finish(130, "second Ctrl-C")
    assert {state.phase for state in history.fleet.components.values()} == {Phase.STOPPED}


def test_force_that_does_not_help_is_given_up() -> None:
    """Even by force the launcher does not wait for ever; the exit code remains that of the interruption."""
    history = run_history(plan_of(component("api")), [*up("api"), SECOND, 10.0])
    assert history.finish == Finish(130, "gave up waiting for api to end")


def test_the_end_is_the_end() -> None:
    """After the end no second end is announced."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(*(event for event in up("api") if isinstance(event, Event)), SECOND)
    runner.wait(10.0)
    late = runner.send(Exited("api", 1, KILLED), ShutdownDeadline())
    assert not [effect for effect in late if isinstance(effect, Finish)]


def test_a_deadline_without_a_stop_changes_nothing() -> None:
    """A stray deadline does not stop a backend that nobody asked to stop."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(*(event for event in up("api") if isinstance(event, Event)))
    assert runner.send(ShutdownDeadline()) == ()
    assert not runner.fleet.draining


# ---- what the launcher ends with -----------------------------------------------------------------------------------------------------

FAILED_ONE = [*up("db", "api"), Exited("api", 1, CRASH)]


@pytest.mark.parametrize(
    ("history", "code"),
    [
        pytest.param([*up("db", "api"), CTRL_C, *over("db", "api")], 0, id="stopped in order"),
        pytest.param(
            [*up("db", "api"), CTRL_C, Exited("db", 1, CRASH), *over("api")], 0, id="crashed while stopping"
        ),
        pytest.param([*FAILED_ONE, CTRL_C, *over("db")], 1, id="stopped after something had failed"),
        pytest.param([*up("db"), Exited("api", 1, CRASH), *over("db")], 1, id="failed to start"),
        pytest.param(
            [*up("db"), Exited("api", 1, CRASH), 10.0, Exited("db", 1, KILLED)],
            1,
            id="failed to start, then something had to be killed",
        ),
        pytest.param(
            [*up("db", "api"), CTRL_C, *over("db"), 10.0, Exited("api", 1, KILLED)], 75, id="killed"
        ),
        pytest.param(
            [*FAILED_ONE, CTRL_C, 10.0, Exited("db", 1, KILLED)], 75, id="failed before, killed now"
        ),
        pytest.param([*up("db", "api"), CTRL_C, 60.0], 75, id="stuck"),
        pytest.param(
            [*up("db", "api"), SECOND, Exited("db", 1, KILLED), Exited("api", 1, KILLED)], 130, id="forced"
        ),
        pytest.param([*up("db", "api"), SECOND, 60.0], 130, id="forced and stuck"),
        pytest.param([*up("db", "api"), ShutdownRequested("asked", 3), *over("db", "api")], 3, id="as asked"),
    ],
)
def test_exit_codes(history: list[Event | float], code: int) -> None:
    """Each way to end has its exit code."""
    finish = run_history(plan_of(component("db"), component("api", restart=NEVER)), history).finish
    assert finish is not None
    assert finish.exit_code == code


def test_a_kill_before_the_stop_of_the_backend_is_no_news_at_its_end() -> None:
    """Only what had to be killed while the backend was being stopped shows in the exit code."""
    plan = plan_of(component("db"), component("api", stop_grace=1.0))
    history = run_history(
        plan,
        [*up("db", "api"), StopRequested("api"), 1.0, Exited("api", 1, KILLED), CTRL_C, *over("db")],
    )
    assert history.finish == Finish(0, "Ctrl-C")


def test_completed_and_failed_together_end_with_1() -> None:
    """When everything has ended and something of it failed, so did the launcher."""
    plan = plan_of(component("a", oneshot=True), component("b", oneshot=True, restart=NEVER), keep_going=True)
    history = run_history(plan, [StartAllRequested(), Exited("a", 1, RETURNED), Exited("b", 1, CRASH)])
    assert history.finish == Finish(1, "every component has ended")


def test_readiness_of_dependencies_is_no_wish() -> None:
    """What rests is not started by anything that becomes ready."""
    plan = plan_of(component("api"), dependencies=(service("postgres"),))
    runner = FleetRunner(plan)
    assert runner.send(DependenciesReady("api")) == ()
    assert runner.state("api").phase is Phase.STOPPED
