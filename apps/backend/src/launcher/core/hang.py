"""What follows when the event loop of a component no longer turns, and when it turns again.

What has a process of its own is ended: it gets a moment to show where it stands, then it is killed, and its restart policy decides. In the
launcher's own process nothing can be killed, so the component is unready, with the name of whoever blocks the loop, until it turns again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from launcher.model.effects import (
    CancelTimer,
    RequestStop,
    SetTimer,
    ShowStacks,
    StartHeartbeat,
    StopProbe,
    Timer,
)
from launcher.model.events import BecameUnready, LivenessLost
from launcher.model.state import Phase

if TYPE_CHECKING:
    from launcher.core.action import Result
    from launcher.model.effects import Effect
    from launcher.model.events import ComponentEvent
    from launcher.model.spec import ComponentSpec
    from launcher.model.state import ComponentState

LAST_WORDS = 1.0
"""Seconds between asking a process that hangs for the stacks of its threads and killing it; writing them takes milliseconds."""


def watched(spec: ComponentSpec, name: str, incarnation: int) -> tuple[Effect, ...]:
    """Return how the watch of a component begins that has just become ready; nothing for one that declares none."""
    return (StartHeartbeat(name, incarnation),) if spec.heartbeat else ()


def hang(spec: ComponentSpec, state: ComponentState, event: ComponentEvent, now: float) -> Result:
    """The loop does not turn: kill what can be killed, and say of the rest that it cannot work."""
    reason = cast("LivenessLost", event).reason
    show = ShowStacks(state.name, state.incarnation)
    if (
        not spec.alone and state.phase is Phase.STARTING
    ):  # whoever starts may block for a while; its deadline decides
        return state, ()
    if not spec.alone:
        return replace(state, phase=Phase.UNREADY, reason=reason, hung_at=now), (show,)
    return replace(state, phase=Phase.STOPPING, reason=reason), (
        StopProbe(state.name, state.incarnation),
        CancelTimer(Timer.START, state.name, state.incarnation),
        show,
        RequestStop(state.name, state.incarnation),
        SetTimer(Timer.GRACE, state.name, state.incarnation, LAST_WORDS),
    )


def turn_again(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    """The loop turns again: it is as ready as its probe says, which may have failed meanwhile."""
    if state.hung_at is None:
        return state, ()
    if state.failing:
        return replace(state, hung_at=None, reason=state.failing), ()
    return replace(state, phase=Phase.READY, hung_at=None, reason=""), ()


def become_unready(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    """The probe fails; while the loop does not turn, that is the better reason."""
    failing = cast("BecameUnready", event).reason or "not ready"
    reason = failing if state.hung_at is None else state.reason
    return replace(state, phase=Phase.UNREADY, reason=reason, failing=failing), ()


def recover(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    """The probe succeeds; that is no proof that the loop turns, since a connection is accepted by the kernel."""
    if state.hung_at is not None:
        return replace(state, failing=""), ()
    return replace(state, phase=Phase.READY, failing="", reason=""), ()
