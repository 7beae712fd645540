"""Histories of the start: order, readiness, one-shots, failures, and when the start is over."""

from __future__ import annotations

import pytest

from launcher.core.waits import waits_for
from launcher.model.effects import Finish, Launch, RequestStop, SetTimer, StartProbe, StopProbe, Timer
from launcher.model.events import (
    BecameReady,
    BecameUnready,
    Exited,
    Launched,
    LivenessLost,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import Restart
from launcher.model.state import Desired, Exit, ExitKind, Phase
from launcher.testing import FleetRunner, run_history
from tests.launcher.unit.core.plans import (
    CRASH,
    NEVER,
    PATIENT,
    PROBE,
    RETURNED,
    STOPPED,
    UNSTARTABLE,
    component,
    plan_of,
)

DIAMOND = (
    component("web", "api", "worker"),
    component("api", "db"),
    component("worker", "db"),
    component("db"),
)


def test_components_start_wave_by_wave() -> None:
    """A component starts when all it depends on is ready, components of one wave start together."""
    history = run_history(
        plan_of(*DIAMOND),
        [StartAllRequested(), Started("db", 1), Started("worker", 1), Started("api", 1), Started("web", 1)],
    )
    assert history.phases == [
        *("db waiting", "api waiting", "worker waiting", "web waiting", "db starting"),
        *("db ready", "api starting", "worker starting"),
        "worker ready",
        *("api ready", "web starting"),
        "web ready",
    ]
    assert history.effects == [Launch("db", 1), Launch("api", 1), Launch("worker", 1), Launch("web", 1)]
    assert history.fleet.settled
    assert history.finish is None


def test_every_launch_has_a_deadline() -> None:
    """With each launch the start deadline of the component is armed, and readiness disarms it."""
    runner = FleetRunner(plan_of(component("api", start_timeout=7.0)))
    runner.send(StartAllRequested())
    assert runner.armed == {(Timer.START, "api", 1): (7.0, SetTimer(Timer.START, "api", 1, 7.0))}
    runner.send(Started("api", 1))
    assert runner.armed == {}


def test_without_a_probe_started_means_ready() -> None:
    """What has no probe is ready when it says that it has started."""
    history = run_history(plan_of(component("api")), [StartAllRequested(), Started("api", 1)])
    assert history.phases == ["api waiting", "api starting", "api ready"]


def test_with_a_probe_started_only_begins_to_ask() -> None:
    """What has a probe is ready when the probe says so."""
    plan = plan_of(component("api", ready=PROBE), component("web", "api"))
    history = run_history(plan, [StartAllRequested(), Started("api", 1), 5.0])
    assert history.phases == ["api waiting", "web waiting", "api starting"]
    assert history.effects == [Launch("api", 1), StartProbe("api", 1)]
    later = run_history(plan, [StartAllRequested(), Started("api", 1), BecameReady("api", 1)])
    assert later.phases[-2:] == ["api ready", "web starting"]


def test_readiness_may_be_told_before_the_start_is() -> None:
    """A component whose log tells that it is ready is ready, even when its host has not yet reported the start."""
    history = run_history(
        plan_of(component("api", ready=PROBE)),
        [StartAllRequested(), BecameReady("api", 1), Started("api", 1)],
    )
    assert history.phases[-1] == "api ready"
    assert history.effects == [Launch("api", 1)]


def test_unready_is_no_reason_to_restart_or_to_stop_dependents() -> None:
    """An unready component keeps running, says why, becomes ready again, and its dependents are left alone."""
    plan = plan_of(component("db", ready=PROBE), component("api", "db"))
    up = [StartAllRequested(), Started("db", 1), BecameReady("db", 1), Started("api", 1)]
    history = run_history(plan, [*up, BecameUnready("db", 1, "status 503"), 3600.0])
    assert history.phases[-1] == "db unready"
    assert history.fleet.components["db"].reason == "status 503"
    assert history.fleet.components["api"].phase is Phase.READY
    back = run_history(plan, [*up, BecameUnready("db", 1, "status 503"), BecameReady("db", 1)])
    assert back.phases[-2:] == ["db unready", "db ready"]
    assert back.fleet.components["db"].reason == ""


def test_unready_holds_back_what_has_not_started() -> None:
    """What depends on an unready component waits for it."""
    plan = plan_of(component("db", ready=PROBE), component("api", "db"))
    history = run_history(
        plan,
        [
            StartAllRequested(),
            Started("db", 1),
            BecameReady("db", 1),
            BecameUnready("db", 1, "status 503"),
            Exited("api", 1, CRASH),
            5.0,
        ],
    )
    assert history.fleet.components["api"].phase is Phase.WAITING
    (wait,) = waits_for(plan, history.fleet, "api")
    assert (wait.name, wait.what, wait.since) == ("db", "unready (status 503)", 0.0)


def test_a_one_shot_is_done_when_it_has_completed() -> None:
    """Dependents of a one-shot start when it has ended well, not when it has started."""
    plan = plan_of(component("migrate", oneshot=True), component("api", "migrate"))
    started = run_history(plan, [StartAllRequested(), Started("migrate", 1), 3600.0])
    assert started.phases == ["migrate waiting", "api waiting", "migrate starting"]
    done = run_history(plan, [StartAllRequested(), Started("migrate", 1), Exited("migrate", 1, RETURNED)])
    assert done.phases[-2:] == ["migrate completed", "api starting"]
    assert not done.fleet.settled


def test_a_one_shot_may_take_its_time_but_has_to_start_in_time() -> None:
    """The start deadline of a one-shot is about its start, not about its work."""
    plan = plan_of(component("migrate", oneshot=True))
    slow = run_history(plan, [StartAllRequested(), 61.0])
    assert slow.phases[-1] == "migrate stopping"
    working = run_history(plan, [StartAllRequested(), Started("migrate", 1), 3600.0])
    assert working.phases[-1] == "migrate starting"


def test_a_failed_one_shot_is_tried_again() -> None:
    """A one-shot that failed is started again like any other component."""
    history = run_history(
        plan_of(component("migrate", oneshot=True)), [StartAllRequested(), Exited("migrate", 1, CRASH), 1.0]
    )
    assert history.phases[-3:] == ["migrate backoff", "migrate waiting", "migrate starting"]


def test_what_a_component_waits_for_can_be_told() -> None:
    """A waiting component names everything that it waits for, how that stands, and since when."""
    plan = plan_of(*DIAMOND)
    runner = FleetRunner(plan)
    runner.send(StartAllRequested())
    runner.wait(2.0)
    assert waits_for(plan, runner.fleet, "db") == ()
    waits = waits_for(plan, runner.fleet, "web")
    assert [(wait.name, wait.what, wait.since) for wait in waits] == [
        ("api", "waiting", 0.0),
        ("worker", "waiting", 0.0),
    ]
    runner.send(Started("db", 1), Started("api", 1))
    assert [(wait.name, wait.what, wait.since) for wait in waits_for(plan, runner.fleet, "web")] == [
        ("worker", "starting", 2.0)
    ]


def test_the_process_of_an_incarnation_is_noted_and_forgotten() -> None:
    """The PID is known while the incarnation lives, and published with its changes."""
    runner = FleetRunner(plan_of(component("api", restart=PATIENT)))
    runner.send(StartAllRequested(), Launched("api", 1, 4711))
    assert runner.state("api").pid == 4711
    runner.send(Started("api", 1), Exited("api", 1, CRASH))
    assert runner.state("api").pid is None
    assert [change.pid for change in runner.transitions] == [None, None, 4711, 4711]


# ---- what a start includes -----------------------------------------------------------------------------------------------


def test_starting_something_starts_what_it_needs() -> None:
    """A wish to start a component includes all that it depends on, directly or not, and nothing else."""
    history = run_history(plan_of(*DIAMOND), [StartRequested("api"), Started("db", 1), Started("api", 1)])
    assert history.launched == ["db", "api"]
    assert history.fleet.components["web"].phase is Phase.STOPPED


def test_starting_something_starts_what_it_needs_even_if_that_is_just_stopping() -> None:
    """A requirement that is on its way down comes up again, instead of leaving the component to wait for ever."""
    plan = plan_of(component("db"), component("api", "db"))
    up = [StartAllRequested(), Started("db", 1), Started("api", 1)]
    down = [StopRequested("api"), Exited("api", 1, STOPPED), StopRequested("db")]
    history = run_history(
        plan,
        [*up, *down, StartRequested("api"), Exited("db", 1, STOPPED), Started("db", 2), Started("api", 2)],
    )
    assert history.phases[-7:] == [
        *("db stopping", "api waiting", "db waiting", "db starting"),
        *("db ready", "api starting", "api ready"),
    ]


def test_starting_something_tries_a_failed_requirement_again() -> None:
    """A requirement that had failed for good is given another chance."""
    plan = plan_of(component("db", restart=NEVER), component("api", "db"), component("web"), keep_going=True)
    history = run_history(
        plan, [StartAllRequested(), Started("web", 1), Exited("db", 1, CRASH), StartRequested("api")]
    )
    assert history.phases[-3:] == ["db failed", "db waiting", "db starting"]


def test_a_requirement_that_has_completed_is_not_run_again() -> None:
    """Starting what depends on a one-shot does not repeat the one-shot."""
    plan = plan_of(component("migrate", oneshot=True), component("api", "migrate"))
    up = [StartAllRequested(), Exited("migrate", 1, RETURNED), Started("api", 1)]
    history = run_history(plan, [*up, StopRequested("api"), Exited("api", 1, STOPPED), StartRequested("api")])
    assert history.launched == ["migrate", "api", "api"]


# ---- a start that goes wrong ----------------------------------------------------------------------------------------------


def test_a_start_that_takes_too_long_is_stopped_and_counted() -> None:
    """At the start deadline the component is asked to stop, and its end is a failure for its health."""
    history = run_history(
        plan_of(component("api", start_timeout=5.0)),
        [StartAllRequested(), Launched("api", 1, 4711), 5.0, Exited("api", 1, RETURNED)],
    )
    assert history.phases == ["api waiting", "api starting", "api stopping", "api backoff"]
    assert history.effects == [
        Launch("api", 1),
        StopProbe("api", 1),
        RequestStop("api", 1),
        StopProbe("api", 1),
    ]
    state = history.fleet.components["api"]
    assert state.last_exit == Exit(ExitKind.UNHEALTHY, "not ready within 5 s")
    assert (state.failures, state.total_restarts) == (1, 1)


def test_a_loss_of_liveness_is_counted() -> None:
    """What shows no sign of life is stopped, whatever its own end says, and started again."""
    history = run_history(
        plan_of(component("api", restart=NEVER)),
        [
            StartAllRequested(),
            Started("api", 1),
            LivenessLost("api", 1, "no heartbeat for 10 s"),
            Exited("api", 1, RETURNED),
        ],
    )
    assert history.phases[-2:] == ["api stopping", "api failed"]
    assert history.fleet.components["api"].last_exit == Exit(ExitKind.UNHEALTHY, "no heartbeat for 10 s")


def test_an_end_before_readiness_says_so() -> None:
    """An exit during the start is explained as such."""
    history = run_history(plan_of(component("api")), [StartAllRequested(), Exited("api", 1, CRASH)])
    assert history.fleet.components["api"].reason == "ended before it was ready: ValueError: boom"


def test_the_first_failure_ends_up_with_1() -> None:
    """A component that fails for good during the start stops the rest in order; the launcher ends with 1."""
    plan = plan_of(component("db"), component("api", "db"), component("web", "api"))
    history = run_history(
        plan,
        [StartAllRequested(), Started("db", 1), Exited("api", 1, UNSTARTABLE), Exited("db", 1, STOPPED)],
    )
    assert history.phases[-5:] == ["api starting", "api failed", "db stopping", "web stopped", "db stopped"]
    assert history.finish == Finish(1, "api failed to start")


def test_keep_going_keeps_the_rest() -> None:
    """With keep_going the others stay up, and the start is over when nothing more can come."""
    plan = plan_of(component("db"), component("api"), component("web", "api"), keep_going=True)
    history = run_history(
        plan, [StartAllRequested(), Exited("api", 1, UNSTARTABLE), Started("db", 1), 3600.0]
    )
    assert history.phases[-2:] == ["api failed", "db ready"]
    assert history.fleet.components["web"].phase is Phase.WAITING
    assert history.fleet.settled
    assert history.finish is None


def test_a_launcher_with_nothing_left_to_do_ends() -> None:
    """When all that has not ended waits for what failed for good, nothing can ever happen: the launcher ends with 1."""
    plan = plan_of(component("db"), component("api", "db"), component("web", "api"), keep_going=True)
    history = run_history(plan, [StartAllRequested(), Exited("db", 1, UNSTARTABLE)])
    assert history.phases[-3:] == ["db failed", "api stopped", "web stopped"]
    assert history.finish == Finish(1, "every component has ended")


@pytest.mark.parametrize("keep_going", [False, True])
def test_the_start_is_over_when_each_component_was_ready_once(keep_going: bool) -> None:
    """What was ready once counts, even if it is being restarted when the last one becomes ready."""
    plan = plan_of(component("a", restart=PATIENT), component("b"), keep_going=keep_going)
    history = run_history(
        plan, [StartAllRequested(), Started("a", 1), Exited("a", 1, CRASH), Started("b", 1)]
    )
    assert history.phases[-2:] == ["a backoff", "b ready"]
    assert history.fleet.settled


def test_a_crash_loop_during_the_start_is_a_failed_start() -> None:
    """A component that uses up its restart window during the start fails it."""
    plan = plan_of(component("api", restart=Restart(max_restarts=1)), component("db"))
    history = run_history(
        plan,
        [
            *(StartAllRequested(), Started("db", 1), Exited("api", 1, CRASH), 1.0),
            *(Exited("api", 2, CRASH), Exited("db", 1, STOPPED)),
        ],
    )
    assert history.finish == Finish(1, "api failed to start")
    assert history.fleet.components["api"].reason == (
        "ended before it was ready: ValueError: boom (gave up after 1 restarts in 60 s)"
    )


def test_a_failure_after_the_start_leaves_the_others_alone() -> None:
    """Once the backend is up, a component that fails for good degrades it, no more."""
    plan = plan_of(component("api", restart=NEVER), component("db"))
    history = run_history(
        plan, [StartAllRequested(), Started("db", 1), Started("api", 1), Exited("api", 1, CRASH), 3600.0]
    )
    assert history.phases[-1] == "api failed"
    assert history.fleet.components["api"].desired is Desired.UP
    assert not history.fleet.draining


def test_settled_is_not_lost() -> None:
    """The start is over once and for all."""
    history = run_history(
        plan_of(component("api")), [StartAllRequested(), Started("api", 1), Exited("api", 1, CRASH), 10.0]
    )
    assert history.fleet.components["api"].phase is Phase.STARTING
    assert history.fleet.settled


def test_when_everything_has_completed_the_launcher_ends_with_0() -> None:
    """A backend of one-shots ends by itself."""
    plan = plan_of(component("migrate", oneshot=True), component("seed", "migrate", oneshot=True))
    history = run_history(
        plan, [StartAllRequested(), Exited("migrate", 1, RETURNED), Exited("seed", 1, RETURNED)]
    )
    assert history.finish == Finish(0, "every component has ended")
    assert history.phases[-2:] == ["seed starting", "seed completed"]


def test_a_launcher_with_everything_stopped_by_hand_goes_on() -> None:
    """What somebody stopped may be wanted again: only what ended by itself ends the launcher."""
    history = run_history(
        plan_of(component("api")),
        [StartAllRequested(), Started("api", 1), StopRequested("api"), Exited("api", 1, STOPPED), 3600.0],
    )
    assert history.finish is None


# ---- events that come too late -----------------------------------------------------------------------------------------------


def test_events_of_an_earlier_life_change_nothing() -> None:
    """Whatever an earlier incarnation still reports is dropped."""
    runner = FleetRunner(plan_of(component("api", restart=PATIENT)))
    runner.send(StartAllRequested(), Started("api", 1), Exited("api", 1, CRASH))
    runner.wait(1.0)
    before = runner.fleet
    assert before.components["api"].incarnation == 2
    effects = runner.send(
        *(Started("api", 1), BecameReady("api", 1), BecameUnready("api", 1, "late"), Exited("api", 1, CRASH)),
        *(LivenessLost("api", 1, "late"), Launched("api", 1, 4711)),
    )
    assert effects == ()
    assert runner.fleet == before
