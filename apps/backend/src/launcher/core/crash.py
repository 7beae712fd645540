"""Which ends are crashes: an incarnation ended badly, and nobody had asked for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.model.state import ExitKind, Phase, Role

if TYPE_CHECKING:
    from launcher.model.events import Transition

_EVEN_WHEN_ASKED = frozenset({ExitKind.RAISED, ExitKind.UNHEALTHY})
"""Ends that are bad although a stop was asked for: its code failed while stopping, or it was stopped for its health."""


def crashed(change: Transition) -> bool:
    """Whether a transition is about an incarnation that has ended badly, or was given up.

    A process that was asked to stop may end with any code or signal; what never began to run, since a dependency stayed away, cannot crash.
    """
    ended = change.exit
    if ended is None or ended.ok or ended.kind is ExitKind.UNREACHABLE or not change.incarnation:
        return False
    asked = change.role is Role.RETIRING or (change.role is Role.CURRENT and change.before is Phase.STOPPING)
    return not asked or ended.kind in _EVEN_WHEN_ASKED
