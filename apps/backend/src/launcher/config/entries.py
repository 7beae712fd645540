"""Values on their way from a layer to a spec: flat, each with the place it was written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from launcher.config import interpolation
from launcher.config.fields import COMMAND, Field, KeyPath, Named, Node, Section
from launcher.config.secrets import redacted, shown
from launcher.config.values import BadValue, described
from launcher.core.suggest import did_you_mean
from launcher.errors import Problem


class _Broken:
    """Stands for a value that was given but cannot be used; its problem has been reported."""

    def __repr__(self) -> str:
        return "BROKEN"


BROKEN = _Broken()


class Entry(NamedTuple):
    """One value of one layer.

    Attributes:
        value: as written; after :func:`parsed` what the specs hold, or ``BROKEN``.
        where: how a problem with it is located.
        source: how its origin is named.
        text: it comes from outside TOML, where everything is text.
        shown: what may be shown of it; empty until it is known.
        missing: the problem of an unset variable; counts only when the value is needed.
    """

    path: KeyPath
    field: Field
    value: object
    where: str
    source: str
    text: bool = False
    shown: str = ""
    missing: Problem | None = None

    @property
    def usable(self) -> bool:
        """Whether the value can be used."""
        return self.value is not BROKEN


@dataclass(slots=True)
class Document:
    """The values of one or several layers.

    Attributes:
        entries: by key path, in the order of declaration.
        tables: the places of all named tables, empty ones included.
    """

    entries: dict[KeyPath, Entry] = field(default_factory=dict)
    tables: dict[KeyPath, str] = field(default_factory=dict)

    def names(self, section: str) -> tuple[str, ...]:
        """Return the names declared in ``components``, ``dependencies``, ``groups`` or ``profiles``."""
        return tuple(path[1] for path in self.tables if len(path) == 2 and path[0] == section)

    def below(self, path: KeyPath) -> dict[KeyPath, Entry]:
        """Return the entries inside a table, by the rest of their path."""
        return {
            entry.path[len(path) :]: entry
            for entry in self.entries.values()
            if entry.path[: len(path)] == path
        }

    def remove(self, path: KeyPath) -> None:
        """Take a named table out, with all that is in it."""
        for entry in [entry for entry in self.entries if entry[: len(path)] == path]:
            del self.entries[entry]
        for table in [table for table in self.tables if table[: len(path)] == path]:
            del self.tables[table]

    def overlay(self, upper: Document) -> None:
        """Put a later layer on top."""
        self.entries.update(upper.entries)
        for path, where in upper.tables.items():
            self.tables.setdefault(path, where)


class Place(NamedTuple):
    """How the values of one file are located: ``where`` for problems, ``source`` for origins."""

    where: Callable[[KeyPath], str]
    source: Callable[[KeyPath], str]


def flattened(raw: Mapping[str, object], root: Section, place: Place, problems: list[Problem]) -> Document:
    """Turn nested tables into entries; unknown keys and values in place of tables are added to ``problems``."""
    document = Document()
    _walk(raw, root, (), place, document, problems)
    return document


def _walk(
    value: object, node: Node, path: KeyPath, place: Place, document: Document, problems: list[Problem]
) -> None:
    if isinstance(node, Field):
        document.entries[path] = Entry(path, node, value, place.where(path), place.source(path))
        return
    if isinstance(node, Section) and node.shorthand and not isinstance(value, dict):
        inner = node.nodes[node.shorthand]
        assert isinstance(inner, Field), inner  # noqa: S101 (so the table is written)
        entry = Entry((*path, node.shorthand), inner, value, place.where(path), place.source(path))
        document.entries[entry.path] = entry
        return
    if not isinstance(value, dict):
        problems.append(
            Problem(place.where(path), f"must be a table, not {described(value)}", _table_hint(path))
        )
        return
    for key, item in value.items():
        child = _child(node, key, (*path, key), place, document, problems)
        if child is not None:
            _walk(item, child, (*path, key), place, document, problems)


def _table_hint(path: KeyPath) -> str:
    return f"write [{'.'.join(path)}] and the keys below it"


def _child(
    node: Section | Named, key: str, path: KeyPath, place: Place, document: Document, problems: list[Problem]
) -> Node | None:
    if isinstance(node, Section):
        if key in node.nodes:
            return node.nodes[key]
        problems.append(Problem(place.where(path), f"unknown key {key}", unknown_hint(key, path, node)))
        return None
    try:
        node.check(key)
    except BadValue as error:
        problems.append(Problem(place.where(path), error.what, error.hint))
        return None
    document.tables[path] = place.where(path)
    return node.item


# Keys as other programs call them.
_FOREIGN = {
    "environment_file": "env_file",
    "envfile": "env_file",
    "dotenv": "env_file",
    "cmd": "command",
    "args": "command",
    "entrypoint": "app",
    "host": "address",
    "bind": "address",
    "working_dir": "directory",
    "cwd": "directory",
    "health": "ready",
    "healthcheck": "ready",
    "readiness_probe": "ready",
    "after": "depends_on",
    "requires": "depends_on",
    "env": "environment",
    "stop_timeout": "stop_grace",
    "stop_grace_period": "stop_grace",
    "restart_policy": "restart",
    "type": "kind",
    "target": "app",
}


def unknown_hint(key: str, path: KeyPath, node: Section) -> str:
    """Say what was probably meant by an unknown key."""
    foreign = _FOREIGN.get(key.lower().replace("-", "_"), "")
    if foreign in node.nodes:
        return f"did you mean {foreign}?"
    if len(path) == 1 and key in {"component", "dependency", "group", "profile"}:
        return f"did you mean {'dependencies' if key == 'dependency' else key + 's'}?"
    return did_you_mean(key, node.nodes, what="known keys")


def parsed(entry: Entry, variables: Mapping[str, str], problems: list[Problem]) -> Entry:
    """Return the entry with its value interpolated and checked.

    Only what stands in a file is interpolated: text from the environment or a flag is taken as it is.
    """
    raw = visible = entry.value
    as_text = entry.text
    try:
        if not entry.text:
            raw, visible, as_text = _filled_in(entry, variables)
    except interpolation.BadText as error:
        problem = Problem(entry.where, error.what, error.hint)
        if error.unset:
            return entry._replace(value=BROKEN, missing=problem)
        problems.append(problem)
        return entry._replace(value=BROKEN)
    kind = entry.field.type
    if as_text:
        raw = kind.from_text(raw) if isinstance(raw, str) else raw
        visible = kind.from_text(visible) if isinstance(visible, str) else visible
    try:
        return entry._replace(value=kind.parse(raw), shown=_visible(entry, visible))
    except BadValue as error:
        problems.append(_problem(entry, visible, error))
        return entry._replace(value=BROKEN)


def _problem(entry: Entry, visible: object, error: BadValue) -> Problem:
    """Make a problem that quotes only what may be shown of the value."""
    try:
        entry.field.type.parse(visible)
    except BadValue as masked_error:
        return Problem(entry.where, redacted(masked_error.what), redacted(masked_error.hint))
    return Problem(entry.where, "cannot be used once its variables are filled in", error.hint)


def _filled_in(entry: Entry, variables: Mapping[str, str]) -> tuple[object, object, bool]:
    value = entry.value
    if entry.field.type is COMMAND and isinstance(value, str) and interpolation.has_variables(value):
        value = _command_words(value)
    if not _any_variables(value):
        return value, value, False
    return (
        _mapped(value, lambda text: interpolation.interpolated(text, variables)),
        _mapped(value, lambda text: interpolation.masked(text, variables)),
        True,
    )


def _command_words(text: str) -> object:
    # Splitting first: a variable's value stays one word, whatever is in it.
    safe, references = interpolation.protected(text)
    try:
        words = COMMAND.parse(safe)
    except BadValue as error:
        raise interpolation.BadText(interpolation.restored(error.what, references), error.hint) from None
    assert isinstance(words, tuple), words  # noqa: S101 (so its type says)
    return [interpolation.restored(word, references) for word in words]


def _any_variables(value: object) -> bool:
    if isinstance(value, str):
        return interpolation.has_variables(value)
    if isinstance(value, list):
        return any(_any_variables(item) for item in value)
    return isinstance(value, dict) and any(_any_variables(item) for item in value.values())


def _mapped(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    return value


def _visible(entry: Entry, value: object) -> str:
    if entry.field.key == "NAME" and isinstance(value, str):
        return written(shown(entry.path[-1], value))
    if entry.field.key == "NAME" and isinstance(value, int | float):
        return written(shown(entry.path[-1], str(value)))
    return written(value)


def written(value: object) -> str:
    """Write a value as TOML would, with the passwords of URLs redacted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = redacted(value).replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(mark if mark.isprintable() else f"\\u{ord(mark):04x}" for mark in text) + '"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {written(item)}" for key, item in value.items()) + " }"
    return str(value)
