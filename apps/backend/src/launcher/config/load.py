"""Load a declaration: read all layers, merge them, check everything, select, and explain.

Layers, later ones win: built-in defaults, file, profiles, ``LAUNCHER_*`` in ``.env``, ``LAUNCHER_*`` in the environment, flags.

Variables for the components are another matter; the order there, later ones winning: other variables of ``.env``, the launcher's own
environment, ``[environment]`` of the file and the profiles, ``environment`` of the component. So a variable exported in the shell wins
over ``.env``, and what is declared for a component is what it gets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from launcher.config import agents, build, environment, profiles
from launcher.config.build import Draft, Values
from launcher.config.entries import Document, Entry
from launcher.config.hooks import hooks
from launcher.config.layers import Layers, Messages, Request, in_order, merged
from launcher.config.locate import run_paths
from launcher.config.origins import Origin, origins
from launcher.config.selection import (
    Pattern,
    Selection,
    Universe,
    check_needs,
    chosen_groups,
    reachable,
    select,
)
from launcher.config.state import state
from launcher.config.table_launcher import LAUNCHER
from launcher.errors import ConfigError, Problem
from launcher.model.spec import ComponentSpec, DependencySpec, Kind, LauncherSpec, Mode

__all__ = ["Loaded", "Origin", "Request", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked declaration, and where each value came from.

    Attributes:
        notes: what was decided for the user (what else is started, what was guessed).
        warnings: what is allowed but probably not meant.
    """

    spec: LauncherSpec
    origins: tuple[Origin, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def load(request: Request) -> Loaded:
    """Return the declaration that ``request`` describes.

    Raises:
        ConfigError: with everything that is wrong.
        RunDirectoryError: the run directory that is asked for cannot hold a socket.
    """
    messages = Messages()
    layers = merged(request, messages)
    loaded = _assembled(request, layers, messages)
    if messages.problems:
        raise ConfigError(in_order(messages.problems))
    assert loaded is not None  # noqa: S101 (without problems there is an outcome)
    return loaded


def _assembled(request: Request, layers: Layers, messages: Messages) -> Loaded | None:
    document, problems = layers.document, messages.problems
    drafts = build.drafts(document, problems)
    services = build.dependencies(document, problems)
    if not document.names("components") and not problems:
        problems.append(
            Problem(
                layers.source.name or "arguments",
                "declares no component",
                'add one: [components.api] with app = "api.main:app"',
            )
        )
    variables = _component_variables(request, layers, messages.warnings)
    pythonpath = _pythonpath(layers, messages.warnings)
    only = [Pattern(name, "--only") for name in request.only] or profiles.patterns(
        document, layers.profiles, "components"
    )
    exclude = [Pattern(name, "--exclude") for name in request.exclude] + profiles.patterns(
        document, layers.profiles, "exclude"
    )
    needed = reachable(_universe(document, drafts, services, {}), only)
    members = _members(
        request, layers, [draft for draft in drafts if draft.name in needed], pythonpath, variables, messages
    )
    universe = _universe(document, drafts, services, members)
    check_needs(universe, lambda name: _needs_place(drafts, name), problems)
    selection = select(universe, only, exclude, messages.notes, problems)
    by_name = _by_name(drafts, members)
    specs = _components(layers.root, by_name, selection, problems)
    groups = chosen_groups(
        universe,
        selection,
        {path[1]: where for path, where in document.tables.items() if path[0] == "groups"},
        problems,
    )
    _report_missing(layers, selection, by_name, problems)
    told = hooks(document, universe, problems)
    if problems:
        return None
    used = tuple(service for name, service in services.items() if name in selection.dependencies)
    spec = replace(_spec(request, layers, specs, used, groups, pythonpath, variables), hooks=told)
    known = {name: (item.value, item.where) for name, item in layers.dotenv.items() if name in variables}
    return Loaded(
        spec, origins(spec, document, by_name, known), tuple(messages.notes), tuple(messages.warnings)
    )


def _universe(
    document: Document,
    drafts: Sequence[Draft],
    services: Mapping[str, DependencySpec],
    members: Mapping[str, tuple[str, ...]],
) -> Universe:
    needs: dict[str, tuple[str, ...]] = {}
    for draft in drafts:
        for agent in members.get(draft.name, ("",)):
            name = f"{draft.name}.{agent}" if agent else draft.name
            needs[name] = (agents.for_agent(draft, agent) if agent else draft).depends_on()
    return Universe(
        needs,
        {entry: tuple(f"{entry}.{agent}" for agent in names) for entry, names in members.items()},
        frozenset(draft.name for draft in drafts if draft.kind is Kind.AGENTS and draft.name not in members),
        frozenset(services),
        {name: _texts(document.entries.get(("groups", name))) for name in document.names("groups")},
    )


def _texts(entry: Entry | None) -> tuple[str, ...]:
    return tuple(map(str, entry.value)) if entry and isinstance(entry.value, tuple) else ()


def _members(
    request: Request,
    layers: Layers,
    drafts: Sequence[Draft],
    pythonpath: tuple[str, ...],
    variables: Mapping[str, str],
    messages: Messages,
) -> dict[str, tuple[str, ...]]:
    """Return the agents of each entry that can come to be started."""
    members: dict[str, tuple[str, ...]] = {}
    discover = request.discover_agents
    for draft in drafts:
        if draft.kind is not Kind.AGENTS:
            continue

        def ask(target: str, own: Mapping[str, str]) -> tuple[str, ...]:
            assert discover is not None  # noqa: S101 (only passed on when it is there)
            return discover(target, pythonpath, str(layers.root), {**variables, **own})

        names = agents.agent_names(draft, ask if discover else None, messages.problems)
        if names is None:
            if discover is None:
                messages.notes.append(
                    f"the agents of {draft.name} are not listed, and its code was not asked"
                )
            continue
        members[draft.name] = names
        agents.check_each(draft, names, messages.problems)
    return members


def _needs_place(drafts: Sequence[Draft], name: str) -> str:
    entry, _, agent = name.partition(".")
    draft = next(draft for draft in drafts if draft.name in {name, entry})
    given = (agents.for_agent(draft, agent) if agent else draft).given("depends_on")
    return given.where if given else draft.where


def _by_name(drafts: Sequence[Draft], members: Mapping[str, tuple[str, ...]]) -> dict[str, Draft]:
    found: dict[str, Draft] = {}
    for draft in drafts:
        for agent in members.get(draft.name, ("",)):
            found[f"{draft.name}.{agent}" if agent else draft.name] = (
                agents.for_agent(draft, agent) if agent else draft
            )
    return found


def _components(
    root: Path, by_name: Mapping[str, Draft], selection: Selection, problems: list[Problem]
) -> tuple[ComponentSpec, ...]:
    """Make the specs of what is selected; what is not is checked all the same."""
    specs: list[ComponentSpec] = []
    for name, draft in by_name.items():
        agent = name.removeprefix(draft.name).removeprefix(".")
        spec = build.component(draft, root, selection.depends_on.get(name, ()), agent, problems)
        if name in selection.components:
            specs.append(spec)
    return tuple(specs)


def _report_missing(
    layers: Layers, selection: Selection, by_name: Mapping[str, Draft], problems: list[Problem]
) -> None:
    """Report unset variables where their value is needed; a component that is left out may lack them."""
    entries = [entry for name in selection.components for entry in by_name[name].own.values()]
    for path, entry in layers.document.entries.items():
        general = path[0] in {"launcher", "state", "environment", "groups", "hooks"}
        if general or path[:2] in {("dependencies", name) for name in selection.dependencies} | {
            ("profiles", name) for name in layers.profiles
        }:
            entries.append(entry)
    problems += [entry.missing for entry in entries if entry.missing]


def _component_variables(request: Request, layers: Layers, warnings: list[str]) -> dict[str, str]:
    """Return the variables for all components; see the order in the module's docstring."""
    declared = layers.document.below(("environment",))
    variables: dict[str, str] = {}
    for name, item in layers.dotenv.items():
        if name in request.environ or (
            name.startswith(environment.PREFIX) and name not in environment.FOREIGN_VARIABLES
        ):
            continue
        entry = declared.get((name,))
        if entry and entry.usable and entry.value != item.value:
            warnings.append(
                f"{name} of {item.where} has no effect: {entry.source} sets another value "
                f'(write {name} = "${{{name}:-…}}" there to let .env win)'
            )
        variables[name] = item.value
    for path, entry in declared.items():
        if entry.usable:
            variables[path[0]] = str(entry.value)
    return variables


def _pythonpath(layers: Layers, warnings: list[str]) -> tuple[str, ...]:
    entry = layers.document.entries.get(("launcher", "pythonpath"))
    given = Values(layers.document.below(("launcher",)), LAUNCHER).texts("pythonpath")
    if entry is None:
        source = layers.root / "src"
        given = ("src", ".") if source.is_dir() and not (source / "__init__.py").exists() else (".",)
    paths = tuple(os.path.normpath(layers.root / Path(text).expanduser()) for text in given)
    where = entry.where if entry else "pythonpath"
    warnings += [f"{where}: there is no directory {path}" for path in paths if not Path(path).is_dir()]
    return paths


def _spec(
    request: Request,
    layers: Layers,
    specs: tuple[ComponentSpec, ...],
    services: tuple[DependencySpec, ...],
    groups: Mapping[str, tuple[str, ...]],
    pythonpath: tuple[str, ...],
    variables: Mapping[str, str],
) -> LauncherSpec:
    values = Values(layers.document.below(("launcher",)), LAUNCHER)
    paths = run_paths(layers.root, values.text("run_dir"), values.text("log_dir"), request.environ)
    return LauncherSpec(
        name=values.text("name") or layers.root.name or "backend",
        root=str(layers.root),
        components=specs,
        mode=Mode(values.text("mode")),
        dependencies=services,
        groups=groups,
        pythonpath=pythonpath,
        preload=values.texts("preload"),
        environment=variables,
        run_dir=str(paths.run_dir),
        log_dir=str(paths.log_dir),
        hold=values.number("hold"),
        stop_timeout=values.number("stop_timeout"),
        keep_going=values.flag("keep_going"),
        log_level=values.text("log_level"),
        source=layers.source.name,
        api=values.whole("api"),
        state=state(layers.document, layers.root),
    )
