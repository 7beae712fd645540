"""When an event loop counts as blocked, and how that is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.model.usage import Beat

BLOCKED_AFTER = 1.0
"""Seconds without an answer after which a loop counts as blocked. Vert.x warns after 2 s, Dask after 3 s; an answer takes well under 10 ms."""


def blocked(beat: Beat | None) -> bool:
    """Whether the loop has not answered for so long that something must keep it."""
    return beat is not None and not beat.answered and beat.lag >= BLOCKED_AFTER


def blocker(beat: Beat) -> str:
    """Return what keeps the loop, for people: ``by writer at jobs.py:7``; empty when that cannot be seen."""
    by = f"by {beat.blamed}" if beat.blamed else ""
    at = f"at {beat.where}" if beat.where else ""
    return " ".join(part for part in (by, at) if part)
