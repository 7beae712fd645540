"""Everything that can be asked of the world. Decisions are made without doing; the supervisor performs effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Timer(StrEnum):
    """What a timer stands for; at most one of each per incarnation is armed."""

    START = "start"
    GRACE = "grace"
    BACKOFF = "backoff"
    RETURN = "return"
    DEPENDENCY = "dependency"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Effect:
    """Base of all effects."""


@dataclass(frozen=True, slots=True)
class Launch(Effect):
    """Start an incarnation on the host that the plan places the component on."""

    component: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class RequestStop(Effect):
    """Ask an incarnation to end politely."""

    component: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Kill(Effect):
    """End an incarnation by force: SIGKILL to its processes, cancellation of its tasks."""

    component: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class StartProbe(Effect):
    """Begin to ask whether the incarnation is ready."""

    component: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class StartHeartbeat(Effect):
    """Begin to watch whether the event loop of the incarnation turns."""

    component: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class StopProbe(Effect):
    """Stop asking, and stop watching."""

    component: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class ShowStacks(Effect):
    """Write into the log where every thread of the process of the incarnation stands."""

    component: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class SetTimer(Effect):
    """Arm a timer; a timer of the same kind, name and incarnation is replaced.

    Attributes:
        name: component, dependency, or empty for the whole backend.
        incarnation: 0 when it is not about a component.
        delay: seconds from now.
    """

    timer: Timer
    name: str
    incarnation: int
    delay: float


@dataclass(frozen=True, slots=True)
class CancelTimer(Effect):
    """Disarm a timer, if it is armed."""

    timer: Timer
    name: str
    incarnation: int = 0


@dataclass(frozen=True, slots=True)
class WatchDependency(Effect):
    """Begin to check an external service."""

    dependency: str


@dataclass(frozen=True, slots=True)
class Finish(Effect):
    """Everything is at rest; the launcher ends with this exit code."""

    exit_code: int
    reason: str
