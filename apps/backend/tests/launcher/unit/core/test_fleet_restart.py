"""Histories of restarts: when, how fast, how often, and what somebody's wish changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from launcher.core.restart import jittered
from launcher.model.effects import Finish, Kill, Launch, RequestStop, SetTimer, StopProbe, Timer
from launcher.model.events import (
    BackoffOver,
    BecameReady,
    BecameUnready,
    Event,
    Exited,
    RestartRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import Restart, RestartPolicy
from launcher.model.state import Desired, Exit, ExitKind, Phase
from launcher.testing import FleetRunner, run_history
from tests.launcher.unit.core.plans import (
    CRASH,
    KILLED,
    NEVER,
    PATIENT,
    PROBE,
    RETURNED,
    STOPPED,
    UNSTARTABLE,
    backoffs,
    component,
    plan_of,
)

UP: tuple[Event, ...] = (StartAllRequested(), Started("api", 1))
UNREACHABLE = Exit(ExitKind.UNREACHABLE, "postgres was not reachable")
EXITED = Exit(ExitKind.EXITED, "exited with 3", code=3)


def crashes(count: int, *, ready_for: float | None = None) -> list[Event | float]:
    """Return the lives 1 to ``count`` of ``api``, each crashing after it was ready for so long, or before; then some minutes' rest."""
    history: list[Event | float] = [StartAllRequested()]
    for incarnation in range(1, count + 1):
        if ready_for is not None:
            history += [Started("api", incarnation), ready_for]
        history += [Exited("api", incarnation, CRASH), 36.0]
    return history


# ---- whether -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "ended", "phase"),
    [
        (RestartPolicy.ALWAYS, RETURNED, Phase.BACKOFF),
        (RestartPolicy.ALWAYS, CRASH, Phase.BACKOFF),
        (RestartPolicy.ALWAYS, EXITED, Phase.BACKOFF),
        (RestartPolicy.ALWAYS, KILLED, Phase.BACKOFF),
        (RestartPolicy.ALWAYS, UNSTARTABLE, Phase.FAILED),
        (RestartPolicy.ALWAYS, UNREACHABLE, Phase.FAILED),
        (RestartPolicy.ON_FAILURE, RETURNED, Phase.COMPLETED),
        (RestartPolicy.ON_FAILURE, CRASH, Phase.BACKOFF),
        (RestartPolicy.ON_FAILURE, EXITED, Phase.BACKOFF),
        (RestartPolicy.ON_FAILURE, KILLED, Phase.BACKOFF),
        (RestartPolicy.ON_FAILURE, UNSTARTABLE, Phase.FAILED),
        (RestartPolicy.NEVER, RETURNED, Phase.COMPLETED),
        (RestartPolicy.NEVER, CRASH, Phase.FAILED),
        (RestartPolicy.NEVER, EXITED, Phase.FAILED),
        (RestartPolicy.NEVER, KILLED, Phase.FAILED),
        (RestartPolicy.NEVER, UNSTARTABLE, Phase.FAILED),
    ],
)
@pytest.mark.parametrize("ready", [False, True])
def test_policy_decides_what_follows_an_end(
    policy: RestartPolicy, ended: Exit, phase: Phase, ready: bool
) -> None:
    """Policy and kind of end decide between another try, completed and failed, ready or not."""
    plan = plan_of(component("api", restart=Restart(policy)), component("other"))
    history = run_history(
        plan, [StartAllRequested(), *([Started("api", 1)] if ready else []), Exited("api", 1, ended)]
    )
    assert history.fleet.components["api"].phase is phase


@pytest.mark.parametrize(
    ("ended", "policy", "phase"),
    [
        (RETURNED, RestartPolicy.ALWAYS, Phase.COMPLETED),
        (RETURNED, RestartPolicy.ON_FAILURE, Phase.COMPLETED),
        (RETURNED, RestartPolicy.NEVER, Phase.COMPLETED),
        (CRASH, RestartPolicy.ALWAYS, Phase.BACKOFF),
        (CRASH, RestartPolicy.ON_FAILURE, Phase.BACKOFF),
        (CRASH, RestartPolicy.NEVER, Phase.FAILED),
    ],
)
def test_a_one_shot_is_never_repeated_after_success(ended: Exit, policy: RestartPolicy, phase: Phase) -> None:
    """A one-shot that ended well has completed under every policy."""
    plan = plan_of(component("api", oneshot=True, restart=Restart(policy)), component("other"))
    history = run_history(plan, [*UP, Exited("api", 1, ended)])
    assert history.fleet.components["api"].phase is phase


