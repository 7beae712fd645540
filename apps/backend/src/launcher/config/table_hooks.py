"""The part of the table that says who is told of what happens."""

from __future__ import annotations

import re
from functools import partial

from launcher.config import values
from launcher.config.fields import COMMAND, LIST, SOME_SECONDS, Field, section
from launcher.config.values import BadValue, Type
from launcher.model.state import Phase

MOST_ATTEMPTS = 10
"""More attempts than this are taken for a slip of the keyboard."""

PHASES = tuple(str(phase) for phase in Phase)


def _parse_phases(value: object) -> tuple[str, ...]:
    single = [value] if isinstance(value, str) else value
    return values.parse_list(single, partial(values.parse_choice, choices=PHASES))


def _parse_attempts(value: object) -> int:
    number = values.parse_count(value, least=1)
    if number > MOST_ATTEMPTS:
        raise BadValue(f"must be at most {MOST_ATTEMPTS}, not {number}")
    return number


def _parse_hook_url(value: object) -> str:
    """Check where to post to; messages hold nothing of it, since the whole of it may be a secret."""
    text = values.parse_nonempty(value).strip()
    hint = 'for example "https://chat.example.com/hooks/…"'
    if not re.match(r"^https?://[^\s]+$", text, re.IGNORECASE):
        raise BadValue("must be a URL that begins with http:// or https://", hint)
    from urllib.parse import urlsplit  # takes milliseconds, and few declarations have hooks

    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadValue("names no address, or a port that does not exist", hint)
    return text


_WORDS = {"enum": list(PHASES)}
_PHASES = Type(
    "phase or list of phases",
    _parse_phases,
    {"anyOf": [_WORDS, {"type": "array", "items": _WORDS, "minItems": 0}]},
    values.list_from_text,
)
_ATTEMPTS = Type(
    "whole number",
    _parse_attempts,
    {"type": "integer", "minimum": 1, "maximum": MOST_ATTEMPTS},
    values.number_from_text,
)
_HOOK_URL = Type("URL", _parse_hook_url, {"type": "string", "pattern": r"^\s*[Hh][Tt][Tt][Pp][Ss]?://"})

HOOK = section(
    "Somebody who is told when components change their phase. Exactly one of `command` and `url` says how.",
    Field(
        "command",
        COMMAND,
        "Program that is run for each notification, which it gets as JSON on its standard input; never given to a shell.",
        default_doc="one of the two is needed",
        example='["./notify.sh", "--urgent"]',
    ),
    Field(
        "url",
        _HOOK_URL,
        "Address that each notification is posted to as JSON.",
        default_doc="one of the two is needed",
        constraint="a user and a password in it are sent as basic authentication",
        example='"https://chat.example.com/hooks/${HOOK_TOKEN}"',
        secret=True,
    ),
    Field(
        "on",
        _PHASES,
        "Phases whose beginning is told.",
        default=["failed"],
        example='["failed", "backoff", "ready"]',
    ),
    Field(
        "components",
        LIST,
        "Whose: names, entries of agents, or wildcards.",
        default_doc="all",
        example='["api", "agents.*"]',
    ),
    Field("timeout", SOME_SECONDS, "Longest duration of one attempt.", default="10s", example='"30s"'),
    Field(
        "attempts",
        _ATTEMPTS,
        "How often one notification is tried, after 1 s, 2 s, 4 s and so on, at most 30 s.",
        default=3,
        constraint=f"1 to {MOST_ATTEMPTS}",
        example="5",
    ),
)
