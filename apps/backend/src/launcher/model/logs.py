"""One line of output of a component, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINE = 64 * 1024
"""Longest message kept, in characters; what is longer is cut and marked."""

LOST = "lost_lines"
"""Name of the extra field in which a host says how many lines it had to drop."""


@unique
class Stream(StrEnum):
    """Where a line was written to."""

    STDOUT = "stdout"
    STDERR = "stderr"
    LOG = "log"
    """A record of Python's ``logging``."""
    LAUNCHER = "launcher"
    """Said by the launcher about the component."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of output.

    Attributes:
        time: wall clock, seconds since the epoch.
        component: name of the component, or empty when it is not known who wrote it.
        incarnation: which life of it, 0 when not known.
        level: name of the level for log records, empty otherwise.
        logger: name of the logger for log records, empty otherwise.
        extra: further fields given to the log record.
    """

    time: float
    component: str
    stream: Stream
    message: str
    incarnation: int = 0
    level: str = ""
    logger: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)


def clipped(message: str, limit: int = MAX_LINE) -> str:
    """Return ``message``, or its beginning with a mark that says how much was cut."""
    if len(message) <= limit:
        return message
    return f"{message[:limit]}… [cut: {len(message) - limit} characters more]"
