"""What follows the end of the current incarnation: rest, another life at once, a delay, or giving up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from launcher.core.restart import backoff_delay, jittered, window_used_up, within_window
from launcher.core.succession import promoted
from launcher.model.effects import CancelTimer, SetTimer, StopProbe, Timer
from launcher.model.events import Exited
from launcher.model.spec import RestartPolicy
from launcher.model.state import Desired, ExitKind, Phase

if TYPE_CHECKING:
    from launcher.core.action import Result
    from launcher.model.events import ComponentEvent
    from launcher.model.spec import ComponentSpec
    from launcher.model.state import ComponentState, Exit


def end(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """Answer an exit; the incarnation is over: stopped, completed, failed, or another try."""
    ended = _blamed(state, cast("Exited", event).exit)
    over = replace(
        state, last_exit=ended, pid=None, hung_at=None, failing="", reason=_explained(spec, state, ended)
    )
    after, effects = _next_life(spec, over, ended, now)
    return after, (
        StopProbe(state.name, state.incarnation),
        CancelTimer(Timer.START, state.name, state.incarnation),
        CancelTimer(Timer.GRACE, state.name, state.incarnation),
        *effects,
    )


def _blamed(state: ComponentState, ended: Exit) -> Exit:
    """The exit as it is to be remembered: what the supervisor ended for its health did not end of its own accord."""
    ended = replace(ended, killed=ended.killed or state.kills > 0)
    unhealthy = state.phase is Phase.STOPPING and state.desired is Desired.UP and not state.restart_asked
    if unhealthy and not ended.fatal:
        return replace(ended, kind=ExitKind.UNHEALTHY, message=state.reason)
    return ended


def _explained(spec: ComponentSpec, state: ComponentState, ended: Exit) -> str:
    if state.phase is Phase.STARTING and not ended.fatal and not (spec.oneshot and ended.ok):
        return f"ended before it was ready: {ended.message}"
    return ended.message


def _next_life(spec: ComponentSpec, state: ComponentState, ended: Exit, now: float) -> Result:
    if state.successor is not None:
        return promoted(state, state.successor), ()
    if state.desired is Desired.DOWN and state.retiring:
        return replace(state, ended=True), ()
    if state.desired is Desired.DOWN:
        return replace(state, phase=Phase.STOPPED), ()
    if state.restart_asked:
        return replace(state, phase=Phase.WAITING, restart_asked=False), ()
    if ended.fatal:
        return replace(state, phase=Phase.FAILED), ()
    if not _restarts(spec, ended):
        return replace(state, phase=Phase.COMPLETED if ended.ok else Phase.FAILED), ()
    if window_used_up(state.restarts, now, spec.restart):
        gave_up = f"gave up after {spec.restart.max_restarts} restarts in {spec.restart.window:g} s"
        return replace(state, phase=Phase.FAILED, reason=f"{state.reason} ({gave_up})"), ()
    return _try_again(spec, state, now)


def _restarts(spec: ComponentSpec, ended: Exit) -> bool:
    if spec.oneshot and ended.ok:
        return False
    match spec.restart.policy:
        case RestartPolicy.ALWAYS:
            return True
        case RestartPolicy.ON_FAILURE:
            return not ended.ok
        case RestartPolicy.NEVER:
            return False


def _try_again(spec: ComponentSpec, state: ComponentState, now: float) -> Result:
    ready_for = 0.0 if state.ready_at is None else now - state.ready_at
    failures = 0 if ready_for >= spec.restart.reset_after else state.failures
    delay = jittered(backoff_delay(spec.restart, failures, ready_for), state.name, state.incarnation)
    again = replace(
        state,
        failures=failures + 1,
        restarts=(*within_window(state.restarts, now, spec.restart.window), now),
        total_restarts=state.total_restarts + 1,
    )
    if delay == 0.0:
        return replace(again, phase=Phase.WAITING), ()
    return replace(again, phase=Phase.BACKOFF, next_attempt_at=now + delay), (
        SetTimer(Timer.BACKOFF, state.name, state.incarnation, delay),
    )
