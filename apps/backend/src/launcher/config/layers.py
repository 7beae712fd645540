"""Merge all layers of a declaration into one document of checked values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from launcher.config import environment, pairs, profiles
from launcher.config.agents import Discover
from launcher.config.dotenv_files import Variable, read_dotenv
from launcher.config.entries import Document, Entry, parsed
from launcher.config.locate import find_file
from launcher.config.selection import Pattern
from launcher.config.sources import Source, read_source, shown_path
from launcher.config.table import DEFAULT_PORT, GROUP
from launcher.config.table_launcher import LAUNCHER, LAUNCHER_MODE
from launcher.errors import ConfigError, Problem

ENV_FILE = ".env"


@dataclass(frozen=True, slots=True)
class Request:
    """What to load.

    Attributes:
        directory: where to search; the project directory when there is no file.
        file: the file to read instead of searching.
        pairs: components as ``NAME=TARGET`` arguments; without ``file`` they replace the file that would be found.
        profiles: names of profiles; empty: those of ``LAUNCHER_PROFILE``.
        only: components to start, with what they need; names, entries of agents, groups or wildcards.
        exclude: components to leave out, written the same way.
        mode: replaces the mode of the declaration.
        groups: ``NAME=MEMBER,MEMBER`` each; together they replace the groups of the declaration.
        flags: further values by key path (``launcher.stop_timeout``, ``components.api.port``), as text.
        environ: the environment of the launcher.
        discover_agents: asks an ``AgentLauncher`` for its agents; without it, an entry that does not list them stays one component.
    """

    directory: Path
    file: Path | None = None
    pairs: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    mode: str | None = None
    groups: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    discover_agents: Discover | None = None


@dataclass(slots=True)
class Messages:
    """What is said to the user, in three degrees."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Layers(NamedTuple):
    """All layers merged, with what is needed beside the merged values."""

    root: Path
    source: Source
    document: Document
    profiles: tuple[str, ...]
    dotenv: Mapping[str, Variable]


def merged(request: Request, messages: Messages) -> Layers:
    """Read every layer and put one on top of the other; what is wrong is added to ``messages``.

    Raises:
        ConfigError: nothing can be read at all.
    """
    problems = messages.problems
    found = find_file(request.directory, request.environ, request.file)
    if request.pairs and found and request.file is None:
        shown = shown_path(found.path, request.directory)
        messages.notes.append(
            f"{shown} is not read, because components are given as arguments (read it with --file {shown})"
        )
        found = None
    if found is None and not request.pairs:
        raise ConfigError([_no_file(request.directory)])
    root = found.path.parent if found else request.directory.resolve()
    source = read_source(found, request.directory, problems) if found else Source("", Document())
    if found and not source.document.entries and problems:
        raise ConfigError(
            in_order(problems)
        )  # the file cannot be read at all: whatever else could be said would mislead
    base = source.document
    _add_pairs(request, base, messages)
    dotenv = _read_dotenv(request, root, base, problems)
    asked = _asked_profiles(request, dotenv)
    variants = _variants(base)
    taken = profiles.ordered(variants, asked, problems)
    profiles.check_extends(variants, problems)
    document = Document(dict(base.entries), dict(base.tables))
    document.overlay(profiles.layer(base, taken))
    real = [(name, value, f"environment {name}") for name, value in sorted(request.environ.items())]
    inner = [
        (name, item.value, f"{item.where}: {name}")
        for name, item in dotenv.items()
        if name not in request.environ
    ]
    document.overlay(environment.from_environment(inner, base, problems))
    document.overlay(environment.from_environment(real, base, problems))
    document.overlay(environment.from_flags(request.flags, base, problems))
    _add_flags(request, document, problems)
    variables = {name: item.value for name, item in dotenv.items()} | dict(request.environ)
    _replace(document, variables, messages.notes)
    return Layers(root, source, _checked(document, variables, problems), taken, dotenv)


def _replace(document: Document, variables: Mapping[str, str], notes: list[str]) -> None:
    """Of a component and a dependency of the same name keep the one that ``unless`` decides for.

    That is how a declaration starts a server of its own on a laptop, and takes the existing one elsewhere.
    """
    for name in document.names("components"):
        condition = document.entries.get(("components", name, "unless"))
        if condition is None or not isinstance(condition.value, str):
            continue
        if variables.get(condition.value):
            notes.append(f"{name} is not started, because {condition.value} is set")
            document.remove(("components", name))
        else:
            document.remove(("dependencies", name))


def _checked(document: Document, variables: Mapping[str, str], problems: list[Problem]) -> Document:
    entries = {path: parsed(entry, variables, problems) for path, entry in document.entries.items()}
    return Document(entries, document.tables)


