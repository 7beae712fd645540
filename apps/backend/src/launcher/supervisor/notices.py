"""Says that an external service was lost and that it is back, each once; no component's own log tells that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from launcher.model.logs import LogLine, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.core.view import View


class Notices:
    """Follows the supervisor; to be used on its loop.

    Args:
        log: takes the lines.
    """

    def __init__(self, log: Callable[[LogLine], None]) -> None:
        self._log = log
        self._lost: dict[str, float] = {}

    def follow(self, view: View) -> None:
        """Tell what is new."""
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

    def _say(self, message: str, level: str) -> None:
        self._log(LogLine(time.time(), "", Stream.LOG, message, level=level, logger="launcher"))
