"""Transitions and gaps as lines for people."""

from __future__ import annotations

import re
from typing import Any

import pytest

from launcher.cli.events import gap_line, transition_line

CHANGE: dict[str, Any] = {
    "time": "2026-11-27T12:00:00.250000Z",
    "component": "api",
    "incarnation": 2,
    "role": "current",
    "before": "starting",
    "after": "ready",
    "event": "BecameReady",
    "reason": "",
    "exit": None,
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "api#2  starting -> ready"),
        ({"reason": "restarting"}, "api#2  starting -> ready  (restarting)"),
        ({"exit": {"message": "killed by SIGKILL"}}, "api#2  starting -> ready  (killed by SIGKILL)"),
        ({"reason": "boom", "exit": {"message": "boom"}}, "api#2  starting -> ready  (boom)"),
        ({"reason": "late", "exit": {"message": "boom"}}, "api#2  starting -> ready  (late; boom)"),
        ({"role": "successor", "event": "Launched"}, "api#2  successor, Launched"),
    ],
)
def test_a_transition_is_one_line(changes: dict[str, Any], line: str) -> None:
    """The time of day with milliseconds, the life, what has changed, and why, each reason once."""
    time, _, rest = transition_line({**CHANGE, **changes}).partition("  ")
    assert re.fullmatch(r"\d\d:\d\d:00\.250", time)
    assert rest == line


def test_a_gap_says_how_much_is_missing() -> None:
    """Or only that something is, where nobody knows."""
    assert gap_line({"missing": 3, "reason": "old"}) == "3 events are missing here: old"
    assert gap_line({"missing": None, "reason": "new run"}) == "events are missing here: new run"
