"""The life of one component: a table of events and phases.

Everything that decides about one component is in this file and, for incarnations beside the current one, in ``launcher.core.succession``; what
follows an end is in ``launcher.core.ending``, and a lost dependency in ``launcher.core.loss``. Two rules keep it honest:

1. Every cell of ``TABLE`` is filled; what is ignored is ignored in writing.
2. Nothing here acts. A step returns the next state and the effects that the supervisor is to perform.

Events of an incarnation that is over never arrive here: ``launcher.core.fleet`` drops them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from launcher.core.action import KILL_REPEAT, Action, Result, ignore
from launcher.core.ending import end
from launcher.core.hang import become_unready, hang, recover, turn_again, watched
from launcher.core.loss import come_back, forget, let_go, note, prepare_return
from launcher.core.succession import BESIDE, begun, concerned
from launcher.model.effects import (
    CancelTimer,
    Effect,
    Kill,
    Launch,
    RequestStop,
    SetTimer,
    StartProbe,
    StopProbe,
    Timer,
)
from launcher.model.events import (
    BackoffOver,
    BecameReady,
    BecameUnready,
    Checked,
    DependenciesReady,
    DependencyBack,
    DependencyFailed,
    DependencyLost,
    Exited,
    GraceOver,
    IncarnationEvent,
    Launched,
    LivenessBack,
    LivenessLost,
    RestartRequested,
    ReturnOver,
    StartDeadline,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import DependencyLoss
from launcher.model.state import ComponentState, Desired, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.model.events import ComponentEvent
    from launcher.model.spec import ComponentSpec


def step(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """Return the state after ``event`` and the effects to perform; the one entry to both tables.

    What an incarnation tells goes to the table of that incarnation. A wish, or news of dependencies, concerns the current incarnation and its
    successor; but where there is a successor, whoever wishes a restart means that one.
    """
    beside = concerned(state, event)
    after, effects = state, cast("tuple[Effect, ...]", ())
    if beside is None or not isinstance(event, IncarnationEvent | RestartRequested):
        after, effects = TABLE[type(event)][state.phase].handle(spec, state, event, now)
    if beside is not None:
        after, more = BESIDE[type(event)][beside].handle(spec, after, event, now)
        effects = (*effects, *more)
    if after.phase is not state.phase:
        after = replace(after, since=now)
    after, forgotten = let_go(state, after)
    return after, (*effects, *forgotten)


# ---- what the cells do --------------------------------------------------------------------------------------------------


def _want_up(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    """Somebody asks for a start: earlier failures are forgiven."""
    after = replace(
        state,
        phase=Phase.WAITING,
        desired=Desired.UP,
        ever_ready=False,
        failures=0,
        restarts=(),
        next_attempt_at=None,
        reason="",
    )
    return after, (CancelTimer(Timer.BACKOFF, state.name, state.incarnation),)


def _retry(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    return replace(state, phase=Phase.WAITING, next_attempt_at=None), (
        CancelTimer(Timer.BACKOFF, state.name, state.incarnation),
    )


def _stay_down(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    """It is not running: wanting it down is all there is to do, but for earlier incarnations that still retire."""
    reason = cast("StopRequested", event).reason
    phase = Phase.STOPPING if state.retiring else Phase.STOPPED
    after = replace(
        state,
        phase=phase,
        desired=Desired.DOWN,
        next_attempt_at=None,
        reason=reason,
        ended=bool(state.retiring),
    )
    return after, (CancelTimer(Timer.BACKOFF, state.name, state.incarnation),)


def _launch(spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    incarnation = state.last_number + 1
    after = replace(
        state,
        phase=Phase.STARTING,
        incarnation=incarnation,
        started_at=None,
        ready_at=None,
        kills=0,
        reason="",
        pid=None,
        failed_restart=None,
        answer=None,
        failing="",
        hung_at=None,
    )
    return after, (
        Launch(state.name, incarnation),
        SetTimer(Timer.START, state.name, incarnation, spec.start_timeout),
    )


def _abandon(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    ended = cast("DependencyFailed", event).exit
    return replace(state, phase=Phase.FAILED, last_exit=ended, reason=ended.message), ()


def _note_process(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    launched = cast("Launched", event)
    return replace(state, pid=launched.pid, start=launched.start), ()


def _come_up(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """The component says that it has started; a probe may have to confirm it, and a one-shot is not done before it ends."""
    state = replace(state, started_at=now)
    if spec.oneshot:
        return state, (CancelTimer(Timer.START, state.name, state.incarnation),)
    if spec.ready is not None:
        return state, (StartProbe(state.name, state.incarnation),)
    return _become_ready(spec, state, event, now)


def _become_ready(spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, now: float) -> Result:
    after = replace(state, phase=Phase.READY, ready_at=now, ever_ready=True, reason="")
    return after, (
        CancelTimer(Timer.START, state.name, state.incarnation),
        *watched(spec, state.name, state.incarnation),
    )


def _note_answer(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    return replace(state, answer=cast("Checked", event).answer, answered_at=now), ()


def _note_reason(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    """It is still starting: the probe's answer says why, to whoever asks and should the start take too long."""
    return replace(state, reason=cast("BecameUnready", event).reason), ()


