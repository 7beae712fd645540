"""What was seen of a running backend when somebody looked: what its processes cost, and whether its loops turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@unique
class Part(StrEnum):
    """What a family of processes is there for."""

    LAUNCHER = "launcher"
    """The launcher's own process; in ``single`` the components are in it."""
    GUARD = "guard"
    ZYGOTE = "zygote"
    COMPONENT = "component"
    """A component that has a process of its own."""


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a family; the name is the short one that the system keeps (proc(5), ``comm``), which holds no arguments."""

    pid: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class FamilyUsage:
    """What a process costs together with everything that it has started and that still runs.

    Attributes:
        pid: the first process of the family.
        components: who is in it: one component, all that share the launcher's process, or nobody.
        cpu: percent of one core since the look before; at the first look, since the process began.
        cpu_seconds: time on a core that was seen so far, in seconds.
        memory: bytes.
        proportional: whether ``memory`` is the proportional set size, in which a page that several processes share counts once in all;
            otherwise it is the resident size, in which it counts once for each.
        members: every process of the family, the first one included.
    """

    part: Part
    pid: int
    components: tuple[str, ...] = ()
    cpu: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    proportional: bool = True
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """How the event loop of an incarnation answered the last question whether it turns.

    Attributes:
        lag: seconds from the question to the answer on the loop; while there is none, seconds since the question.
        answered: whether there is an answer.
        where: while there is none, the line that keeps the loop, as far as it can be seen from outside.
        blamed: the component whose task that is; empty when not known.
        tasks: of an incarnation that stops, its tasks that have not ended, at the last answer.
    """

    lag: float
    answered: bool = True
    where: str = ""
    blamed: str = ""
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Everything that was seen in one look.

    Attributes:
        families: all processes of the launcher; no process is in two of them.
        cpu_totals: seconds on a core that were seen so far, over all incarnations, by component; of what is no component, by `Part`.
        beats: by component and incarnation; missing for what has no loop, or none yet.
        lost_lines: log lines that were lost since the start, by why.
    """

    families: tuple[FamilyUsage, ...] = ()
    cpu_totals: Mapping[tuple[Part, str], float] = field(default_factory=dict)
    beats: Mapping[tuple[str, int], Beat] = field(default_factory=dict)
    lost_lines: Mapping[str, int] = field(default_factory=dict)

    def of(self, component: str) -> tuple[FamilyUsage, ...]:
        """Return the families that a component has for itself: one for each incarnation in a process of its own."""
        return tuple(
            family
            for family in self.families
            if family.part is Part.COMPONENT and family.components == (component,)
        )

    def shared_by(self, component: str) -> FamilyUsage | None:
        """Return the family that a component shares with the launcher, if it does."""
        for family in self.families:
            if family.part is Part.LAUNCHER and component in family.components:
                return family
        return None
