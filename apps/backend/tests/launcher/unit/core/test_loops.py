"""When an event loop counts as blocked."""

from __future__ import annotations

import pytest

from launcher.core.loops import BLOCKED_AFTER, blocked, blocker
from launcher.model.usage import Beat


@pytest.mark.parametrize(
    ("beat", "expected"),
    [
        (None, False),
        (Beat(0.001), False),
        (Beat(BLOCKED_AFTER * 2), False),
        (Beat(BLOCKED_AFTER * 0.9, answered=False), False),
        (Beat(BLOCKED_AFTER, answered=False), True),
    ],
)
def test_blocked(beat: Beat | None, expected: bool) -> None:
    """Only an open question makes a loop blocked, and only after a while: an answer that came late is an answer."""
    assert blocked(beat) is expected


@pytest.mark.parametrize(
    ("beat", "told"),
    [
        (Beat(2.0), ""),
        (Beat(2.0, where="jobs.py:7 (run)"), "at jobs.py:7 (run)"),
        (Beat(2.0, blamed="writer"), "by writer"),
        (Beat(2.0, where="jobs.py:7 (run)", blamed="writer"), "by writer at jobs.py:7 (run)"),
    ],
)
def test_what_keeps_a_loop(beat: Beat, told: str) -> None:
    """What is known of the culprit is told, and nothing else."""
    assert blocker(beat) == told
