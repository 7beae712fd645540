"""Components given on the command line instead of in a file: ``api=api.main:app``, ``db=cmd:./serve --port 1``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from launcher.config.entries import Document, Entry
from launcher.config.fields import Field
from launcher.config.table import COMPONENT, DEFAULT_PORT
from launcher.config.values import BadValue, check_name
from launcher.errors import Problem

_PREFIXES = {"asgi": "app", "agent": "run", "cmd": "command"}
_FACTORY = re.compile(r"^(create|make|build|get)_app(lication)?$|factory$")
_APP = re.compile(r"^(app|api|application)$|^asgi")
_AGENT = re.compile(r"^(run|main|work|loop|start|consume|execute)(_|$)|(Agent|Worker)$")
_APP_MODULES = frozenset({"main", "app", "asgi"})


def from_pairs(
    pairs: Sequence[str],
    taken: Mapping[str, str],
    ports: frozenset[int],
    notes: list[str],
    problems: list[Problem],
) -> Document:
    """Return the components that ``NAME=TARGET`` arguments declare.

    ASGI components without a port get 8000 and the numbers after it, those that are given elsewhere left out.

    Args:
        pairs: the arguments.
        taken: names that are declared already, with where.
        ports: ports that are declared already.
        notes: is told what was guessed.
        problems: collects what is wrong.
    """
    document = Document()
    seen = dict(taken)
    waiting: list[tuple[str, str]] = []
    used = set(ports)
    for pair in pairs:
        where = f"argument {pair}"
        name, values = _parsed(pair, where, notes, problems)
        if not name:
            continue
        if name in seen:
            problems.append(
                Problem(where, f"{name} is declared already: {seen[name]}", "give it another name")
            )
            continue
        seen[name] = where
        document.tables["components", name] = where
        for key, value in values.items():
            _put(document, name, key, value, where)
        if "port" in values:
            used |= {int(values["port"])} if values["port"].isdecimal() else set()
        elif "app" in values:
            waiting.append((name, where))
    for name, _ in waiting:
        port = next(number for number in range(DEFAULT_PORT, 65536) if number not in used)
        used.add(port)
        _put(document, name, "port", str(port), "default")
    return document


def _put(document: Document, name: str, key: str, value: str, where: str) -> None:
    field = COMPONENT.nodes[key]
    assert isinstance(field, Field), field  # noqa: S101 (only plain keys are made here)
    path = ("components", name, key)
    document.entries[path] = Entry(path, field, value, where, where, text=True)


def _parsed(pair: str, where: str, notes: list[str], problems: list[Problem]) -> tuple[str, dict[str, str]]:
    name, equals, target = pair.partition("=")
    if not equals or not target.strip():
        guess = f"write api={pair}" if ":" in name else "for example api=api.main:app"
        problems.append(Problem(where, f'"{pair}" is not NAME=TARGET', guess))
        return "", {}
    try:
        check_name(name)
    except BadValue as error:
        problems.append(Problem(where, error.what, error.hint))
        return "", {}
    prefix, colon, rest = target.partition(":")
    if colon and prefix == "cmd":
        return name, {"command": rest.strip()}
    target, at, port = target.partition("@")
    values = {"port": port} if at else {}
    prefix, colon, rest = target.partition(":")
    if colon and prefix in _PREFIXES and (":" in rest or prefix != "asgi" or "." in rest):
        key, target = _PREFIXES[prefix], rest
    else:
        key, sure = _guessed(target)
        if not sure:
            kind = "an ASGI application" if key == "app" else "an agent"
            other = "agent" if key == "app" else "asgi"
            notes.append(f"{name} is taken for {kind}; if it is not, write {name}={other}:{target}")
    values = {key: target, **values}
    if key == "app" and _FACTORY.search(target.partition(":")[2]):
        values["factory"] = "true"
    return name, values


def _guessed(target: str) -> tuple[str, bool]:
    """Return the key that says what runs, and whether the name of the attribute leaves no doubt."""
    module, _, attribute = target.partition(":")
    if _APP.search(attribute) or _FACTORY.search(attribute):
        return "app", True
    if _AGENT.search(attribute):
        return "run", True
    return ("app" if _APP_MODULES & set(module.split(".")) else "run"), False