def test_what_can_never_start_fails_at_once() -> None:
    """An end that no restart can help is final: no backoff, and the hint is kept."""
    plan = plan_of(component("api", restart=PATIENT), component("db"))
    history = run_history(plan, [StartAllRequested(), Exited("api", 1, UNSTARTABLE)])
    assert "api failed" in history.phases
    assert backoffs(history) == []
    state = history.fleet.components["api"]
    assert state.reason == "no module named nowhere"
    assert state.last_exit == UNSTARTABLE


# ---- how fast ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ready_for", "delays"),
    [
        pytest.param(None, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0], id="never ready"),
        pytest.param(9.9, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0], id="not for long"),
        pytest.param(
            10.0, [0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0], id="the first time without delay"
        ),
        pytest.param(59.9, [0.4, 0.8, 1.6], id="just not long enough to forget"),
        pytest.param(60.0, [], id="always forgotten"),
    ],
)
def test_pacing(ready_for: float | None, delays: list[float]) -> None:
    """The delay doubles with each failure up to its limit; a long life is followed by a start at once, a longer one forgets."""
    count = len(delays) if ready_for is None or ready_for < 10.0 else len(delays) + 1
    history = run_history(
        plan_of(component("api", restart=PATIENT)), crashes(count + (not delays) * 3, ready_for=ready_for)
    )
    immediate = len(history.launched) - 1 - len(delays)
    spread = [
        jittered(delay, "api", incarnation) for incarnation, delay in enumerate(delays, start=1 + immediate)
    ]
    assert backoffs(history) == spread


@pytest.mark.parametrize("ready_for", [10.0, 30.0, 60.0])
def test_after_a_long_life_the_restart_comes_at_once(ready_for: float) -> None:
    """The first end after ten seconds of readiness leads to the next launch in the same turn."""
    history = run_history(plan_of(component("api")), [*UP, ready_for, Exited("api", 1, CRASH)])
    assert history.phases[-3:] == ["api ready", "api waiting", "api starting"]
    assert history.effects == [Launch("api", 1), StopProbe("api", 1), Launch("api", 2)]


def test_a_spell_of_unreadiness_does_not_begin_a_new_life() -> None:
    """How long a component was ready counts from the first time, not from the end of the last flap."""
    history = run_history(
        plan_of(component("api", ready=PROBE)),
        [
            *(StartAllRequested(), BecameReady("api", 1), 6.0, BecameUnready("api", 1, "status 503")),
            *(BecameReady("api", 1), 6.0, Exited("api", 1, CRASH)),
        ],
    )
    assert history.phases[-2:] == ["api waiting", "api starting"]


def test_the_own_figures_of_a_component_are_used() -> None:
    """First and longest delay are what the declaration says."""
    policy = Restart(delay=1.0, max_delay=3.0, max_restarts=100)
    history = run_history(plan_of(component("api", restart=policy)), crashes(4))
    assert backoffs(history) == [
        jittered(delay, "api", incarnation) for incarnation, delay in enumerate([1.0, 2.0, 3.0, 3.0], start=1)
    ]


