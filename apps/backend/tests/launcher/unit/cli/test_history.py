"""What ``launcher history`` and ``launcher status --all`` choose and print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from launcher.cli.history import chosen, count_from, history_lines
from launcher.cli.launchers import standing_lines
from launcher.cli.render import store_lines
from launcher.errors import UsageError
from launcher.records import Standing

if TYPE_CHECKING:
    from launcher.documents import StatusDocument
    from launcher.observe.store_documents import StoreDocument


def change(seq: int, component: str = "api", **more: object) -> dict[str, Any]:
    """A transition at second ``seq`` after 10:00."""
    return {
        "run": 1_795_770_000_000,
        "seq": seq,
        "time": f"2026-11-27T10:00:{seq:02}+00:00",
        "component": component,
        "incarnation": 1,
        "before": "starting",
        "after": "ready",
        **more,
    }


GAP = {"run": 1_795_770_000_000, "seq": 4, "time": "2026-11-27T10:00:04+00:00", "gap": [3, 4]}
ALL = [change(1), change(2, "agents.writer"), GAP, change(5, "api.2"), change(6, "apis")]


@pytest.mark.parametrize(
    ("names", "count", "expected"),
    [
        ([], None, [1, 2, 4, 5, 6]),
        ([], 2, [5, 6]),
        ([], 0, []),
        (["api"], None, [1, 4, 5]),
        (["agents"], None, [2, 4]),
        (["*s"], None, [4, 6]),
        (["api.2", "apis"], 1, [6]),
    ],
)
def test_which_transitions(names: list[str], count: int | None, expected: list[int]) -> None:
    """The last ones of the components that are named, with replicas and agents; a gap may have held any of them."""
    assert [each["seq"] for each in chosen(reversed(ALL), names, 0.0, count)] == expected


def test_since_ends_the_reading() -> None:
    """What is too early is not read: the store may be far away and long."""
    taken = []

    def reading() -> Any:
        for each in reversed(ALL):
            taken.append(each["seq"])
            yield each

    start = 1_795_773_605.0  # 10:00:05
    assert [each["seq"] for each in chosen(reading(), [], start, None)] == [5, 6]
    assert taken == [6, 5, 4]


@pytest.mark.parametrize(("text", "count"), [("all", None), ("0", 0), ("12", 12)])
def test_counts(text: str, count: int | None) -> None:
    """A number, or all."""
    assert count_from(text) == count


@pytest.mark.parametrize("text", ["-1", "some", "1.5", ""])
def test_no_counts(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(UsageError, match="a number or all"):
        count_from(text)


def test_lines() -> None:
    """One line each; a new run is told; gaps, other lives and reasons are, and nothing of a reason can move the cursor."""
    found = [
        change(1),
        GAP,
        change(5, role="retiring", incarnation=3, before="ready", exit={"message": "gone\x1b[2J"}, reason=""),
        change(6, after="failed", reason="bad\nday", incarnation=0),
        change(7, after="stopped", reason="stopped"),
        change(1, run=1_795_771_000_000),
    ]
    lines = [line[25:] for line in history_lines(found)]
    assert lines == [
        "the launcher started",
        "api  starting -> ready (incarnation 1)",
        "2 transitions were lost: the state store was not reachable",
        "api  ready (retiring incarnation 3): gone",
        "api  starting -> failed: bad day",
        "api  starting -> stopped (incarnation 1)",
        "the launcher started",
        "api  starting -> ready (incarnation 1)",
    ]
    assert "\x1b[32mready" in history_lines([change(1)], color=True)[1]


def store(**fields: object) -> StoreDocument:
    document: dict[str, Any] = {
        "url": "redis://h:6379/0",
        "reachable": False,
        "seconds": 12.0,
        "waiting": 34,
        "lost": 0,
        "reason": "connection refused",
        "hint": "",
    }
    return cast("StoreDocument", document | fields)


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (
            store(),
            "state store: redis://h:6379/0: not reachable since 12 s, 34 entries wait (connection refused)",
        ),
        (
            store(waiting=1, lost=9, hint="look"),
            "state store: redis://h:6379/0: not reachable since 12 s, 1 entry waits, 9 lost (connection refused; hint: look)",
        ),
        (store(waiting=0), "state store: redis://h:6379/0: not reachable since 12 s (connection refused)"),
        (store(reachable=True), "state store: redis://h:6379/0: reachable"),
        (store(reachable=None), "state store: redis://h:6379/0: not reached yet"),
    ],
)
def test_the_state_of_the_store(document: StoreDocument, line: str) -> None:
    """``status`` says whether the store is reached, since when not, why, and what waits."""
    assert store_lines(document) == ["", line]


@pytest.mark.parametrize("document", [None, store(url="memory://", reachable=True)])
def test_nothing_is_said_of_memory(document: StoreDocument | None) -> None:
    """Memory is always there, and a launcher of an earlier version says nothing of a store."""
    assert store_lines(document) == []


def test_launchers() -> None:
    """One line each; of one that is gone it is not said what is ready."""
    ready = {"name": "api", "desired": "up", "phase": "ready"}
    slow = {"name": "worker", "desired": "up", "phase": "starting"}
    off = {"name": "old", "desired": "down", "phase": "stopped"}
    status = {
        "name": "newsdesk",
        "launcher": {"mode": "multi", "pid": 77, "root": "/srv"},
        "components": [ready, slow, off],
    }
    found = [
        Standing("web-1", "starting", 2.0, cast("StatusDocument", status)),
        Standing("web-22", "lost", 200.0, cast("StatusDocument", status)),
    ]
    assert standing_lines(found) == [
        "MACHINE  STATE     BACKEND   HEARD OF        COMPONENTS    WHERE",
        "web-1    starting  newsdesk  2.0 s ago       1 of 2 ready  multi, PID 77, /srv",
        "web-22   lost      newsdesk  3 min 20 s ago  -             multi, PID 77, /srv",
    ]
    assert "\x1b[31mlost" in standing_lines(found, color=True)[2]
    assert standing_lines([]) == ["no launcher has been heard of"]
