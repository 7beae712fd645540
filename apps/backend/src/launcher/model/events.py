"""Everything that can happen. A user's wish, a crash and a timer are all events in one inbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.model.state import Role

if TYPE_CHECKING:
    from launcher.model.answers import Answer
    from launcher.model.state import Desired, Exit, Phase


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


# ---- about one component -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ComponentEvent(Event):
    """Something about one component."""

    component: str


@dataclass(frozen=True, slots=True)
class IncarnationEvent(ComponentEvent):
    """Something about one life of a component; dropped when that life is over."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class StartRequested(ComponentEvent):
    """Somebody wants the component up."""


@dataclass(frozen=True, slots=True)
class StopRequested(ComponentEvent):
    """Somebody wants the component down, or the backend is being stopped."""

    reason: str = "asked to stop"


@dataclass(frozen=True, slots=True)
class RestartRequested(ComponentEvent):
    """Somebody wants a new incarnation."""


@dataclass(frozen=True, slots=True)
class DependenciesReady(ComponentEvent):
    """All that the component depends on is ready; made by the fleet only."""


@dataclass(frozen=True, slots=True)
class DependencyFailed(ComponentEvent):
    """Something the component depends on cannot be had; made by the fleet only."""

    exit: Exit


@dataclass(frozen=True, slots=True)
class DependencyLost(ComponentEvent):
    """Something the component depends on was there and is lost; made by the fleet only, for components that do not keep going.

    Attributes:
        dependency: the component or external service.
        reason: what became of it, for people.
    """

    dependency: str
    reason: str


@dataclass(frozen=True, slots=True)
class DependencyBack(ComponentEvent):
    """All that the component depends on is ready again after something was lost; made by the fleet only."""


@dataclass(frozen=True, slots=True)
class Launched(IncarnationEvent):
    """The incarnation exists.

    Attributes:
        pid: the process that runs it.
        start: how it was started, for people: ``warm``, or ``cold`` and why; empty where there is no choice.
    """

    pid: int
    start: str = ""


@dataclass(frozen=True, slots=True)
class Started(IncarnationEvent):
    """The component itself says that its start is complete: lifespan done and listening, agent started, process spawned."""


@dataclass(frozen=True, slots=True)
class Checked(IncarnationEvent):
    """The readiness probe was answered, or not; what that means is told by other events."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class BecameReady(IncarnationEvent):
    """The readiness probe succeeded."""


@dataclass(frozen=True, slots=True)
class BecameUnready(IncarnationEvent):
    """The readiness probe failed: often enough in a row after it was ready, or for another reason than before while it starts."""

    reason: str


@dataclass(frozen=True, slots=True)
class LivenessLost(IncarnationEvent):
    """The incarnation no longer gives a sign of life."""

    reason: str


@dataclass(frozen=True, slots=True)
class LivenessBack(IncarnationEvent):
    """The incarnation gives signs of life again."""


@dataclass(frozen=True, slots=True)
class Exited(IncarnationEvent):
    """The incarnation is over: task ended, or process and its whole group gone."""

    exit: Exit


@dataclass(frozen=True, slots=True)
class StartDeadline(IncarnationEvent):
    """The start took too long."""


@dataclass(frozen=True, slots=True)
class GraceOver(IncarnationEvent):
    """The time to stop politely is over."""


@dataclass(frozen=True, slots=True)
class BackoffOver(IncarnationEvent):
    """The delay before the next start is over; ``incarnation`` is the life that ended."""


@dataclass(frozen=True, slots=True)
class ReturnOver(IncarnationEvent):
    """What was lost has been back for long enough to restart the incarnation that saw the loss."""


# ---- about dependencies and the whole backend ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartAllRequested(Event):
    """Every component of the plan is wanted up; the first event of every launcher."""


@dataclass(frozen=True, slots=True)
class DependencyChecked(Event):
    """A check of an external service was answered, or not."""

    dependency: str
    ok: bool
    latency: float = 0.0
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DependencyDeadline(Event):
    """An external service was waited for too long."""

    dependency: str


@dataclass(frozen=True, slots=True)
class Scaled(Event):
    """Somebody wants so many replicas of a component, by its declared name; that this is possible was checked before."""

    name: str
    replicas: int


@dataclass(frozen=True, slots=True)
class ShutdownRequested(Event):
    """The whole backend is to be stopped in order."""

    reason: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class ShutdownForced(Event):
    """The whole backend is to be stopped now (second Ctrl-C)."""

    reason: str
    exit_code: int = 130


@dataclass(frozen=True, slots=True)
class ShutdownDeadline(Event):
    """Stopping the whole backend took too long."""


# ---- what readers get ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one component, published once.

    Attributes:
        incarnation: the life that the change is about.
        before: phase of the component; the same as ``after`` when the change is about a successor, or about a life that retires.
        event: name of the event type that led to it.
        at: monotonic seconds.
        reason: for people; may be empty.
        role: what the life that the change is about is to the component after it.
    """

    component: str
    incarnation: int
    before: Phase
    after: Phase
    desired: Desired
    event: str
    at: float
    reason: str = ""
    exit: Exit | None = None
    pid: int | None = None
    role: Role = Role.CURRENT
