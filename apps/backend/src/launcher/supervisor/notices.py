"""Says what no phase tells: that an external service was lost or a shared event loop stood still, and that it is well again; each once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from launcher.model.logs import LogLine, Stream
from launcher.model.state import ALIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.core.view import View
    from launcher.model.state import ComponentState


class Notices:
    """Follows the supervisor; to be used on its loop.

    Args:
        log: takes the lines.
    """

    def __init__(self, log: Callable[[LogLine], None]) -> None:
        self._log = log
        self._lost: dict[str, float] = {}
        self._hung: dict[str, float] = {}

    def follow(self, view: View) -> None:
        """Tell what is new."""
        self._follow_dependencies(view)
        self._follow_loops(view)

    def _follow_loops(self, view: View) -> None:
        for state in view.fleet.components.values():
            if state.hung_at is not None and state.name not in self._hung:
                self._hung[state.name] = state.hung_at
                self._say(state.reason, "ERROR", state)
            elif state.hung_at is None and state.name in self._hung:
                hung = view.now - self._hung.pop(state.name)
                if state.phase in ALIVE:
                    self._say(f"its event loop turns again, {hung:.1f} s later", "WARNING", state)

    def _follow_dependencies(self, view: View) -> None:
        for state in view.fleet.dependencies.values():
            lost = state.usable is False
            if lost and state.name not in self._lost:
                self._lost[state.name] = state.since
                users = [name for name, spec in view.plan.components.items() if state.name in spec.depends_on]
                why = f": {state.reason}" if state.reason else ""
                self._say(f"{state.name} is lost{why}; needed by {', '.join(users)}", "WARNING")
            elif not lost and state.name in self._lost:
                away = view.now - self._lost.pop(state.name)
                self._say(f"{state.name} is back after {away:.1f} s", "INFO")

    def _say(self, message: str, level: str, about: ComponentState | None = None) -> None:
        name, incarnation = ("", 0) if about is None else (about.name, about.incarnation)
        self._log(LogLine(time.time(), name, Stream.LOG, message, incarnation, level, "launcher"))