def _variants(base: Document) -> Document:
    """Return the profiles alone, to learn what they extend; their other mistakes are reported with everything else."""
    only = {path: entry for path, entry in base.entries.items() if path[0] == "profiles"}
    return _checked(Document(only, base.tables), {}, [])


def _no_file(directory: Path) -> Problem:
    from launcher.config.discover import find_apps

    candidates = find_apps(directory)
    what = "there is no launcher.toml here or further up in the repository"
    if candidates:
        return Problem(
            str(directory.resolve()),
            what,
            f"write one with `launcher init`, or run `launcher up api={candidates[0].target}`",
        )
    return Problem(
        str(directory),
        what,
        "write one with `launcher init`, or name the components: `launcher up api=main:app`",
    )


def _add_pairs(request: Request, base: Document, messages: Messages) -> None:
    taken = {name: base.tables["components", name] for name in base.names("components")}
    ports: set[int] = set()
    for name in base.names("components"):
        own = base.below(("components", name))
        if ("port",) in own:
            value = own["port",].value
            ports |= {value} if isinstance(value, int) else set()
        elif ("app",) in own:
            ports.add(DEFAULT_PORT)
    base.overlay(pairs.from_pairs(request.pairs, taken, frozenset(ports), messages.notes, messages.problems))


def _read_dotenv(
    request: Request, root: Path, base: Document, problems: list[Problem]
) -> dict[str, Variable]:
    """Read the files with variables; which ones is itself a value of three layers."""
    path = ("launcher", "env_file")
    node = next(field for field in LAUNCHER.fields() if field.key == "env_file")
    entry = base.entries.get(path)
    for text, where in (
        (request.environ.get("LAUNCHER_ENV_FILE"), "environment LAUNCHER_ENV_FILE"),
        (request.flags.get("launcher.env_file"), environment.flag_name("launcher.env_file")),
    ):
        if text is not None:
            entry = Entry(path, node, text, where, where, text=True)
    checked = parsed(entry, request.environ, []) if entry else None
    names = checked.value if checked and isinstance(checked.value, tuple) else (ENV_FILE,)
    files: list[tuple[Path, str]] = []
    for name in names:
        file = root / Path(str(name)).expanduser()
        if file.is_file():
            files.append((file, shown_path(file, request.directory)))
        elif checked and checked.usable:
            problems.append(
                Problem(
                    checked.where,
                    f"there is no file {name}",
                    "check the path; it is relative to the project directory",
                )
            )
    variables = read_dotenv(files, request.environ, problems) if files else {}
    for name in (
        "LAUNCHER_COMPONENT",
        "LAUNCHER_INCARNATION",
        "LAUNCHER_REPLICA",
        "LAUNCHER_LIFE",
        "LAUNCHER_ENV_FILE",
        "LAUNCHER_FILE",
    ):
        if name in variables:
            problems.append(
                Problem(
                    f"{variables[name].where}: {name}", "has no effect in a file of variables", "take it out"
                )
            )
            del variables[name]
    return variables


def _asked_profiles(request: Request, dotenv: Mapping[str, Variable]) -> list[Pattern]:
    if request.profiles:
        return [Pattern(name, "--profile") for name in request.profiles]
    where = "environment LAUNCHER_PROFILE"
    text = request.environ.get("LAUNCHER_PROFILE", "")
    if not text and "LAUNCHER_PROFILE" in dotenv:
        text, where = (
            dotenv["LAUNCHER_PROFILE"].value,
            f"{dotenv['LAUNCHER_PROFILE'].where}: LAUNCHER_PROFILE",
        )
    return [Pattern(name.strip(), where) for name in text.split(",") if name.strip()]


def _add_flags(request: Request, document: Document, problems: list[Problem]) -> None:
    """Put the flags with a place of their own on top: the mode and the groups."""
    if request.mode is not None:
        path = ("launcher", "mode")
        document.entries[path] = Entry(path, LAUNCHER_MODE, request.mode, "--mode", "--mode", text=True)
    if request.groups:
        for declared in [path for path in document.entries if path[0] == "groups"]:
            del document.entries[declared]
            document.tables.pop(declared, None)
    for text in request.groups:
        name, equals, members = text.partition("=")
        if not equals or not name or not members:
            problems.append(
                Problem(
                    "--groups", f'"{text}" is not NAME=MEMBER,MEMBER', "for example core=api,agents.director"
                )
            )
            continue
        document.entries["groups", name] = Entry(
            ("groups", name), GROUP, members, "--groups", "--groups", text=True
        )
        document.tables["groups", name] = "--groups"


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Put problems in the order of the file, those from elsewhere last; the same one twice counts once."""

    def line(problem: Problem) -> tuple[bool, int]:
        digits = problem.where.partition(":")[2].partition(":")[0].strip()
        return (not digits.isdecimal(), int(digits) if digits.isdecimal() else 0)

    return sorted(dict.fromkeys(problems), key=line)
