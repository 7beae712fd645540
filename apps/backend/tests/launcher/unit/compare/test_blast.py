"""Who noticed, and when all is well again."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.compare.blast import changed, recovered


def item(phase: str = "ready", incarnation: int = 1, seconds: float = 60.0) -> Any:
    """Return as much of the document of a component as matters here."""
    return {"phase": phase, "incarnation": incarnation, "seconds": seconds}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(item(seconds=61.0), False, id="nothing happened"),
        pytest.param(item("unready", seconds=0.1), True, id="another phase"),
        pytest.param(item(incarnation=2, seconds=0.1), True, id="a new life"),
        pytest.param(item(seconds=0.1), True, id="away and back between two looks"),
        pytest.param(item(seconds=0.5), False, id="ready just before the blow"),
    ],
)
def test_who_noticed(now: Any, expected: bool) -> None:
    """A component noticed when it is in another phase or life, or younger in its phase than the blow (0.5 s ago)."""
    assert changed(item(), now, 0.5) is expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param({"api": item(), "worker": item()}, False, id="not yet seen"),
        pytest.param({"api": item("backoff"), "worker": item()}, False, id="down"),
        pytest.param({"api": item("starting", 2), "worker": item()}, False, id="coming"),
        pytest.param({"api": item("ready", 2), "worker": item("unready")}, False, id="another one is hit"),
        pytest.param({"api": item("ready", 2), "worker": item("ready", 2)}, True, id="both again"),
        pytest.param({"api": item("ready", 2), "worker": item()}, True, id="again"),
    ],
)
def test_all_is_well_again(now: Any, expected: bool) -> None:
    """The killed component lives a new life, and everything that had been up is up."""
    before = {"api": item(), "worker": item(), "broken": item("failed")}
    assert recovered(["api"], before, {**now, "broken": item("failed")}) is expected
