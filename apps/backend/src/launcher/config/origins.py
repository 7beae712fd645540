"""Say for every value in force where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from launcher.config.build import Draft
from launcher.config.entries import Document, Entry, written
from launcher.config.environment import fields
from launcher.config.fields import KeyPath, Node
from launcher.config.secrets import MASK, destination, is_secret_name, shown
from launcher.config.table import COMPONENT, DEPENDENCY
from launcher.config.table_hooks import HOOK
from launcher.config.table_launcher import LAUNCHER
from launcher.config.table_state import STATE
from launcher.model.spec import ComponentSpec, HookSpec, Kind, LauncherSpec, Probe, ProbeKind

DEFAULT = "default"


class Origin(NamedTuple):
    """Where one value in force came from.

    Attributes:
        key: key path, such as ``components.api.port``.
        value: as TOML, with secrets replaced by ``***``.
        source: ``default``, ``launcher.toml:12``, ``profile NAME (…)``, ``.env:3``, ``environment LAUNCHER_…``, a flag or an argument.
    """

    key: str
    value: str
    source: str


def origins(
    spec: LauncherSpec, document: Document, drafts: Mapping[str, Draft], dotenv: Mapping[str, tuple[str, str]]
) -> tuple[Origin, ...]:
    """Return the origin of every value.

    Args:
        spec: the outcome.
        document: all layers merged.
        drafts: the draft of each selected component, by its name.
        dotenv: variables for the components that came from ``.env``: value and place.
    """
    return (
        *_table("launcher", LAUNCHER, document.below(("launcher",)), _launcher_values(spec)),
        *_table("state", STATE, document.below(("state",)), {("machine",): spec.state.machine}),
        *_environment(document, dotenv),
        *(
            origin
            for component in spec.components
            for origin in _table(
                f"components.{component.name}",
                COMPONENT,
                drafts[component.name].own,
                _component_values(component),
            )
        ),
        *(
            origin
            for dependency in spec.dependencies
            for origin in _table(
                f"dependencies.{dependency.name}",
                DEPENDENCY,
                document.below(("dependencies", dependency.name)),
                {},
            )
        ),
        *(origin for hook in spec.hooks for origin in _hook(document, hook)),
        *(
            Origin(f"groups.{name}", written(members), document.entries["groups", name].source)
            for name, members in spec.groups.items()
        ),
    )


def _table(
    prefix: str, section: Node, own: Mapping[KeyPath, Entry], computed: Mapping[KeyPath, object]
) -> Iterator[Origin]:
    known = dict(fields(section))
    paths: Iterable[KeyPath] = (
        *(path for path in known if "NAME" not in path and path[0] != "each"),
        *_variables(own),
    )
    for path in paths:
        entry = own.get(path)
        key = ".".join((prefix, *path))
        field = known.get(path)
        if entry is not None:
            yield Origin(key, entry.shown, entry.source)
        elif path in computed:
            if computed[path] is not None:
                yield Origin(key, written(computed[path]), DEFAULT)
        elif field is not None and field.default is not None:
            yield Origin(key, written(field.default), DEFAULT)


def _hook(document: Document, hook: HookSpec) -> Iterator[Origin]:
    """The values of a hook; of its address only where it leads, since the rest is often the secret."""
    for origin in _table(f"hooks.{hook.name}", HOOK, document.below(("hooks", hook.name)), {}):
        yield origin._replace(value=written(destination(hook.url))) if origin.key.endswith(".url") else origin


def _variables(own: Mapping[KeyPath, Entry]) -> Iterator[KeyPath]:
    return (path for path in own if path[0] == "environment")


def _environment(document: Document, dotenv: Mapping[str, tuple[str, str]]) -> Iterator[Origin]:
    own = document.below(("environment",))
    hidden = [value for name, (value, _) in dotenv.items() if is_secret_name(name) and value]
    for name, (value, where) in dotenv.items():
        if (name,) not in own:
            # What was filled in from a secret is a secret, too.
            safe = MASK if any(secret in value for secret in hidden) else shown(name, value)
            yield Origin(f"environment.{name}", written(safe), where)
    for path, entry in own.items():
        yield Origin(f"environment.{path[0]}", entry.shown, entry.source)


def _launcher_values(spec: LauncherSpec) -> dict[KeyPath, object]:
    return {
        ("name",): spec.name,
        ("run_dir",): spec.run_dir,
        ("log_dir",): spec.log_dir,
        ("pythonpath",): spec.pythonpath,
        ("env_file",): None,
    }


def _component_values(spec: ComponentSpec) -> dict[KeyPath, object]:
    """Return the defaults that depend on the component; ``None`` for keys that have no meaning or no value."""
    silent = {
        path: None
        for path, field in fields(COMPONENT)
        if spec.kind not in field.kinds or (field.target and field.default is None)
    }
    return {
        **silent,
        ("kind",): str(spec.kind),
        ("port",): spec.bind.port if spec.bind else None,
        ("address",): spec.bind.address if spec.bind else None,
        ("ready",): _probe(spec.ready) if spec.ready else None,
        ("restart", "policy"): str(spec.restart.policy),
        ("on_task_death",): None if ("on_task_death",) in silent else str(spec.on_task_death),
        ("overlap",): None if ("overlap",) in silent else spec.kind is Kind.ASGI,
        ("root_path",): None,
    }


def _probe(probe: Probe) -> object:
    if probe.kind is ProbeKind.ALIVE:
        return {"alive": f"{probe.seconds:g}s"}
    return f"tcp://{probe.target}" if probe.kind is ProbeKind.TCP else probe.target
