"""What is published of a change: a transition, for readers that cannot compare states themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from launcher.model.events import Exited, Transition
from launcher.model.state import Role

if TYPE_CHECKING:
    from launcher.model.events import ComponentEvent
    from launcher.model.state import ComponentState, Exit


class _About(NamedTuple):
    """Which life a change is about, and what is said of it."""

    role: Role
    incarnation: int
    reason: str
    exit: Exit | None


def change(
    before: ComponentState, after: ComponentState, event: ComponentEvent, now: float
) -> Transition | None:
    """Return what readers are told of the consequences of one event for one component; ``None`` when it is nothing to them.

    They are told of every change of phase, of what is wanted and of the current incarnation; of a successor when it is launched and when it is
    given up; and of every end.
    """
    about = _about(before, after, event)
    if about is None:
        return None
    return Transition(
        component=after.name,
        incarnation=about.incarnation,
        before=before.phase,
        after=after.phase,
        desired=after.desired,
        event=type(event).__name__,
        at=now,
        reason=about.reason,
        exit=about.exit,
        pid=after.pid or before.pid if about.role is Role.CURRENT else None,
        role=about.role,
    )


def _about(before: ComponentState, after: ComponentState, event: ComponentEvent) -> _About | None:
    ended = after.last_exit if after.last_exit is not before.last_exit else None
    if _main(before) != _main(after):
        number = event.incarnation if isinstance(event, Exited) else after.incarnation
        return _About(Role.CURRENT, number, after.reason, ended)
    given_up = after.failed_restart
    if given_up is not None and given_up is not before.failed_restart:
        number = before.successor.incarnation if before.successor is not None else 0
        return _About(Role.SUCCESSOR, number, given_up.message, given_up)
    launched = _launched(after)
    if launched and launched != _launched(before):
        return _About(Role.SUCCESSOR, launched, "restarting", None)
    if isinstance(event, Exited) and ended is not None:
        return _About(Role.RETIRING, event.incarnation, ended.message, ended)
    return None


def _main(state: ComponentState) -> tuple[object, ...]:
    return state.phase, state.desired, state.incarnation


def _launched(state: ComponentState) -> int:
    """The number of the successor, 0 when there is none or it was not launched."""
    return state.successor.incarnation if state.successor is not None else 0
