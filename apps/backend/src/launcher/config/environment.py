"""Names of keys in the environment (``LAUNCHER_COMPONENTS__API__PORT``) and in flags (``components.api.port``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from launcher.config.entries import Document, Entry, unknown_hint
from launcher.config.fields import Field, KeyPath, Named, Node, Section
from launcher.config.table import ROOT
from launcher.config.table_launcher import LAUNCHER
from launcher.config.values import BadValue
from launcher.core.suggest import closest, did_you_mean
from launcher.errors import Problem

PREFIX = "LAUNCHER_"

OWN_VARIABLES: Mapping[str, str] = {
    "LAUNCHER_FILE": "the file to read instead of searching for one",
    "LAUNCHER_PROFILE": "profiles to take, separated by commas, when `--profile` names none",
}
"""Variables that are no key of the declaration, but decide how it is read."""

FOREIGN_VARIABLES: Mapping[str, str] = {
    "LAUNCHER_LEGACY": "for the backend; the launcher ignores it",
    "LAUNCHER_COMPONENT": "set by the launcher for each component: its name",
    "LAUNCHER_INCARNATION": "set by the launcher for each component: number of its life",
    "LAUNCHER_REPLICA": "set by the launcher for each component: which of its replicas it is, from 1",
    "LAUNCHER_HOOK": "set by the launcher for the command of a hook: its name",
    "LAUNCHER_PHASE": "set by the launcher for the command of a hook: the phase that the component has entered",
    "LAUNCHER_BEFORE": "set by the launcher for the command of a hook: the phase before",
    "LAUNCHER_REASON": "set by the launcher for the command of a hook: why, for people",
    "LAUNCHER_LIFE": "set by the launcher for each component: marks the processes of one life",
}
"""Variables of the same prefix that are never read as configuration."""


class UnknownKey(Exception):
    """A name that leads to no key."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def variable_name(path: KeyPath) -> str:
    """Return the name of the variable that sets the key at ``path``."""
    parts = path[1:] if path[0] == "launcher" else path
    last = parts[-1] if path[-2:-1] == ("environment",) else parts[-1].upper()
    return PREFIX + "__".join([*(_upper(part) for part in parts[:-1]), last.replace("-", "_")])


def _upper(part: str) -> str:
    return part.upper().replace("-", "_")


def variable_names() -> Iterator[tuple[str, Field]]:
    """Return the names of all variables, ``NAME`` standing for what the user names."""
    for path, field in fields(ROOT):
        yield variable_name(path), field


def fields(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Field]]:
    """Return every field below a node, with its path; names given by the user are ``NAME``."""
    if isinstance(node, Field):
        yield path, node
    elif isinstance(node, Named):
        yield from fields(node.item, (*path, "NAME" if path[-1:] != ("each",) else "AGENT"))
    else:
        for key, child in node.nodes.items():
            yield from fields(child, (*path, key))


def from_environment(
    variables: Iterable[tuple[str, str, str]], base: Document, problems: list[Problem]
) -> Document:
    """Read the variables that begin with ``LAUNCHER_``.

    Args:
        variables: name, value, and where it is set (``environment LAUNCHER_MODE``, ``.env:3``).
        base: what the file declares: the names that can be addressed.
        problems: collects what is wrong.
    """
    document = Document()
    for name, value, where in variables:
        if not name.startswith(PREFIX) or name in OWN_VARIABLES or name in FOREIGN_VARIABLES:
            continue
        try:
            path, field = _variable_path(name, base)
        except UnknownKey as error:
            problems.append(Problem(where, error.what, error.hint))
            continue
        _put(document, path, Entry(path, field, value, where, where, text=True))
    return document


def from_flags(flags: Mapping[str, str], base: Document, problems: list[Problem]) -> Document:
    """Read ``components.api.port`` = ``8001`` and the like, as given by flags of the command line."""
    document = Document()
    for key, value in flags.items():
        where = flag_name(key)
        try:
            path, field = _resolve(key.split("."), ROOT, (), base, key, text_case=False)
        except UnknownKey as error:
            problems.append(Problem(where, error.what, error.hint))
            continue
        _put(document, path, Entry(path, field, value, where, where, text=True))
    return document


def flag_name(key: str) -> str:
    """Return how the flag for a key is written."""
    return f"--set {key}"


def _put(document: Document, path: KeyPath, entry: Entry) -> None:
    document.entries[path] = entry
    if path[0] in {"groups", "components"}:
        document.tables[path[:2]] = entry.where
    if path[2:3] == ("each",):
        document.tables[path[:4]] = entry.where


def _variable_path(name: str, base: Document) -> tuple[KeyPath, Field]:
    parts = name.removeprefix(PREFIX).split("__")
    if len(parts) == 1 and parts[0].lower() in LAUNCHER.nodes:
        parts = ["launcher", *parts]
    if len(parts) == 1 and parts[0].lower() not in ROOT.nodes:
        raise UnknownKey(f"{name} is not a variable of the launcher", _variable_hint(name))
    return _resolve(parts, ROOT, (), base, name, text_case=True)


def _variable_hint(name: str) -> str:
    known = [variable_name(("launcher", key)) for key in LAUNCHER.nodes] + [
        *OWN_VARIABLES,
        *FOREIGN_VARIABLES,
    ]
    if found := closest(name, known):
        return f"did you mean {found}?"
    return "unset it, or set a key: LAUNCHER_MODE, LAUNCHER_COMPONENTS__NAME__PORT and so on"


def _resolve(
    parts: list[str], node: Node, path: KeyPath, base: Document, name: str, *, text_case: bool
) -> tuple[KeyPath, Field]:
    """Follow the parts of a name down the table; ``text_case``: the parts are upper case and lost their dashes."""
    if isinstance(node, Section) and not parts and node.shorthand:
        parts = [node.shorthand]
    if isinstance(node, Field):
        if parts:
            raise UnknownKey(f"{name} goes on after the key {path[-1]}", "check the name")
        return path, node
    if not parts or not parts[0]:
        raise UnknownKey(f"{name} names a table, not a key", _inside_hint(node))
    if isinstance(node, Named):
        key = _given_name(parts[0], node, path, base, text_case=text_case)
        return _resolve(parts[1:], node.item, (*path, key), base, name, text_case=text_case)
    key = parts[0].lower() if text_case else parts[0]
    if key not in node.nodes:
        raise UnknownKey(f"unknown key {key}", unknown_hint(key, (*path, key), node))
    return _resolve(parts[1:], node.nodes[key], (*path, key), base, name, text_case=text_case)


def _inside_hint(node: Section | Named) -> str:
    return f"add the name of a {node.noun}" if isinstance(node, Named) else f"keys: {', '.join(node.nodes)}"


def _given_name(part: str, node: Named, path: KeyPath, base: Document, *, text_case: bool) -> str:
    if not node.keeps_case:
        known = [
            table[len(path)] for table in base.tables if len(table) == len(path) + 1 and table[:-1] == path
        ]
        found = [name for name in known if name == part or (text_case and _upper(name) == part.upper())]
        if len(found) == 1 or part in found:
            return part if part in found else found[0]
        if found:
            raise UnknownKey(f"could mean {' or '.join(found)}", "rename one of them")
        if not node.open:
            raise UnknownKey(
                f"unknown {node.noun} {part.lower() if text_case else part}", did_you_mean(part, known)
            )
    key = part.lower() if text_case and not node.keeps_case else part
    try:
        node.check(key)
    except BadValue as error:
        raise UnknownKey(error.what, error.hint) from None
    return key
