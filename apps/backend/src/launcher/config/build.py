"""Make specs out of checked entries, and check what concerns several keys of one component."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from launcher.config import health
from launcher.config.entries import Document, Entry
from launcher.config.fields import Field, KeyPath, Section
from launcher.config.table import COMPONENT, DEFAULT_PORT, DEPENDENCY
from launcher.errors import Problem
from launcher.model.spec import (
    Bind,
    ComponentSpec,
    DependencySpec,
    Kind,
    Restart,
    RestartPolicy,
    TaskDeath,
)

KIND_OF = {"app": Kind.ASGI, "run": Kind.AGENT, "launcher": Kind.AGENTS, "command": Kind.COMMAND}
_KEY_OF = {kind: key for key, kind in KIND_OF.items()}
_A_KIND = {
    Kind.ASGI: "an ASGI component",
    Kind.AGENT: "an agent",
    Kind.AGENTS: "an entry of agents",
    Kind.COMMAND: "a command",
}
_EXAMPLES = {
    "app": 'app = "api.main:app"',
    "run": 'run = "agents.writer:run"',
    "launcher": 'launcher = "agents.launcher:AgentLauncher"',
    "command": 'command = "alembic upgrade head"',
}


class Draft(NamedTuple):
    """A declared component whose kind is known; an ``agents`` entry is one draft for all its agents."""

    name: str
    kind: Kind
    own: Mapping[KeyPath, Entry]
    where: str
    port: int | None = None

    def given(self, *path: str) -> Entry | None:
        """Return the entry of a key, if there is one."""
        return self.own.get(path)

    def depends_on(self) -> tuple[str, ...]:
        """Return the names it depends on, as written."""
        return Values(self.own, COMPONENT).texts("depends_on")


class Values:
    """Typed access to the entries of one table, with the defaults of the declaration."""

    def __init__(self, own: Mapping[KeyPath, Entry], section: Section) -> None:
        self._own = own
        self._section = section

    def get(self, *path: str) -> object:
        """Return the value, else the default, else ``None``."""
        entry = self._own.get(path)
        if entry is not None and entry.usable:
            return entry.value
        node: object = self._section
        for part in path:
            assert isinstance(node, Section), node  # noqa: S101 (paths are written by us)
            node = node.nodes[part]
        assert isinstance(node, Field), node  # noqa: S101 (same)
        return None if node.default is None else node.type.parse(node.default)

    def text(self, *path: str) -> str:
        """Return a text, or an empty one."""
        value = self.get(*path)
        return value if isinstance(value, str) else ""

    def flag(self, *path: str) -> bool:
        """Return a truth value."""
        return self.get(*path) is True

    def choice(self, *path: str) -> bool | None:
        """Return a truth value, or ``None`` where the choice is not made."""
        value = self.get(*path)
        return value if isinstance(value, bool) else None

    def number(self, *path: str) -> float:
        """Return a number of seconds, or 0."""
        value = self.get(*path)
        return float(value) if isinstance(value, int | float) else 0.0

    def whole(self, *path: str) -> int:
        """Return a whole number, or 0."""
        value = self.get(*path)
        return value if isinstance(value, int) else 0

    def texts(self, *path: str) -> tuple[str, ...]:
        """Return several texts, or none."""
        value = self.get(*path)
        return tuple(str(item) for item in value) if isinstance(value, tuple) else ()

    def variables(self) -> dict[str, str]:
        """Return the table ``environment``."""
        return {
            path[1]: str(entry.value)
            for path, entry in self._own.items()
            if path[0] == "environment" and entry.usable
        }


# ---- kinds ---------------------------------------------------------------------------------------------------------------------


def drafts(document: Document, problems: list[Problem]) -> list[Draft]:
    """Return every declared component whose kind can be told."""
    found: list[Draft] = []
    for name in document.names("components"):
        path = ("components", name)
        draft = _draft(name, document.below(path), document.tables[path], problems)
        if draft is not None:
            found.append(draft)
    return _with_ports(found, problems)


def _draft(name: str, own: Mapping[KeyPath, Entry], where: str, problems: list[Problem]) -> Draft | None:
    targets = [own[key,] for key in KIND_OF if (key,) in own]
    declared = own.get(("kind",))
    named = Kind(str(declared.value)) if declared and declared.usable else None
    if not targets:
        wanted = [_KEY_OF[named]] if named else list(_EXAMPLES)
        problems.append(
            Problem(
                where, "does not say what to run", f"write {' or '.join(_EXAMPLES[key] for key in wanted)}"
            )
        )
        return None
    first, *others = targets
    problems += [
        Problem(
            other.where,
            f"{first.path[-1]} and {other.path[-1]} exclude each other",
            "keep one, or make two components",
        )
        for other in others
    ]
    kind = KIND_OF[first.path[-1]]
    if declared and named not in {None, kind}:
        problems.append(
            Problem(
                declared.where,
                f'kind is "{named}", but the key {first.path[-1]} makes it {_A_KIND[kind]}',
                "leave kind out: it follows from what runs",
            )
        )
    draft = Draft(name, kind, own, where)
    _check_keys(draft, problems)
    return draft


def _check_keys(draft: Draft, problems: list[Problem]) -> None:
    for path, entry in draft.own.items():
        node = COMPONENT.nodes[path[0]]
        foreign = isinstance(node, Field) and draft.kind not in node.kinds and path[0] not in KIND_OF
        if foreign or (path[0] == "each" and draft.kind is not Kind.AGENTS):
            kinds = node.kinds if isinstance(node, Field) else frozenset({Kind.AGENTS})
            listed = ", ".join(sorted(_A_KIND[kind] for kind in kinds))
            problems.append(
                Problem(
                    entry.where,
                    f"{path[0]} means nothing for {_A_KIND[draft.kind]}",
                    f"leave it out; it is for {listed}",
                )
            )


def _with_ports(found: list[Draft], problems: list[Problem]) -> list[Draft]:
    """Give the first ASGI component without a port the default one; others have to name theirs."""
    taken = {
        entry.value: draft.name
        for draft in found
        if (entry := draft.given("port")) and isinstance(entry.value, int)
    }
    ported: list[Draft] = []
    for draft in found:
        if draft.kind is not Kind.ASGI or draft.given("port"):
            ported.append(draft)
            continue
        if DEFAULT_PORT in taken:
            free = next(port for port in range(DEFAULT_PORT + 1, 65536) if port not in taken)
            problems.append(
                Problem(
                    draft.where,
                    f"needs a port: {taken[DEFAULT_PORT]} has {DEFAULT_PORT}, the only default",
                    f"write port = {free}",
                )
            )
        taken.setdefault(DEFAULT_PORT, draft.name)
        ported.append(Draft(draft.name, draft.kind, draft.own, draft.where, DEFAULT_PORT))
    return ported


# ---- specs ---------------------------------------------------------------------------------------------------------------------


def component(
    draft: Draft, root: Path, depends_on: tuple[str, ...], agent: str, problems: list[Problem]
) -> ComponentSpec:
    """Make the spec of one component; contradictions between its keys are added to ``problems``.

    Args:
        draft: what is declared; for an agent with its own settings merged in.
        root: project directory.
        depends_on: the names it depends on, with entries of agents replaced by their members.
        agent: name of the agent within its entry; empty for other kinds.
        problems: collects what is wrong.
    """
    values = Values(draft.own, COMPONENT)
    oneshot = values.flag("oneshot")
    port = values.whole("port") or draft.port
    bind = Bind(port, values.text("address")) if port else None
    directory = values.text("directory")
    death = values.text("on_task_death") or (TaskDeath.LOG if draft.kind is Kind.ASGI else TaskDeath.RESTART)
    command = values.texts("command") if draft.kind is Kind.COMMAND else ()
    inherits = values.flag("inherit_socket")
    facts = health.Facts(draft.name, draft.kind, _A_KIND[draft.kind], oneshot, inherits, bind)
    return ComponentSpec(
        name=f"{draft.name}.{agent}" if agent else draft.name,
        kind=draft.kind,
        target="" if draft.kind is Kind.COMMAND else values.text(_KEY_OF[draft.kind]),
        agent=agent,
        factory=values.flag("factory"),
        command=command,
        oneshot=oneshot,
        bind=bind,
        inherit_socket=_inherits(draft, values, bind, problems),
        depends_on=depends_on,
        heartbeat=health.heartbeat(draft.given("heartbeat"), facts, problems),
        on_dependency_loss=health.on_dependency_loss(draft.given("on_dependency_loss"), facts, problems),
        ready=health.readiness(draft.given("ready"), facts, problems),
        restart=_restart(draft, values, problems),
        start_timeout=values.number("start_timeout"),
        stop_grace=values.number("stop_grace"),
        stop_signal=values.text("stop_signal"),
        environment=values.variables(),
        directory=os.path.normpath(root / Path(directory).expanduser()) if directory else "",
        critical=values.flag("critical"),
        console=values.flag("console"),
        on_task_death=TaskDeath(death),
        access_log=values.flag("access_log"),
        root_path=values.text("root_path"),
        warm=values.flag("warm"),
        overlap=values.choice("overlap"),
        replicas=values.whole("replicas"),
    )


def _inherits(draft: Draft, values: Values, bind: Bind | None, problems: list[Problem]) -> bool:
    given = draft.given("inherit_socket")
    inherits = values.flag("inherit_socket")
    if given is not None and inherits and bind is None and draft.kind is Kind.COMMAND:
        problems.append(
            Problem(given.where, f"{draft.name} has no port whose socket it could inherit", "give it a port")
        )
    return inherits


def _restart(draft: Draft, values: Values, problems: list[Problem]) -> Restart:
    oneshot = values.flag("oneshot")
    policy = RestartPolicy(values.text("restart", "policy"))
    given = draft.given("restart", "policy")
    if oneshot and given is None:
        policy = RestartPolicy.NEVER
    elif oneshot and given and given.usable and policy is RestartPolicy.ALWAYS:
        problems.append(
            Problem(
                given.where,
                "is a one-shot that would run again for ever",
                'write restart = "on-failure", or leave it out',
            )
        )
    delay, longest = values.number("restart", "delay"), values.number("restart", "max_delay")
    late = draft.given("restart", "max_delay") or draft.given("restart", "delay")
    if delay > longest and late:
        problems.append(
            Problem(
                late.where,
                f"the first delay ({delay:g} s) is longer than the longest ({longest:g} s)",
                "raise max_delay or lower delay",
            )
        )
    return Restart(
        policy=policy,
        delay=delay,
        max_delay=longest,
        immediate_after=values.number("restart", "immediate_after"),
        reset_after=values.number("restart", "reset_after"),
        max_restarts=values.whole("restart", "max_restarts"),
        window=values.number("restart", "window"),
    )


def dependencies(document: Document, problems: list[Problem]) -> dict[str, DependencySpec]:
    """Return the declared external services by name."""
    found: dict[str, DependencySpec] = {}
    for name in document.names("dependencies"):
        own = document.below(("dependencies", name))
        where = document.tables["dependencies", name]
        if name in document.names("components"):
            problems.append(
                Problem(
                    where, f"{name} is a component, too", "rename one of them: depends_on could mean both"
                )
            )
        if ("url",) not in own:
            problems.append(
                Problem(where, "has no url", 'write url = "postgresql://…", or "tcp://127.0.0.1:PORT"')
            )
        values = Values(own, DEPENDENCY)
        found[name] = DependencySpec(
            name,
            values.text("url"),
            values.number("timeout"),
            values.number("interval"),
            values.number("period"),
        )
    return found
