"""When to say who is still being waited for while something stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.model.state import Phase
from launcher.observe.text import duration

if TYPE_CHECKING:
    from launcher.core.view import View

FIRST = (0.05, 0.33)
"""Shares of the time to stop after which it is said who is still being waited for (the figures of Tilt)."""

REPEAT = 5.0
"""Seconds between two later reminders."""


class Patience:
    """Remembers what was said about which incarnation, so that each reminder comes once."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._said: dict[tuple[str, int], int] = {}

    def remind(self, view: View) -> list[str]:
        """Return who is to be mentioned now, each with how long it has been waited for; mostly empty."""
        due = []
        for name, state in view.fleet.components.items():
            if state.phase is not Phase.STOPPING:
                continue
            waited = view.now - state.since
            grace = view.plan.components[name].stop_grace
            number = reminders(waited, grace)
            if number > self._said.get((name, state.incarnation), 0):
                self._said[name, state.incarnation] = number
                killed = state.kills or any(life.kills for life in state.retiring)
                limit = f" of {duration(grace)}" if not killed else ", killed, not gone yet"
                due.append(f"{name} ({duration(waited)}{limit})")
        return due


def reminders(waited: float, grace: float) -> int:
    """Return how many reminders are due after ``waited`` seconds of ``grace``: at 5 %, at 33 %, then every five seconds."""
    early = sum(waited >= share * grace for share in FIRST)
    if early < len(FIRST):
        return early
    return early + int((waited - FIRST[-1] * grace) / REPEAT)
