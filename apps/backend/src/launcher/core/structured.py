"""Lines that say more than text: JSON objects, as structlog, python-json-logger, pino, zap and others print them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launcher.model.logs import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.model.logs import LogLine

MESSAGES = ("message", "event", "msg")
"""Keys of the message, the first that holds a text counts: python-json-logger and zap, structlog, pino and bunyan."""

LEVELS = ("level", "levelname", "severity", "log_level", "lvl")
"""Keys of the level, in the same manner; ``severity`` is Google's."""

LOGGERS = ("logger", "logger_name")
"""Keys of the name of the logger; ``name`` is one only beside ``levelname``, since elsewhere it may be anybody's name."""

NAMES = {
    "TRACE": "DEBUG",
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "NOTICE": "INFO",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "EXCEPTION": "ERROR",
    "FATAL": "CRITICAL",
    "CRITICAL": "CRITICAL",
    "PANIC": "CRITICAL",
    "EMERGENCY": "CRITICAL",
}
"""Levels by the names that libraries give them."""

NUMBERS = {10: "DEBUG", 20: "DEBUG", 30: "INFO", 40: "WARNING", 50: "ERROR", 60: "CRITICAL"}
"""Levels by the numbers of pino and bunyan; read as such only where the message is called ``msg``, as theirs is."""


def structured(line: LogLine) -> LogLine:
    """Return a line with the level, logger, message and fields of the JSON object that its text is; any other line as it was.

    A record of logging, whose text structlog makes, keeps its own level and logger. An object without a message is a text like any other. The time stays the one at which the line came, since all lines are ordered by that; what
    the object says of it is one of its fields.
    """
    text = line.message
    if not text.startswith("{") or line.stream is Stream.LAUNCHER:
        return line
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return line
    key = _first(fields, MESSAGES)
    if not key:
        return line
    message = fields.pop(key)
    logger = _first(fields, (*LOGGERS, "name") if "levelname" in fields else LOGGERS)
    level = _level(fields, numbers=key == "msg")
    if level and line.level in ("", level):
        fields.pop(_level_key(fields))
    logger = fields.pop(logger) if logger and line.logger in ("", fields[logger]) else ""
    return replace(
        line,
        message=message,
        level=line.level or level,
        logger=line.logger or logger,
        extra={**line.extra, **fields},
    )


def _first(fields: dict[str, Any], keys: Sequence[str]) -> str:
    return next((key for key in keys if isinstance(fields.get(key), str)), "")


def _level_key(fields: dict[str, Any]) -> str:
    return next((key for key in LEVELS if key in fields), "")


def _level(fields: dict[str, Any], *, numbers: bool) -> str:
    """Return the level in our words; empty when there is none, or one that nobody knows."""
    value = fields.get(_level_key(fields))
    if isinstance(value, str):
        return NAMES.get(value.upper(), "")
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        return NUMBERS.get(value, "")
    return ""
