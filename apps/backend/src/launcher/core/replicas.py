"""Replicas: one declared component, run by several processes.

The first replica keeps the declared name, the others are called ``NAME.2``, ``NAME.3`` … So the name of what runs does not change when a second
one is added or the last one but one is taken away, and whoever knows nothing of replicas sees what they always saw. Each replica is a
component like any other. What they share is the declaration and the listening socket.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from launcher.core.suggest import did_you_mean
from launcher.errors import CommandFailed, LauncherError, UnknownComponent, UsageError
from launcher.model.spec import MOST_REPLICAS, Kind

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from launcher.model.spec import ComponentSpec


def replica_name(declared: str, number: int) -> str:
    """Return the name of one replica, counted from 1."""
    return declared if number == 1 else f"{declared}.{number}"


def declared_name(name: str, known: Container[str]) -> str:
    """Return the component that a replica belongs to, by the names there are; any other name is its own."""
    before, _, number = name.rpartition(".")
    return before if number.isdecimal() and before in known else name


def replicas_of(declared: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return all replicas of a component among the names there are, the first one first."""
    names = dict.fromkeys(known)
    return tuple(name for name in names if declared_name(name, names) == declared)


def expanded(components: Sequence[ComponentSpec], shared: Iterable[str]) -> dict[str, ComponentSpec]:
    """Return every replica by name; who depends on a component depends on all its replicas.

    Args:
        components: as declared.
        shared: the names of those that share a process, where one replica is all there can be.
    """
    alone = frozenset(shared)
    counts = {spec.name: 1 if spec.name in alone else spec.replicas for spec in components}
    found: dict[str, ComponentSpec] = {}
    for spec in components:
        needed = tuple(
            replica_name(name, number)
            for name in spec.depends_on
            for number in range(1, counts.get(name, 1) + 1)
        )
        for number in range(1, counts[spec.name] + 1):
            name = replica_name(spec.name, number)
            found[name] = replace(spec, name=name, replica=number, depends_on=needed)
    return found


def notes(components: Sequence[ComponentSpec], shared: Iterable[str]) -> Iterator[str]:
    """Say where fewer replicas run than were declared."""
    alone = frozenset(shared)
    for spec in components:
        if spec.name in alone and spec.replicas > 1:
            yield (
                f"{spec.name}: one of {spec.replicas} replicas runs, since all would share the launcher's own process "
                "and its one interpreter lock; --mode multi runs them"
            )


def refusal(
    components: Sequence[ComponentSpec], shared: Iterable[str], name: str, replicas: int
) -> LauncherError | None:
    """Return why a component cannot be scaled like that; ``None`` when it can."""
    known = [spec.name for spec in components]
    spec = next((each for each in components if each.name == name), None)
    if spec is None:
        return UnknownComponent(f'there is no component called "{name}" to scale', hint=_meant(name, known))
    if replicas < 1:
        return UsageError(
            f"cannot scale {name} to {replicas}: at least one replica stays", hint=f"launcher stop {name}"
        )
    if replicas > MOST_REPLICAS:
        return UsageError(
            f"cannot scale {name} to {replicas}: more than {MOST_REPLICAS} processes of one component are surely a mistake",
            hint="one replica per processor core is a good beginning",
        )
    what, hint = _obstacle(spec, alone=name in frozenset(shared))
    return CommandFailed(f"cannot scale {name}: {what}", hint=hint) if what else None


def _obstacle(spec: ComponentSpec, *, alone: bool) -> tuple[str, str]:
    if spec.kind is Kind.COMMAND:
        return "it is a command, which binds its ports itself", "declare several, each with a port of its own"
    if spec.oneshot:
        return "it is a one-shot, and would do its work several times", ""
    if alone:
        return "it runs in the launcher's own process, with everything else", "launcher up --mode multi"
    if spec.kind is Kind.ASGI and spec.bind is None:
        return "it has no port that replicas could share", f"set components.{spec.name}.port"
    return "", ""


def _meant(name: str, known: Sequence[str]) -> str:
    owner = declared_name(name, known)
    if owner != name:
        return f"name the component, not one of its replicas: launcher scale {owner}=N"
    members = [each for each in known if each.startswith(f"{name}.")]
    if members:
        return f"name one of its agents: {', '.join(members)}"
    return did_you_mean(name, known)
