"""The forms that ``ready`` may take, and the probe that each of them means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from launcher.config.urls import DATABASE_SCHEMES, HTTP_SCHEMES, parse_url, scheme_of, tcp_target
from launcher.config.values import (
    TARGET_PATTERN,
    BadValue,
    parse_command,
    parse_count,
    parse_duration,
    parse_nonempty,
    parse_target,
    parse_text,
    wanted,
)
from launcher.model.spec import Probe, ProbeKind

FORMS = ("url", "log", "exec", "call", "alive", "notify")
"""Keys of the table form that say how to ask; exactly one of them is given."""
TIMING = ("interval", "period", "timeout", "failures")
HINT = (
    'write "/health", "http://…", "tcp://ADDRESS:PORT", a database URL, "notify", { log = "regular expression" }, '
    '{ exec = ["pg_isready"] }, { call = "module:function" } or { alive = "0.5s" }'
)

_DURATION = {"type": ["number", "string"]}
SCHEMA: Mapping[str, object] = {
    "anyOf": [
        {"type": "string", "pattern": r"^(/|notify$|[A-Za-z][A-Za-z0-9+.-]*://)"},
        {
            "type": "object",
            "properties": {
                "url": {"type": "string", "description": "Path on the component's own port, or URL."},
                "log": {"type": "string", "description": "Regular expression that a line of output matches."},
                "exec": {
                    "type": ["array", "string"],
                    "items": {"type": "string"},
                    "description": "Command that exits with 0.",
                },
                "call": {
                    "type": "string",
                    "pattern": TARGET_PATTERN,
                    "description": "Function of the component's own code that returns anything true, or nothing.",
                },
                "alive": {**_DURATION, "description": "The process has lived for so long."},
                "notify": {"const": True, "description": "The command sends READY=1 to $NOTIFY_SOCKET."},
                "interval": {**_DURATION, "description": "Pause between two checks while starting."},
                "period": {
                    **_DURATION,
                    "description": "Pause between two checks once ready; one second after a failed one.",
                },
                "timeout": {**_DURATION, "description": "Longest duration of one check."},
                "failures": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "Failed checks in a row that make it unready.",
                },
            },
            "additionalProperties": False,
            "oneOf": [{"required": [form]} for form in FORMS],
        },
    ]
}


def parse_ready(value: object) -> Probe:
    """Return the probe that is declared by any form of ``ready``."""
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, Mapping):
        return _from_table(value)
    raise wanted(value, "a readiness check", HINT)


def _from_text(text: str) -> Probe:
    if text == "notify":
        return Probe(ProbeKind.NOTIFY)
    if text.startswith("/"):
        if re.search(r"\s", text):
            raise BadValue(f'holds white space in the path "{text}"', "write a space as %20")
        return Probe(ProbeKind.HTTP, text)
    if "://" not in text:
        from launcher.core.suggest import closest

        near = 'did you mean "notify"?' if closest(text, ["notify"]) else HINT
        raise BadValue(f'"{text}" is not a readiness check', near if text else HINT)
    url = parse_url(text)
    scheme = scheme_of(url)
    if scheme == "tcp":
        return Probe(ProbeKind.TCP, tcp_target(url))
    if scheme in HTTP_SCHEMES:
        return Probe(ProbeKind.HTTP, url)
    assert scheme in DATABASE_SCHEMES, scheme  # noqa: S101 (parse_url knows no others)
    return Probe(ProbeKind.URL, url)


def _from_table(table: Mapping[str, object]) -> Probe:
    from launcher.core.suggest import did_you_mean

    for key in table:
        if key not in (*FORMS, *TIMING):
            raise BadValue(f'has the unknown key "{key}"', did_you_mean(key, (*FORMS, *TIMING)))
    forms = [key for key in FORMS if key in table]
    if not forms:
        raise BadValue(f"does not say how to ask: none of {', '.join(FORMS)}", HINT)
    if len(forms) > 1:
        raise BadValue(f"asks in two ways: {forms[0]} and {forms[1]}", f"keep one of {', '.join(FORMS)}")
    return _timed(_part(forms[0], table[forms[0]]), table)


def _part(form: str, value: object) -> Probe:
    try:
        return _asked(form, value)
    except BadValue as error:
        raise BadValue(f"{form} {error.what}", error.hint) from None


def _asked(form: str, value: object) -> Probe:
    if form == "url":
        return _from_text(parse_text(value))
    if form == "log":
        return Probe(ProbeKind.LOG, _regex(parse_nonempty(value)))
    if form == "exec":
        argv = parse_command(value)
        return Probe(ProbeKind.EXEC, " ".join(argv), argv)
    if form == "call":
        return Probe(ProbeKind.CALL, _function(value))
    if form == "alive":
        return Probe(ProbeKind.ALIVE, seconds=parse_duration(value, positive=True))
    if value is not True:
        raise wanted(value, "true", "leave it out, or write true")
    return Probe(ProbeKind.NOTIFY)


def _function(value: object) -> str:
    try:
        return parse_target(value)
    except BadValue as error:
        raise BadValue(error.what, 'write call = "module:function"') from None


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        place = f" at position {error.pos}" if error.pos is not None else ""
        raise BadValue(
            f'is not a regular expression: {error.msg}{place} of "{text}"',
            "write a backslash before . ( [ * + ? to mean the character",
        ) from None
    return text


def _timed(probe: Probe, table: Mapping[str, object]) -> Probe:
    return replace(
        probe,
        interval=_timing(table, "interval", probe.interval),
        period=_timing(table, "period", probe.period),
        timeout=_timing(table, "timeout", probe.timeout),
        failures=_failures(table, probe.failures),
    )


def _timing(table: Mapping[str, object], key: str, default: float) -> float:
    try:
        return parse_duration(table[key], at_least=0.01) if key in table else default
    except BadValue as error:
        raise BadValue(f"{key} {error.what}", error.hint) from None


def _failures(table: Mapping[str, object], default: int) -> int:
    try:
        return parse_count(table["failures"], least=1) if "failures" in table else default
    except BadValue as error:
        raise BadValue(f"failures {error.what}", error.hint) from None
