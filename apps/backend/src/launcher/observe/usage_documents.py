"""What was seen of a running backend, as parts of the status document. Where nobody has looked, or nothing can be told, there is null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from launcher.core.loops import blocked
from launcher.core.plan import MAIN
from launcher.model.usage import FamilyUsage, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.core.view import View


class LoopDocument(TypedDict):
    """An event loop: seconds that it took to answer, or has not answered for; ``where`` and ``by`` tell what keeps it, if that is known."""

    lag: float
    answered: bool
    blocked: bool
    where: str
    by: str


class MemberDocument(TypedDict):
    """One process."""

    pid: int
    name: str


class ProcessDocument(TypedDict):
    """A process with all that it has started; ``part`` is launcher, guard, zygote or component, ``memory_kind`` pss or rss."""

    part: str
    pid: int
    components: list[str]
    cpu: float
    cpu_seconds: float
    memory: int
    memory_kind: str
    members: list[MemberDocument]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one component.

    Attributes:
        cpu: percent of one core; null where the component has no process of its own.
        memory: bytes; null likewise.
        shared_with: the other components in the launcher's process, when it is there.
    """

    cpu: float | None = None
    memory: int | None = None
    shared_with: tuple[str, ...] = ()
    loop: LoopDocument | None = None


def seen_of(view: View, name: str) -> Seen:
    """Return what was seen of one component."""
    shared_with: tuple[str, ...] = ()
    if view.plan.placement[name] == MAIN:
        placed = view.plan.placement.items()
        shared_with = tuple(other for other, host in placed if host == MAIN and other != name)
    if view.usage is None:
        return Seen(shared_with=shared_with)
    families = view.usage.of(name)
    return Seen(
        cpu=_cpu(families) if families else None,
        memory=_memory(families) if families else None,
        shared_with=shared_with,
        loop=_loop(view, name),
    )


def launcher_cost(view: View) -> tuple[float | None, int | None]:
    """Return CPU and memory of the launcher itself: its process, the guard and the zygote. In ``single`` that process holds components, too."""
    if view.usage is None:
        return None, None
    families = [family for family in view.usage.families if family.part is not Part.COMPONENT]
    return _cpu(families), _memory(families)


def process_documents(view: View) -> list[ProcessDocument]:
    """Return every family of processes; no process is in two of them, so their sum is what the backend costs."""
    return [] if view.usage is None else [_process(family) for family in view.usage.families]


def _process(family: FamilyUsage) -> ProcessDocument:
    return {
        "part": str(family.part),
        "pid": family.pid,
        "components": list(family.components),
        "cpu": round(family.cpu, 2),
        "cpu_seconds": round(family.cpu_seconds, 3),
        "memory": family.memory,
        "memory_kind": "pss" if family.proportional else "rss",
        "members": [{"pid": member.pid, "name": member.name} for member in family.members],
    }


def _cpu(families: Sequence[FamilyUsage]) -> float:
    return round(sum(family.cpu for family in families), 2)


def _memory(families: Sequence[FamilyUsage]) -> int:
    return sum(family.memory for family in families)


def _loop(view: View, name: str) -> LoopDocument | None:
    beat = (
        None if view.usage is None else view.usage.beats.get((name, view.fleet.components[name].incarnation))
    )
    if beat is None:
        return None
    return {
        "lag": round(beat.lag, 6),
        "answered": beat.answered,
        "blocked": blocked(beat),
        "where": beat.where,
        "by": beat.blamed,
    }
