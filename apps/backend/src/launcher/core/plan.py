"""From a declaration to a plan: validated as a whole, ordered, and with every component placed.

A plan can be printed before anything is started; ``launcher check`` does just that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from launcher.core.graph import descendants, find_cycles, waves
from launcher.core.replicas import expanded, notes
from launcher.core.suggest import did_you_mean
from launcher.errors import ConfigError, Problem
from launcher.model.spec import Kind, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from launcher.model.spec import ComponentSpec, LauncherSpec

MAIN = "main"
"""Name of the host in the launcher's own process."""

WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 (compared, not bound)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the choice of a mode depends on besides the declaration.

    Attributes:
        ci: a variable that says this is a continuous-integration run, such as ``CI=true``; empty otherwise.
        production: a variable that says this is production, such as ``APP_ENV=production``; empty otherwise.
        container: whether this is a container.
        terminal: whether somebody sits in front of a terminal.
    """

    ci: str = ""
    production: str = ""
    container: bool = False
    terminal: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """The validated, ordered and placed declaration.

    Attributes:
        spec: the declaration, with ``mode`` decided.
        mode_reason: why this mode, for people.
        components: every component by name, in declaration order, replicas one by one; whether it overlaps and is alone is decided.
        waves: names in order of start; the members of one wave do not depend on each other.
        dependents: for every component those that depend on it, directly or not.
        placement: for every component the name of the host that runs it.
        notes: what is done otherwise than it was declared, for people.
    """

    spec: LauncherSpec
    mode_reason: str
    components: Mapping[str, ComponentSpec]
    waves: tuple[tuple[str, ...], ...]
    dependents: Mapping[str, frozenset[str]]
    placement: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def shared(self) -> frozenset[str]:
        """The components that share the launcher's own process."""
        return frozenset(name for name, host in self.placement.items() if host == MAIN)

    def requirements(self, name: str) -> tuple[str, ...]:
        """The components that ``name`` depends on, directly or not, in order of start."""
        return tuple(other for wave in self.waves for other in wave if name in self.dependents[other])

    def forked(self) -> tuple[ComponentSpec, ...]:
        """The components that run in a Python process of their own."""
        return tuple(
            spec
            for name, spec in self.components.items()
            if spec.kind is not Kind.COMMAND and self.placement[name] != MAIN
        )


def choose_mode(wanted: Mode, surroundings: Surroundings) -> tuple[Mode, str]:
    """Return the mode to run in and why; only ``auto`` leaves a choice."""
    if wanted is not Mode.AUTO:
        return wanted, "as asked for"
    if surroundings.production:
        return Mode.MULTI, f"{surroundings.production} asks for fault isolation"
    if surroundings.ci:
        return Mode.MULTI, f"{surroundings.ci}: as in production"
    if surroundings.container and not surroundings.terminal:
        return Mode.MULTI, "inside a container without a terminal: as in production"
    where = "a terminal" if surroundings.terminal else "this machine"
    return Mode.SINGLE, f"least memory and fastest start on {where}; --mode multi isolates faults"


def build(spec: LauncherSpec, surroundings: Surroundings = Surroundings()) -> Plan:
    """Return the plan for ``spec``.

    Raises:
        ConfigError: with every contradiction found: unknown names, cycles, shared ports, and what cannot share a process.
    """
    mode, reason = choose_mode(spec.mode, surroundings)
    shared = {component.name for component in spec.components if _host(component, mode) == MAIN}
    components = expanded(spec.components, shared)
    placement = {name: _host(component, mode) for name, component in components.items()}
    components = {
        name: replace(component, overlap=_overlaps(component, placement[name]), alone=placement[name] != MAIN)
        for name, component in components.items()
    }
    problems = [
        *_nothing_to_run(spec),
        *_unsupported(mode),
        *_duplicate_names(spec.components),
        *_unknown_names(spec),
        *_cycles(components),
        *_shared_ports(spec.components),
        *_port_of_the_api(spec),
        *_shared_process(list(components.values()), placement),
    ]
    if problems:
        raise ConfigError(problems)
    edges = _edges(components)
    return Plan(
        spec=replace(spec, mode=mode),
        mode_reason=reason,
        components=components,
        waves=waves(edges),
        dependents={name: descendants(edges, name) for name in components},
        placement=placement,
        notes=tuple(notes(spec.components, shared)),
    )


def scaled(plan: Plan, name: str, replicas: int) -> Plan:
    """Return the plan with another number of replicas of one component, by its declared name; all else stays."""
    components = tuple(
        replace(component, replicas=replicas) if component.name == name else component
        for component in plan.spec.components
    )
    return replace(build(replace(plan.spec, components=components)), mode_reason=plan.mode_reason)