def test_the_time_of_the_next_attempt_is_known() -> None:
    """During a backoff the state says when it ends; afterwards it does not."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(StartAllRequested(), Exited("api", 1, CRASH))
    delay = jittered(0.2, "api", 1)
    assert runner.state("api").next_attempt_at == delay
    assert runner.armed == {(Timer.BACKOFF, "api", 1): (delay, SetTimer(Timer.BACKOFF, "api", 1, delay))}
    runner.fire_next()
    assert runner.clock() == delay
    assert runner.state("api").next_attempt_at is None
    assert runner.state("api").phase is Phase.STARTING


# ---- how often -----------------------------------------------------------------------------------------------------------------


def quick_crashes(first: int, last: int) -> Sequence[Event | float]:
    """Return lives that end before they are ready, each followed by six seconds, enough for the backoff."""
    return [item for number in range(first, last + 1) for item in (Exited("api", number, CRASH), 6.0)]


def test_the_restart_window_gives_up() -> None:
    """More than five restarts within 60 seconds: failed, with the reason and the figures."""
    plan = plan_of(component("api"), component("db"))
    history = run_history(plan, [StartAllRequested(), Started("db", 1), *quick_crashes(1, 6)])
    state = history.fleet.components["api"]
    assert history.launched == ["api", "db", *["api"] * 5]
    assert state.phase is Phase.FAILED
    assert state.reason == "ended before it was ready: ValueError: boom (gave up after 5 restarts in 60 s)"
    assert state.total_restarts == 5


def test_restarts_that_are_long_ago_do_not_count() -> None:
    """The window moves on: crashes far enough apart go on for ever."""
    history = run_history(plan_of(component("api")), crashes(20, ready_for=9.0))
    assert len(history.launched) == 21
    assert history.fleet.components["api"].total_restarts == 20
    assert len(history.fleet.components["api"].restarts) <= 5


def test_a_critical_component_that_gives_up_stops_the_backend_with_70() -> None:
    """A critical failure after the start stops everything in order; the exit code asks a service manager to act."""
    plan = plan_of(component("db"), component("api", "db", critical=True, restart=NEVER))
    history = run_history(
        plan,
        [
            *(StartAllRequested(), Started("db", 1), Started("api", 1)),
            *(Exited("api", 1, CRASH), Exited("db", 1, STOPPED)),
        ],
    )
    assert history.phases[-4:] == ["api ready", "api failed", "db stopping", "db stopped"]
    assert history.finish == Finish(70, "api is critical and failed")


def test_a_critical_failure_escalates_even_when_others_are_kept_going() -> None:
    """keep_going is about components that the backend can do without."""
    plan = plan_of(component("db", critical=True), component("api"), keep_going=True)
    history = run_history(
        plan,
        [StartAllRequested(), Started("api", 1), Exited("db", 1, UNSTARTABLE), Exited("api", 1, STOPPED)],
    )
    assert history.finish == Finish(70, "db is critical and failed")


# ---- what somebody's wish changes ------------------------------------------------------------------------------------------------


def test_a_restart_stops_and_starts_without_backoff_and_is_not_counted() -> None:
    """Somebody's restart leads to a new incarnation at once and leaves failures and window alone."""
    history = run_history(
        plan_of(component("api")), [*UP, RestartRequested("api"), Exited("api", 1, STOPPED)]
    )
    assert history.phases[-3:] == ["api stopping", "api waiting", "api starting"]
    assert history.effects == [
        *(Launch("api", 1), StopProbe("api", 1), RequestStop("api", 1)),
        *(StopProbe("api", 1), Launch("api", 2)),
    ]
    state = history.fleet.components["api"]
    assert (state.failures, state.restarts, state.total_restarts, state.restart_asked) == (0, (), 0, False)


def test_a_restart_succeeds_however_the_old_life_ends() -> None:
    """An old incarnation that has to be killed or crashes while stopping does not spoil the restart."""
    for ended in (CRASH, KILLED, UNSTARTABLE):
        history = run_history(
            plan_of(component("api", restart=NEVER)), [*UP, RestartRequested("api"), Exited("api", 1, ended)]
        )
        assert history.phases[-1] == "api starting"


