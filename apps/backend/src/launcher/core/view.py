"""What readers get: one immutable picture of the launcher and everything it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from launcher.core.hold import held
from launcher.core.loss import needs
from launcher.core.waits import waits_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.core.plan import Plan
    from launcher.core.waits import Wait
    from launcher.model.state import FleetState
    from launcher.model.stores import StoreState
    from launcher.model.usage import Usage


@dataclass(frozen=True, slots=True)
class View:
    """The launcher at one moment.

    Attributes:
        now: monotonic seconds, the clock of all times in ``fleet``.
        wall: seconds since the epoch at the same moment.
        started_at: seconds since the epoch when the launcher started.
        pid: process of the launcher.
        unserved: the components whose port nobody serves, and since when.
        usage: what was seen of it all; ``None`` where nobody has looked.
        store: how the state store is doing; ``None`` where nobody has asked it.
    """

    plan: Plan
    fleet: FleetState
    now: float
    wall: float
    started_at: float
    pid: int
    version: str
    unserved: Mapping[str, float] = field(default_factory=dict)
    usage: Usage | None = None
    store: StoreState | None = None

    def waits_for(self, name: str) -> tuple[Wait, ...]:
        """What the component still needs before it can start."""
        return waits_for(self.plan, self.fleet, name)

    def needs(self, name: str) -> tuple[Wait, ...]:
        """What the running component depends on and does not have just now."""
        return needs(self.plan, self.fleet, name)

    def held(self, name: str) -> bool:
        """Whether the launcher answers the clients of the component with 503, because nobody serves it."""
        return name in held(self.plan, self.fleet, self.unserved, self.now).names

    def stopping(self) -> tuple[str, ...]:
        """The components that are still being waited for while the backend stops, or that are stopping now."""
        return tuple(
            state.name
            for state in self.fleet.components.values()
            if state.phase == "stopping" or (self.fleet.draining and state.lives)
        )


def differs(before: View | None, after: View) -> bool:
    """Whether somebody who knows a view from before is to see the later one; the duration of a check alone is not worth it."""
    if before is None or before.plan is not after.plan or before.unserved != after.unserved:
        return True
    old, new = before.fleet, after.fleet
    return (old.settled, old.draining, old.finished, old.components, _told(old)) != (
        new.settled,
        new.draining,
        new.finished,
        new.components,
        _told(new),
    )


def _told(fleet: FleetState) -> list[tuple[str, bool | None, str]]:
    return [(state.name, state.up, state.reason) for state in fleet.dependencies.values()]
