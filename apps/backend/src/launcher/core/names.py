"""Which components somebody means who names them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from launcher.core.replicas import replicas_of
from launcher.core.suggest import did_you_mean
from launcher.errors import UnknownComponent

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = "all"


def selected(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the components that names, wildcards, entries of agents and ``all`` stand for, each once.

    The name of a component stands for all its replicas; the first one alone is ``NAME.1``.

    Raises:
        UnknownComponent: one of them stands for nothing.
    """
    found: dict[str, None] = {}
    for text in wanted:
        first = text.removesuffix(".1")
        matching = list(replicas_of(text, known)) if text in known else []
        matching = (
            matching
            or [name for name in known if name == first != text]
            or [
                name
                for name in known
                if name.startswith(f"{text}.") or fnmatchcase(name, text) or text == ALL
            ]
        )
        if not matching:
            raise UnknownComponent(f'there is no component called "{text}"', hint=did_you_mean(text, known))
        found |= dict.fromkeys(matching)
    return list(found)


def stands_for(text: str, name: str) -> bool:
    """Whether one word, as ``selected`` takes it, stands for a component; for replicas, too, that are yet to come."""
    return text in {name, ALL, f"{name}.1"} or name.startswith(f"{text}.") or fnmatchcase(name, text)