@pytest.mark.parametrize("wish", [StartRequested("api"), RestartRequested("api")])
def test_a_wish_during_a_backoff_starts_at_once_and_forgives(wish: Event) -> None:
    """Somebody who asks does not wait for a backoff, and earlier failures are forgotten."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(StartAllRequested(), Exited("api", 1, CRASH), wish)
    state = runner.state("api")
    assert (state.phase, state.incarnation, state.failures, state.restarts) == (Phase.STARTING, 2, 0, ())
    assert (Timer.BACKOFF, "api", 1) not in runner.armed


@pytest.mark.parametrize("wish", [StartRequested("api"), RestartRequested("api")])
def test_a_wish_brings_back_what_had_failed(wish: Event) -> None:
    """A failed component starts when asked, with a fresh restart window."""
    plan = plan_of(component("api"), component("db"))
    failed = [StartAllRequested(), Started("db", 1), Started("api", 1), *quick_crashes(1, 6)]
    history = run_history(plan, [*failed, wish])
    assert history.phases[-3:] == ["api failed", "api waiting", "api starting"]
    again = run_history(plan, [*failed, wish, *quick_crashes(7, 11)])
    assert again.fleet.components["api"].phase is Phase.STARTING


@pytest.mark.parametrize("wish", [StartRequested("api"), RestartRequested("api")])
def test_a_wish_repeats_what_has_completed(wish: Event) -> None:
    """A completed one-shot runs again when asked."""
    plan = plan_of(component("api", oneshot=True), component("db"))
    history = run_history(plan, [StartAllRequested(), Exited("api", 1, RETURNED), wish])
    assert history.phases[-3:] == ["api completed", "api waiting", "api starting"]


def test_a_start_during_the_stop_follows_it() -> None:
    """The new life begins when the old one is over, never beside it."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(*UP, StopRequested("api"))
    assert runner.send(StartRequested("api")) == ()
    assert runner.state("api").desired is Desired.UP
    assert Launch("api", 2) in runner.send(Exited("api", 1, STOPPED))


def test_the_last_wish_counts() -> None:
    """Start and stop asked for during a stop: whichever came last."""
    plan = plan_of(component("api"))
    down = run_history(
        plan,
        [
            *UP,
            RestartRequested("api"),
            StartRequested("api"),
            StopRequested("api"),
            Exited("api", 1, STOPPED),
        ],
    )
    assert down.phases[-1] == "api stopped"
    up = run_history(
        plan,
        [*UP, StopRequested("api"), StopRequested("api"), StartRequested("api"), Exited("api", 1, STOPPED)],
    )
    assert up.phases[-1] == "api starting"


def test_a_start_of_what_runs_changes_nothing() -> None:
    """A wish that is already fulfilled has no effect."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(*UP)
    before = runner.fleet
    assert runner.send(StartRequested("api")) == ()
    assert runner.fleet == before


def test_a_restart_of_an_unhealthy_component_is_somebodys_restart() -> None:
    """A restart asked for while a component is being ended for its health is not counted as its failure."""
    plan = plan_of(component("api", start_timeout=1.0))
    history = run_history(
        plan, [StartAllRequested(), 1.0, RestartRequested("api"), Exited("api", 1, STOPPED)]
    )
    assert history.phases[-1] == "api starting"
    assert history.fleet.components["api"].total_restarts == 0


def test_what_ignores_the_stop_is_killed_again_and_again() -> None:
    """After its grace a component is killed, and killed again until it is gone; the exit says so."""
    runner = FleetRunner(plan_of(component("api", stop_grace=4.0)))
    runner.send(*UP, StopRequested("api"))
    assert runner.wait(3.9) == ()
    assert [effect for effect in runner.wait(6.0) if isinstance(effect, Kill)] == [Kill("api", 1)] * 3
    assert runner.state("api").kills == 3
    runner.send(Exited("api", 1, KILLED))
    state = runner.state("api")
    assert state.phase is Phase.STOPPED
    assert state.last_exit is not None
    assert state.last_exit.killed
    assert runner.armed == {}


def test_a_kill_of_an_earlier_life_says_nothing_about_the_next() -> None:
    """The count of kills begins anew with each incarnation."""
    plan = plan_of(component("api", stop_grace=1.0))
    history = run_history(
        plan, [*UP, RestartRequested("api"), 1.0, Exited("api", 1, KILLED), Exited("api", 2, CRASH)]
    )
    state = history.fleet.components["api"]
    assert state.kills == 0
    assert state.last_exit == CRASH


def test_a_late_timer_of_the_backoff_changes_nothing() -> None:
    """A backoff timer that fired just before it was disarmed does not start anything twice."""
    runner = FleetRunner(plan_of(component("api")))
    runner.send(StartAllRequested(), Exited("api", 1, CRASH), StopRequested("api"))
    assert runner.send(BackoffOver("api", 1)) == ()
    runner.send(StartRequested("api"))
    assert runner.send(BackoffOver("api", 1)) == ()
    assert [effect for effect in runner.effects if isinstance(effect, Launch)] == [
        Launch("api", 1),
        Launch("api", 2),
    ]
