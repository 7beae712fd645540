"""What of a log line is shown to people, as lines of text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.model.logs import LogLine

LONGEST = 200
"""Characters of one field that are shown; the file has all of it."""

TIMES = frozenset({"timestamp", "time", "ts", "asctime", "@timestamp"})
"""Fields that are not shown: a line is shown with the time at which it came."""


def shown(line: LogLine) -> list[str]:
    """Return the message with the fields behind it.

    A progress bar, which returns to the beginning of its line again and again, is shown as a terminal would in the end. A field of several lines, such
    as a traceback, follows on lines of its own.
    """
    lines = [_last_state(text) for text in line.message.split("\n")]
    below: list[str] = []
    for name, value in line.extra.items():
        if isinstance(value, str) and "\n" in value:
            below += [f"{name}:", *value.rstrip("\n").split("\n")]
        elif name not in TIMES:
            lines[-1] += f"  {name}={_value(value)}"
    return lines + below


def _last_state(text: str) -> str:
    return text.rstrip("\r").rpartition("\r")[2]


def _value(value: object) -> str:
    """Return a value as briefly as it stays clear where it ends."""
    if isinstance(value, str) and value and " " not in value and '"' not in value:
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
