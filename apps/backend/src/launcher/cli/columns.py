"""The columns of ``launcher status``: what they hold, and which are left out where they do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launcher.observe.text import duration, percent, size, width

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LAST = 24
"""Terminal columns that are kept free for the last column; ``http://127.0.0.1:8000`` has 21."""

GAP = 2
"""Terminal columns between two columns."""

LEFT_OUT_FIRST = ("START", "CHECK", "PID", "RESTARTS", "CPU", "SINCE", "MEMORY")
"""What a narrow terminal has to do without, in this order; ``-o json`` always has everything."""


def _start(item: Mapping[str, Any]) -> str:
    return str(item["start"]).partition(" ")[0].rstrip(",") or "-"


def _cpu(item: Mapping[str, Any]) -> str:
    return _own(item, "cpu", percent)


def _memory(item: Mapping[str, Any]) -> str:
    return _own(item, "memory", size)


def _own(item: Mapping[str, Any], key: str, shown: Callable[[Any], str]) -> str:
    value = item.get(key)
    if value is not None:
        return shown(value)
    return "shared" if item["placement"] == "main" and item["kind"] != "command" else "-"


def _check(item: Mapping[str, Any]) -> str:
    check = item.get("check")
    if check is None:
        return "-"
    return duration(check["latency"]) if check["ok"] else "failed"


CELLS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "NAME": lambda item: str(item["name"]),
    "PHASE": lambda item: str(item["phase"]),
    "SINCE": lambda item: duration(item["seconds"]),
    "PID": lambda item: "-" if item["pid"] is None else str(item["pid"]),
    "START": _start,
    "RESTARTS": lambda item: str(item["restarts"]),
    "CPU": _cpu,
    "MEMORY": _memory,
    "CHECK": _check,
}

IF_KNOWN = {"START": "start", "CPU": "cpu", "MEMORY": "memory", "CHECK": "check"}
"""Columns that are there only if one of the components has something in this field."""


def chosen(
    items: Sequence[Mapping[str, Any]], situations: Sequence[str], columns: int | None
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows.

    Args:
        items: the components.
        situations: what the last column holds.
        columns: width of the terminal; ``None`` for no limit.
    """
    titles = [
        title
        for title in CELLS
        if title not in IF_KNOWN or any(item.get(IF_KNOWN[title]) not in (None, "") for item in items)
    ]
    cells = {title: [CELLS[title](item) for item in items] for title in titles}
    last = min(LAST, max(map(width, situations), default=0))
    for title in LEFT_OUT_FIRST:
        taken = sum(max(map(width, [each, *cells[each]])) + GAP for each in titles)
        if columns is None or taken + last <= columns:
            break
        if title in titles:
            titles.remove(title)
    rows = [[*(cells[title][row] for title in titles), situation] for row, situation in enumerate(situations)]
    return [*titles, "URL / REASON"], rows
