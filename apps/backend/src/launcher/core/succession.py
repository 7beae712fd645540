"""The incarnations beside the current one: a successor that starts, and lives that retire.

A component that may overlap is restarted by a successor. It starts beside the current incarnation and takes its place once it is ready; only
then the old one is asked to stop, and it retires until it has ended. A successor that fails retires itself, and the old one serves on.

The same two rules as in ``launcher.core.machine`` hold: every cell of ``BESIDE`` is filled, and nothing here acts.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum, unique
from typing import TYPE_CHECKING, cast

from launcher.core.action import KILL_REPEAT, Action, Result, ignore
from launcher.core.hang import watched
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
from launcher.model.state import ComponentState, Desired, Exit, ExitKind, Phase, Retiring, Successor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.model.events import ComponentEvent
    from launcher.model.spec import ComponentSpec


@unique
class Stage(StrEnum):
    """Where an incarnation stands that is not the current one; the last two only say what becomes of it."""

    WAITING = "successor waiting"
    STARTING = "successor starting"
    RETIRING = "retiring"
    CURRENT = "current"
    GONE = "gone"


def concerned(state: ComponentState, event: ComponentEvent) -> Stage | None:
    """Return the column that takes the event; ``None`` when no incarnation beside the current one is concerned.

    What is told by an incarnation concerns that one. A wish, or news of what the component depends on, concerns a successor.
    """
    successor = state.successor
    if not isinstance(event, IncarnationEvent):
        return None if successor is None else _stage(successor)
    if successor is not None and successor.incarnation == event.incarnation != 0:
        return _stage(successor)
    if any(life.incarnation == event.incarnation for life in state.retiring):
        return Stage.RETIRING
    return None


def knows(state: ComponentState, event: IncarnationEvent) -> bool:
    """Whether the event is about the current incarnation or about one that lives beside it."""
    current = event.incarnation == state.incarnation and not state.ended
    return current or concerned(state, event) is not None


def beside(state: ComponentState) -> str:
    """Return for people what happens beside the current incarnation; empty for nothing."""
    parts = []
    if state.successor is not None:
        number = state.successor.incarnation
        doing = f"incarnation {number} is starting" if number else "the new incarnation waits"
        why = f" ({state.successor.reason})" if state.successor.reason else ""
        parts.append(f"restarting: {doing}{why}")
    elif state.failed_restart is not None:
        parts.append(f"the restart failed: {state.failed_restart.message}")
    if state.retiring:
        numbers = ", ".join(str(life.incarnation) for life in state.retiring)
        parts.append(f"incarnation {numbers} still ends")
    return "; ".join(parts)


def begun(state: ComponentState, now: float) -> ComponentState:
    """Return the state in which a successor is wanted; it is launched as soon as what the component depends on is ready."""
    return replace(state, successor=Successor(since=now), failed_restart=None)


def promoted(state: ComponentState, successor: Successor) -> ComponentState:
    """Return the state after the current incarnation ended before its successor was ready: what has been started goes on as the current one."""
    launched = successor.phase is Phase.STARTING
    return replace(
        state,
        phase=successor.phase,
        incarnation=successor.incarnation if launched else state.incarnation,
        restart_asked=False,
        started_at=successor.started_at,
        ready_at=None,
        kills=0,
        reason=successor.reason,
        pid=successor.pid,
        start=successor.start,
        successor=None,
        answer=None,
        failing="",
        hung_at=None,
    )


def gone(state: ComponentState) -> ComponentState:
    """Return the state after the last incarnation of a component that was being stopped has ended."""
    if state.desired is Desired.UP:
        return replace(state, phase=Phase.WAITING, restart_asked=False, ended=False)
    return replace(state, phase=Phase.STOPPED, ended=False)


def _stage(successor: Successor) -> Stage:
    return Stage.STARTING if successor.phase is Phase.STARTING else Stage.WAITING


def _successor(state: ComponentState) -> Successor:
    return cast("Successor", state.successor)  # its columns are asked only when there is one


# ---- what the cells do --------------------------------------------------------------------------------------------------


def _drop(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    return replace(state, successor=None), ()


def _launch(spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, now: float) -> Result:
    incarnation = state.last_number + 1
    successor = Successor(Phase.STARTING, incarnation, since=now)
    return replace(state, successor=successor, newest=incarnation), (
        Launch(state.name, incarnation),
        SetTimer(Timer.START, state.name, incarnation, spec.start_timeout),
    )


def _note_process(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    told = cast("Launched", event)
    return replace(state, successor=replace(_successor(state), pid=told.pid, start=told.start)), ()


def _note_old_process(
    _spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float
) -> Result:
    told = cast("Launched", event)
    before = _retiring(state, told.incarnation)
    return _replaced(state, before, replace(before, pid=told.pid)), ()


def _note_reason(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    reason = cast("BecameUnready", event).reason
    return replace(state, successor=replace(_successor(state), reason=reason)), ()


def _come_up(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """The successor says that it has started; a probe may have to confirm it."""
    successor = replace(_successor(state), started_at=now)
    state = replace(state, successor=successor)
    if spec.ready is not None:
        return state, (StartProbe(state.name, successor.incarnation),)
    return _take_over(spec, state, event, now)


def _take_over(spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, now: float) -> Result:
    """The successor is ready: it becomes the current incarnation, and the old one retires, if it was not being stopped already."""
    successor = _successor(state)
    stopping = state.phase is Phase.STOPPING
    old = Retiring(state.incarnation, state.since if stopping else now, state.pid, state.kills)
    after = replace(
        state,
        phase=Phase.READY,
        incarnation=successor.incarnation,
        since=now,
        restart_asked=False,
        started_at=successor.started_at,
        ready_at=now,
        ever_ready=True,
        kills=0,
        reason="",
        pid=successor.pid,
        start=successor.start,
        successor=None,
        answer=None,
        failing="",
        hung_at=None,
        retiring=(*state.retiring, old),
    )
    ready: tuple[Effect, ...] = (
        CancelTimer(Timer.START, state.name, successor.incarnation),
        *watched(spec, state.name, successor.incarnation),
    )
    if stopping:
        return after, ready
    return after, (*ready, *_asked_to_stop(spec, state.name, state.incarnation))


def _retire(spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, now: float) -> Result:
    """Nobody wants the successor any more."""
    successor = _successor(state)
    old = Retiring(successor.incarnation, now, successor.pid)
    after = replace(state, successor=None, retiring=(*state.retiring, old))
    return after, _asked_to_stop(spec, state.name, successor.incarnation)


def _supersede(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """Whoever asks again wants what is there now, perhaps newer code: another successor takes the place of this one."""
    after, effects = _retire(spec, state, event, now)
    return begun(after, now), effects


def _follow(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """What the component depends on is lost: the successor has begun with what is gone, and is of no use to anybody."""
    if spec.on_dependency_loss is DependencyLoss.STOP:
        return _retire(spec, state, event, now)
    return _supersede(spec, state, event, now)


def _give_up(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """The successor does not become ready, or waits in vain: the current incarnation goes on."""
    match event:
        case DependencyFailed(exit=ended):
            return _failed(state, ended), ()
        case LivenessLost(reason=reason):
            why = Exit(ExitKind.UNHEALTHY, reason)
        case _:
            told = _successor(state).reason
            late = f"not ready within {spec.start_timeout:g} s{f': {told}' if told else ''}"
            why = Exit(ExitKind.UNHEALTHY, late)
    after, effects = _retire(spec, state, event, now)
    return _failed(after, why), effects


def _end_early(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    """The successor ended before it was ready: the current incarnation goes on."""
    told = cast("Exited", event)
    ended = told.exit
    message = ended.message if ended.fatal else f"ended before it was ready: {ended.message}"
    after = _failed(replace(state, last_exit=ended), replace(ended, message=message))
    return after, (
        StopProbe(state.name, told.incarnation),
        CancelTimer(Timer.START, state.name, told.incarnation),
    )


def _failed(state: ComponentState, why: Exit) -> ComponentState:
    return replace(state, successor=None, failed_restart=why)


def _end(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    """A retiring incarnation has ended; it may have been the last thing that a stop waited for."""
    told = cast("Exited", event)
    over = _retiring(state, told.incarnation)
    ended = replace(told.exit, killed=told.exit.killed or over.kills > 0)
    after = _replaced(replace(state, last_exit=ended), over)
    if after.ended and not after.retiring:
        after = gone(after)
    return after, (CancelTimer(Timer.GRACE, state.name, told.incarnation),)


def _kill(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    before = _retiring(state, cast("GraceOver", event).incarnation)
    return _replaced(state, before, replace(before, kills=before.kills + 1)), (
        Kill(state.name, before.incarnation),
        SetTimer(Timer.GRACE, state.name, before.incarnation, KILL_REPEAT),
    )


def _retiring(state: ComponentState, incarnation: int) -> Retiring:
    return next(life for life in state.retiring if life.incarnation == incarnation)


def _replaced(state: ComponentState, before: Retiring, *after: Retiring) -> ComponentState:
    """Return the state with another value, or nothing, in the place of a life that retires."""
    retiring = [each for life in state.retiring for each in (after if life is before else (life,))]
    return replace(state, retiring=tuple(retiring))


def _asked_to_stop(spec: ComponentSpec, name: str, incarnation: int) -> tuple[Effect, ...]:
    return (
        StopProbe(name, incarnation),
        CancelTimer(Timer.START, name, incarnation),
        RequestStop(name, incarnation),
        SetTimer(Timer.GRACE, name, incarnation, spec.stop_grace),
    )


# ---- the table ------------------------------------------------------------------------------------------------------------

IGNORE: Action[Stage] = Action("ignore", (), ignore)
DROP = Action("drop", (Stage.GONE,), _drop)
LAUNCH = Action("launch", (Stage.STARTING,), _launch)
NOTE_PROCESS: Action[Stage] = Action("note process", (), _note_process)
NOTE_OLD_PROCESS: Action[Stage] = Action("note old process", (), _note_old_process)
NOTE_REASON: Action[Stage] = Action("note reason", (), _note_reason)
COME_UP = Action("come up", (Stage.CURRENT,), _come_up)
TAKE_OVER = Action("take over", (Stage.CURRENT,), _take_over)
RETIRE = Action("retire", (Stage.RETIRING,), _retire)
SUPERSEDE = Action("supersede", (Stage.RETIRING,), _supersede)
FOLLOW = Action("follow", (Stage.RETIRING,), _follow)
GIVE_UP_WAITING = Action("give up waiting", (Stage.GONE,), _give_up)
GIVE_UP = Action("give up", (Stage.RETIRING,), _give_up)
END_EARLY = Action("end early", (Stage.GONE,), _end_early)
END = Action("end", (Stage.GONE,), _end)
KILL: Action[Stage] = Action("kill", (), _kill)


def _row(
    *, waiting: Action[Stage], starting: Action[Stage], retiring: Action[Stage]
) -> Mapping[Stage, Action[Stage]]:
    return {Stage.WAITING: waiting, Stage.STARTING: starting, Stage.RETIRING: retiring}


BESIDE: Mapping[type[ComponentEvent], Mapping[Stage, Action[Stage]]] = {
    StartRequested: _row(waiting=IGNORE, starting=IGNORE, retiring=IGNORE),
    StopRequested: _row(waiting=DROP, starting=RETIRE, retiring=IGNORE),
    RestartRequested: _row(waiting=IGNORE, starting=SUPERSEDE, retiring=IGNORE),
    DependenciesReady: _row(waiting=LAUNCH, starting=IGNORE, retiring=IGNORE),
    DependencyFailed: _row(waiting=GIVE_UP_WAITING, starting=IGNORE, retiring=IGNORE),
    DependencyLost: _row(waiting=IGNORE, starting=FOLLOW, retiring=IGNORE),
    DependencyBack: _row(waiting=IGNORE, starting=IGNORE, retiring=IGNORE),
    Launched: _row(waiting=IGNORE, starting=NOTE_PROCESS, retiring=NOTE_OLD_PROCESS),
    Started: _row(waiting=IGNORE, starting=COME_UP, retiring=IGNORE),
    Checked: _row(waiting=IGNORE, starting=IGNORE, retiring=IGNORE),
    BecameReady: _row(waiting=IGNORE, starting=TAKE_OVER, retiring=IGNORE),
    BecameUnready: _row(waiting=IGNORE, starting=NOTE_REASON, retiring=IGNORE),
    LivenessLost: _row(waiting=IGNORE, starting=GIVE_UP, retiring=IGNORE),
    LivenessBack: _row(waiting=IGNORE, starting=IGNORE, retiring=IGNORE),
    StartDeadline: _row(waiting=IGNORE, starting=GIVE_UP, retiring=IGNORE),
    Exited: _row(waiting=IGNORE, starting=END_EARLY, retiring=END),
    GraceOver: _row(waiting=IGNORE, starting=IGNORE, retiring=KILL),
    BackoffOver: _row(waiting=IGNORE, starting=IGNORE, retiring=IGNORE),
    ReturnOver: _row(waiting=IGNORE, starting=IGNORE, retiring=IGNORE),
}
"""What happens when an event (row) meets an incarnation beside the current one (column)."""
