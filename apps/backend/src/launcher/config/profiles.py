"""Profiles: variants of a declaration that select components and change a few values."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.config.build import Values
from launcher.config.entries import Document, Entry
from launcher.config.selection import Pattern
from launcher.config.table import PROFILE
from launcher.config.table_launcher import LAUNCHER_MODE
from launcher.core.suggest import did_you_mean
from launcher.errors import Problem


def ordered(document: Document, asked: Sequence[Pattern], problems: list[Problem]) -> tuple[str, ...]:
    """Return the profiles to apply, those that others extend first; unknown ones and circles are added to ``problems``."""
    found: dict[str, None] = {}
    for pattern in asked:
        _add(document, pattern, (), found, problems)
    return tuple(found)


def check_extends(document: Document, problems: list[Problem]) -> None:
    """Check what all profiles extend, whether they are taken or not."""
    for name in document.names("profiles"):
        ordered(document, [Pattern(name, document.tables["profiles", name])], problems)


def _add(
    document: Document,
    pattern: Pattern,
    above: tuple[str, ...],
    found: dict[str, None],
    problems: list[Problem],
) -> None:
    name = pattern.text
    known = document.names("profiles")
    if name in above:
        circle = " → ".join([*above[above.index(name) :], name])
        problems.append(
            Problem(
                pattern.where, f"profiles extend each other in a circle: {circle}", "take one extends out"
            )
        )
    elif name not in known:
        hint = did_you_mean(name, known, what="there are") if known else f"declare it: [profiles.{name}]"
        problems.append(Problem(pattern.where, f"unknown profile {name}", hint))
    elif name not in found:
        own = document.below(("profiles", name))
        entry = own.get(("extends",))
        for base in Values(own, PROFILE).texts("extends"):
            where = entry.where if entry else pattern.where
            _add(document, Pattern(base, where), (*above, name), found, problems)
        found[name] = None


def layer(document: Document, profiles: Sequence[str]) -> Document:
    """Return what the profiles set, as values of the declaration itself."""
    result = Document()
    for name in profiles:
        for rest, entry in document.below(("profiles", name)).items():
            source = f"profile {name} ({entry.source})"
            if rest == ("mode",):
                path: tuple[str, ...] = ("launcher", "mode")
                result.entries[path] = entry._replace(path=path, field=LAUNCHER_MODE, source=source)
            elif rest[0] == "environment":
                result.entries[rest] = entry._replace(path=rest, source=source)
    return result


def patterns(document: Document, profiles: Sequence[str], key: str) -> list[Pattern]:
    """Return the names in ``components`` or ``exclude`` of the profiles."""
    found: list[Pattern] = []
    for name in profiles:
        own = document.below(("profiles", name))
        entry: Entry | None = own.get((key,))
        found += [Pattern(text, entry.where) for text in Values(own, PROFILE).texts(key) if entry]
    return found
