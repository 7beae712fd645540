"""Parameters of requests: what they are called in the OpenAPI document, and how they become values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launcher.core.names import stands_for
from launcher.core.suggest import did_you_mean
from launcher.errors import UnknownComponent
from launcher.web.messages import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from launcher.web.messages import Request

LONGEST = 24 * 3600.0
"""Longest time that a request may ask to wait, in seconds."""

TRUTH = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query.

    Attributes:
        schema: what it may be, as JSON Schema; an array may be given several times.
    """

    name: str
    schema: Mapping[str, Any]
    description: str
    required: bool = False


TIMEOUT = Parameter(
    "timeout",
    {"type": "number", "minimum": 0, "maximum": LONGEST},
    "Longest wait in seconds; by default what the declaration allows.",
)
COMPONENTS = Parameter(
    "component",
    {"type": "array", "items": {"type": "string"}},
    "A component with all its replicas, an entry of agents, or a wildcard; may be given several times. All by default.",
)
FOLLOW = Parameter(
    "follow",
    {"type": "string", "enum": list(TRUTH), "default": "1"},
    "Whether the stream goes on with what happens from now on, or ends after what there is.",
)


def check_query(request: Request, known: Sequence[Parameter]) -> None:
    """See that a request asks for nothing that its route does not know, as a mistyped word would.

    Raises:
        Refusal: it does, or asks twice for what can only be one.
    """
    schemas = {parameter.name: parameter.schema for parameter in known}
    for name in request.query:
        if name not in schemas:
            hint = did_you_mean(name, list(schemas), what="parameters") if schemas else "it takes none"
            raise Refusal(400, f'{request.path} takes no parameter "{name}"', hint=hint)
        times = len(request.every(name))
        if times > 1 and schemas[name]["type"] != "array":
            raise Refusal(400, f'the parameter "{name}" is given {times} times', hint="give it once")


def timeout(request: Request, default: float) -> float:
    """Return the seconds that a request may take.

    Raises:
        Refusal: they are no number, or too many.
    """
    text = request.query.get("timeout")
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST:
        hint = f"give seconds from 0 to {LONGEST:g}"
        raise Refusal(400, f'"{text}" is no time to wait', hint=hint)
    return seconds


def whole(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number from 0 to ``most``.

    Raises:
        Refusal: it is none.
    """
    text = request.query.get(name, str(default))
    # The length first: a number of many digits takes long to read.
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most):
        raise Refusal(
            400, f'"{text}" is no number for {name}', hint=f"?{name}=N, a whole number from 0 to {most}"
        )
    return int(text)


def flag(request: Request, name: str, *, default: bool) -> bool:
    """Return a truth value.

    Raises:
        Refusal: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if text not in TRUTH:
        raise Refusal(400, f'"{text}" is no truth value for {name}', hint=f"?{name}={' or '.join(TRUTH)}")
    return TRUTH[text]


def chosen(request: Request, known: Collection[str]) -> tuple[str, ...]:
    """Return what the request names as components; empty for all.

    Raises:
        UnknownComponent: one of the names stands for nothing that is known.
    """
    wanted = request.every("component")
    for text in wanted:
        if not any(stands_for(text, name) for name in known):
            raise UnknownComponent(
                f'there is no component called "{text}"', hint=did_you_mean(text, sorted(known))
            )
    return wanted