def _stop(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    match event:
        case StopRequested(reason=reason):
            after = replace(state, desired=Desired.DOWN, restart_asked=False, reason=reason)
        case RestartRequested():
            after = replace(state, restart_asked=True, reason="restarting")
        case DependencyLost(dependency=name, reason=why):
            after = replace(state, restart_asked=True, loss=name, reason=f"{name} is lost: {why}")
        case ReturnOver():
            after = replace(state, restart_asked=True, loss="", reason=f"{state.loss} is back: restarting")
        case _:
            why = f": {state.reason}" if state.reason else ""
            after = replace(state, reason=f"not ready within {spec.start_timeout:g} s{why}")
    return replace(after, phase=Phase.STOPPING), (
        StopProbe(state.name, state.incarnation),
        CancelTimer(Timer.START, state.name, state.incarnation),
        RequestStop(state.name, state.incarnation),
        SetTimer(Timer.GRACE, state.name, state.incarnation, spec.stop_grace),
    )


def _restart(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """Replace it where two incarnations may live at once; elsewhere stop it first."""
    if spec.overlap:
        return begun(state, now), ()
    return _stop(spec, state, event, now)


def _follow(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """What it depends on is lost: go down with it, or go on and be restarted later."""
    if spec.on_dependency_loss is DependencyLoss.STOP:
        return _stop(spec, state, event, now)
    return note(spec, state, event, now)


def _return(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """Restart what has seen a loss; if a successor is on its way, that is the restart."""
    if not spec.overlap:
        return _stop(spec, state, event, now)
    after, _ = forget(spec, state, event, now)
    return (begun(after, now) if state.successor is None else after), ()


def _want_up_again(
    _spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float
) -> Result:
    return replace(state, desired=Desired.UP, restart_asked=True, reason="restarting"), ()


def _want_down_instead(
    _spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float
) -> Result:
    reason = cast("StopRequested", event).reason
    return replace(state, desired=Desired.DOWN, restart_asked=False, reason=reason), ()


def _kill(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    return replace(state, kills=state.kills + 1), (
        Kill(state.name, state.incarnation),
        SetTimer(Timer.GRACE, state.name, state.incarnation, KILL_REPEAT),
    )


# ---- the table ------------------------------------------------------------------------------------------------------------

IGNORE: Action[Phase] = Action("ignore", (), ignore)
WANT_UP = Action("want up", (Phase.WAITING,), _want_up)
RETRY = Action("try again", (Phase.WAITING,), _retry)
STAY_DOWN = Action("stay down", (Phase.STOPPED, Phase.STOPPING), _stay_down)
LAUNCH = Action("launch", (Phase.STARTING,), _launch)
ABANDON = Action("abandon", (Phase.FAILED,), _abandon)
NOTE_PROCESS: Action[Phase] = Action("note process", (), _note_process)
COME_UP = Action("come up", (Phase.READY,), _come_up)
BECOME_READY = Action("become ready", (Phase.READY,), _become_ready)
NOTE_ANSWER: Action[Phase] = Action("note answer", (), _note_answer)
NOTE_REASON: Action[Phase] = Action("note reason", (), _note_reason)
RECOVER = Action("recover", (Phase.READY,), recover)
BECOME_UNREADY = Action("become unready", (Phase.UNREADY,), become_unready)
NOTE_FAILURE: Action[Phase] = Action("note failure", (), become_unready)
HANG = Action("hang", (Phase.STOPPING, Phase.UNREADY), hang)
HANG_NOT_READY = Action("hang while not ready", (Phase.STOPPING,), hang)
TURN_AGAIN = Action("turn again", (Phase.READY,), turn_again)
STOP = Action("stop", (Phase.STOPPING,), _stop)
RESTART = Action("restart", (Phase.STOPPING,), _restart)
WANT_UP_AGAIN: Action[Phase] = Action("want up again", (), _want_up_again)
WANT_DOWN_INSTEAD: Action[Phase] = Action("want down instead", (), _want_down_instead)
KILL: Action[Phase] = Action("kill", (), _kill)
NOTE_LOSS: Action[Phase] = Action("note loss", (), note)
FOLLOW = Action("follow", (Phase.STOPPING,), _follow)
COME_BACK = Action("come back", (Phase.BACKOFF,), come_back)
PREPARE_RETURN: Action[Phase] = Action("prepare return", (), prepare_return)
FORGET_LOSS: Action[Phase] = Action("forget loss", (), forget)
RETURN = Action("return", (Phase.STOPPING,), _return)
END_STARTING = Action("end starting", (Phase.WAITING, Phase.BACKOFF, Phase.COMPLETED, Phase.FAILED), end)
END = Action("end", (Phase.WAITING, Phase.BACKOFF, Phase.COMPLETED, Phase.FAILED, Phase.STARTING), end)
END_STOPPING = Action(
    "end stopping", (Phase.STOPPED, Phase.WAITING, Phase.BACKOFF, Phase.FAILED, Phase.STARTING), end
)


def _row(  # noqa: PLR0913 (one argument per phase: a row of the table)
    *,
    waiting: Action[Phase],
    starting: Action[Phase],
    ready: Action[Phase],
    unready: Action[Phase],
    stopping: Action[Phase],
    backoff: Action[Phase],
    stopped: Action[Phase],
    failed: Action[Phase],
    completed: Action[Phase],
) -> Mapping[Phase, Action[Phase]]:
    return {
        Phase.WAITING: waiting,
        Phase.STARTING: starting,
        Phase.READY: ready,
        Phase.UNREADY: unready,
        Phase.STOPPING: stopping,
        Phase.BACKOFF: backoff,
        Phase.STOPPED: stopped,
        Phase.FAILED: failed,
        Phase.COMPLETED: completed,
    }


TABLE: Mapping[type[ComponentEvent], Mapping[Phase, Action[Phase]]] = {
    StartRequested: _row(
        waiting=IGNORE, starting=IGNORE, ready=IGNORE, unready=IGNORE, stopping=WANT_UP_AGAIN,
        backoff=WANT_UP, stopped=WANT_UP, failed=WANT_UP, completed=WANT_UP,
    ),
    StopRequested: _row(
        waiting=STAY_DOWN, starting=STOP, ready=STOP, unready=STOP, stopping=WANT_DOWN_INSTEAD,
        backoff=STAY_DOWN, stopped=IGNORE, failed=STAY_DOWN, completed=IGNORE,
    ),
    RestartRequested: _row(
        waiting=IGNORE, starting=STOP, ready=RESTART, unready=RESTART, stopping=WANT_UP_AGAIN,
        backoff=WANT_UP, stopped=WANT_UP, failed=WANT_UP, completed=WANT_UP,
    ),
    DependenciesReady: _row(
        waiting=LAUNCH, starting=IGNORE, ready=IGNORE, unready=IGNORE, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    DependencyFailed: _row(
        waiting=ABANDON, starting=IGNORE, ready=IGNORE, unready=IGNORE, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    DependencyLost: _row(
        waiting=NOTE_LOSS, starting=FOLLOW, ready=FOLLOW, unready=FOLLOW, stopping=IGNORE,
        backoff=NOTE_LOSS, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    DependencyBack: _row(
        waiting=COME_BACK, starting=PREPARE_RETURN, ready=PREPARE_RETURN, unready=PREPARE_RETURN, stopping=IGNORE,
        backoff=FORGET_LOSS, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    Launched: _row(
        waiting=IGNORE, starting=NOTE_PROCESS, ready=NOTE_PROCESS, unready=NOTE_PROCESS, stopping=NOTE_PROCESS,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    Started: _row(
        waiting=IGNORE, starting=COME_UP, ready=IGNORE, unready=IGNORE, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    Checked: _row(
        waiting=IGNORE, starting=NOTE_ANSWER, ready=NOTE_ANSWER, unready=NOTE_ANSWER, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    BecameReady: _row(
        waiting=IGNORE, starting=BECOME_READY, ready=IGNORE, unready=RECOVER, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    BecameUnready: _row(
        waiting=IGNORE, starting=NOTE_REASON, ready=BECOME_UNREADY, unready=NOTE_FAILURE, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    LivenessLost: _row(
        waiting=IGNORE, starting=HANG_NOT_READY, ready=HANG, unready=HANG_NOT_READY, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    LivenessBack: _row(
        waiting=IGNORE, starting=IGNORE, ready=IGNORE, unready=TURN_AGAIN, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    StartDeadline: _row(
        waiting=IGNORE, starting=STOP, ready=IGNORE, unready=IGNORE, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    Exited: _row(
        waiting=IGNORE, starting=END_STARTING, ready=END, unready=END, stopping=END_STOPPING,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    GraceOver: _row(
        waiting=IGNORE, starting=IGNORE, ready=IGNORE, unready=IGNORE, stopping=KILL,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    BackoffOver: _row(
        waiting=IGNORE, starting=IGNORE, ready=IGNORE, unready=IGNORE, stopping=IGNORE,
        backoff=RETRY, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
    ReturnOver: _row(
        waiting=IGNORE, starting=STOP, ready=RETURN, unready=RETURN, stopping=IGNORE,
        backoff=IGNORE, stopped=IGNORE, failed=IGNORE, completed=IGNORE,
    ),
}  # fmt: skip