def _host(component: ComponentSpec, mode: Mode) -> str:
    if component.kind is Kind.COMMAND or mode is Mode.MULTI:
        return component.name
    return MAIN


def _overlaps(component: ComponentSpec, host: str) -> bool:
    """Whether two incarnations of it may live at once while it is restarted.

    That takes a process for each: in a shared one, both would be the same object. A server may unless it is declared otherwise, an agent if it is
    declared so. A command never: it binds its ports itself, and a job that runs twice does its work twice.
    """
    if host == MAIN or component.kind is Kind.COMMAND or component.oneshot:
        return False
    return component.kind is Kind.ASGI if component.overlap is None else component.overlap


def _edges(components: Mapping[str, ComponentSpec]) -> dict[str, tuple[str, ...]]:
    """For every component the components that it depends on; external dependencies are no part of the order."""
    return {
        name: tuple(needed for needed in component.depends_on if needed in components)
        for name, component in components.items()
    }


def _where(spec_name: str, key: str) -> str:
    return f"components.{spec_name}.{key}"


def _nothing_to_run(spec: LauncherSpec) -> Iterator[Problem]:
    if not spec.components:
        hint = "add a [components.NAME] table, or give NAME=module:attribute on the command line"
        yield Problem("components", "there is no component to run", hint)


def _unsupported(mode: Mode) -> Iterator[Problem]:
    if mode is Mode.GROUPS:
        yield Problem("launcher.mode", "groups cannot be run by this version", "use single or multi")


def _duplicate_names(components: Iterable[ComponentSpec]) -> Iterator[Problem]:
    seen: set[str] = set()
    for component in components:
        if component.name in seen:
            yield Problem(
                f"components.{component.name}", f'there are two components called "{component.name}"'
            )
        seen.add(component.name)


def _unknown_names(spec: LauncherSpec) -> Iterator[Problem]:
    known = {component.name for component in spec.components} | {item.name for item in spec.dependencies}
    for component in spec.components:
        for needed in component.depends_on:
            if needed == component.name:
                where = _where(component.name, "depends_on")
                yield Problem(where, f'"{needed}" depends on itself', "remove it")
            elif needed not in known:
                yield Problem(
                    _where(component.name, "depends_on"),
                    f'there is no component or dependency called "{needed}"',
                    did_you_mean(needed, sorted(known)),
                )


def _cycles(components: Mapping[str, ComponentSpec]) -> Iterator[Problem]:
    for cycle in find_cycles(_edges(components)):
        path = " -> ".join((*cycle, cycle[0]))
        yield Problem(
            _where(cycle[0], "depends_on"),
            f"components wait for each other: {path}",
            "remove one of these entries from depends_on",
        )


def _shared_ports(components: Sequence[ComponentSpec]) -> Iterator[Problem]:
    owners: dict[int, list[ComponentSpec]] = {}
    for component in components:
        if component.bind is None or component.bind.port == 0:
            continue
        for other in owners.get(component.bind.port, ()):
            if _same_address(component, other):
                yield Problem(
                    _where(component.name, "port"),
                    f"{component.name} and {other.name} both want port {component.bind.port}",
                    "give one of them another port",
                )
        owners.setdefault(component.bind.port, []).append(component)


def _port_of_the_api(spec: LauncherSpec) -> Iterator[Problem]:
    for component in spec.components:
        if spec.api and component.bind is not None and component.bind.port == spec.api:
            yield Problem(
                _where(component.name, "port"),
                f"{component.name} and the control interface both want port {spec.api}",
                "give one of them another port; that of the control interface is --api, or [launcher] api",
            )


def _same_address(one: ComponentSpec, other: ComponentSpec) -> bool:
    addresses = {spec.bind.address for spec in (one, other) if spec.bind is not None}
    return len(addresses) == 1 or bool(addresses & WILDCARDS)


def _shared_process(components: Sequence[ComponentSpec], placement: Mapping[str, str]) -> Iterator[Problem]:
    """What cannot be had twice in one process: values of an environment variable, and the working directory."""
    remedy = "let them agree, or run with --mode multi"
    sharing = [component for component in components if placement[component.name] == MAIN]
    values: dict[str, ComponentSpec] = {}
    for component in sharing:
        for variable, value in component.environment.items():
            other = values.setdefault(variable, component)
            if other.environment[variable] != value:
                yield Problem(
                    _where(component.name, f"environment.{variable}"),
                    f"{component.name} and {other.name} share a process but want different values of {variable}",
                    remedy,
                )
    for component in sharing[1:]:
        first = sharing[0]
        if component.directory != first.directory:
            yield Problem(
                _where(component.name, "directory"),
                f"{component.name} and {first.name} share a process but want different working directories",
                remedy,
            )
