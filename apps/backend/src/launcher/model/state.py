"""What is: the state of every component and dependency at one moment. All times are monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.model.answers import Answer


@unique
class Phase(StrEnum):
    """Where a component stands in its life."""

    WAITING = "waiting"
    """Wanted up; something it depends on is not ready."""
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    """Was ready, runs, but its readiness probe fails, or the event loop that it shares does not turn. Never a reason to restart it."""
    STOPPING = "stopping"
    BACKOFF = "backoff"
    """Ended; will be started again when the delay is over."""
    STOPPED = "stopped"
    FAILED = "failed"
    """Given up: needs somebody to look at it."""
    COMPLETED = "completed"
    """Ended as it should and is not to be started again."""


ALIVE: frozenset[Phase] = frozenset({Phase.STARTING, Phase.READY, Phase.UNREADY, Phase.STOPPING})
"""Phases in which an incarnation exists; in the others, earlier ones of a component that may overlap can still retire."""

AT_REST: frozenset[Phase] = frozenset({Phase.STOPPED, Phase.FAILED, Phase.COMPLETED})
"""Phases that are left only when somebody asks for it."""


@unique
class Desired(StrEnum):
    """What is wanted of a component, apart from what it does just now."""

    UP = "up"
    DOWN = "down"


@unique
class Role(StrEnum):
    """What an incarnation is to its component."""

    CURRENT = "current"
    """The one that the phase is about; there is at most one."""
    SUCCESSOR = "successor"
    """Being started beside the current one, to take its place when it is ready; there is at most one."""
    RETIRING = "retiring"
    """Asked to stop and not ended yet, while another one is the current one."""


@unique
class ExitKind(StrEnum):
    """How an incarnation ended."""

    RETURNED = "returned"
    """The agent or application returned, or the process exited with 0."""
    RAISED = "raised"
    """An exception, a failed lifespan, or a dead background task."""
    EXITED = "exited"
    """``SystemExit`` or a process exit with a code other than 0."""
    SIGNALLED = "signalled"
    """The process was ended by a signal."""
    UNSTARTABLE = "unstartable"
    """It can never start as declared: import error, missing attribute, command not found, port taken."""
    UNREACHABLE = "unreachable"
    """It never started: a dependency could not be reached in time."""
    UNHEALTHY = "unhealthy"
    """It was ended by the supervisor: start deadline or liveness."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process had used of the machine when it ended, with those of its children that it had waited for (``wait4(2)``).

    Attributes:
        user: CPU seconds in its own code.
        system: CPU seconds in the kernel.
        peak_memory: largest resident size of one of these processes, in bytes.
        minor_faults: page faults that needed no reading.
        major_faults: page faults that did; many of them say that memory was short.
    """

    user: float
    system: float
    peak_memory: int
    minor_faults: int = 0
    major_faults: int = 0


@dataclass(frozen=True, slots=True)
class Exit:
    """How and why an incarnation ended.

    Attributes:
        message: one line for people: what happened, with the last frame of the user's own code where there is one.
        hint: what to do about it; may be empty.
        code: exit code of the process or ``SystemExit``; ``None`` where there is none.
        signal: number of the signal that ended the process, 0 for none.
        traceback: full traceback text; kept for the log, not shown by ``status``.
        killed: it had to be killed because it ignored the request to stop.
        spent: what its process had used; ``None`` where it had none of its own.
    """

    kind: ExitKind
    message: str = ""
    hint: str = ""
    code: int | None = None
    signal: int = 0
    traceback: str = field(default="", repr=False)
    killed: bool = False
    spent: Spent | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether it ended of its own accord and without an error."""
        return self.kind is ExitKind.RETURNED

    @property
    def fatal(self) -> bool:
        """Whether starting it again as declared cannot help."""
        return self.kind in (ExitKind.UNSTARTABLE, ExitKind.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Successor:
    """The incarnation that is to take the place of the current one when it is ready.

    Attributes:
        phase: ``waiting`` for what the component depends on, or ``starting``.
        incarnation: its number, 0 before it was launched.
        since: when the phase was entered.
        started_at: when it said that it has started; ``None`` before.
        pid: process that runs it; ``None`` when not known.
        start: how it was started, see ``Launched``.
        reason: why it is not ready yet, for people.
    """

    phase: Phase = Phase.WAITING
    incarnation: int = 0
    since: float = 0.0
    started_at: float | None = None
    pid: int | None = None
    start: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retiring:
    """An incarnation that was asked to stop, has not ended, and is not the current one.

    Attributes:
        since: when it was asked.
        pid: process that runs it; ``None`` when not known.
        kills: how often it was told to die after ignoring the request to stop.
    """

    incarnation: int
    since: float = 0.0
    pid: int | None = None
    kills: int = 0


@dataclass(frozen=True, slots=True)
class ComponentState:
    """One component at one moment; changed only by ``launcher.core.machine`` and ``launcher.core.succession``.

    All fields up to ``pid`` are about the current incarnation.

    Attributes:
        incarnation: number of the current or last life, 0 before the first.
        since: when the phase was entered.
        restart_asked: while stopping: the next start was asked for and skips the backoff.
        started_at: when the current incarnation said that it has started; ``None`` before.
        ready_at: when the current incarnation became ready; ``None`` before.
        ever_ready: whether any incarnation was ready since somebody last asked for a start.
        failures: consecutive failures, the exponent of the backoff.
        restarts: times of the restarts that count in the restart window.
        total_restarts: automatic restarts since the launcher started.
        next_attempt_at: when a backoff ends; ``None`` elsewhere.
        last_exit: how the last incarnation ended.
        kills: how often the current incarnation was told to die after ignoring the request to stop.
        reason: why it is in this phase, for people.
        pid: process that runs the incarnation; ``None`` when there is none.
        start: how the current or last incarnation was started, see ``Launched``.
        ended: while stopping: the current incarnation has ended, and only retiring ones are waited for.
        successor: the incarnation that is being started beside the current one; ``None`` for none.
        retiring: earlier incarnations, and given up successors, that have not ended; oldest first.
        newest: highest number that a successor, or a replica of this name that has left, was given; 0 for none.
        failed_restart: why the last successor did not take over; ``None`` when it did, or there was none.
        answer: the last answer of the current incarnation to its readiness probe; ``None`` when it was not asked.
        answered_at: when that came.
        failing: why the readiness probe of the current incarnation fails since it was ready; empty when it does not.
        hung_at: since when its event loop is known not to turn; ``None`` when it does, or nobody looks.
        loss: what it depends on, was lost, and takes it along: it waits for its return without a deadline, or is restarted then. Empty for
            nothing.
        returns_at: when it is restarted because what was lost is back; ``None`` when it is not.
    """

    name: str
    phase: Phase = Phase.STOPPED
    desired: Desired = Desired.DOWN
    incarnation: int = 0
    since: float = 0.0
    restart_asked: bool = False
    started_at: float | None = None
    ready_at: float | None = None
    ever_ready: bool = False
    failures: int = 0
    restarts: tuple[float, ...] = ()
    total_restarts: int = 0
    next_attempt_at: float | None = None
    last_exit: Exit | None = None
    kills: int = 0
    reason: str = ""
    pid: int | None = None
    start: str = ""
    ended: bool = False
    successor: Successor | None = None
    retiring: tuple[Retiring, ...] = ()
    newest: int = 0
    failed_restart: Exit | None = None
    answer: Answer | None = None
    answered_at: float = 0.0
    failing: str = ""
    hung_at: float | None = None
    loss: str = ""
    returns_at: float | None = None

    @property
    def lives(self) -> tuple[int, ...]:
        """The numbers of all incarnations that exist, whatever their role."""
        old = tuple(life.incarnation for life in self.retiring)
        current = (self.incarnation,) if self.phase in ALIVE and not self.ended else ()
        launched = self.successor is not None and self.successor.phase is Phase.STARTING
        return (*old, *current, *((self.successor.incarnation,) if self.successor and launched else ()))

    @property
    def last_number(self) -> int:
        """The highest number that any incarnation was given."""
        return max(self.incarnation, self.newest)


@dataclass(frozen=True, slots=True)
class DependencyState:
    """What is known of an external service.

    Attributes:
        up: the last answer; ``None`` before the first check.
        usable: the verdict on several answers, which components follow: false after three failed checks in a row, true after one that
            succeeded. ``None`` before the first success.
        failures: failed checks in a row.
        watched_since: when somebody began to wait for it; ``None`` before.
        since: when ``up`` last changed.
        latency: duration of the last successful check in seconds.
    """

    name: str
    up: bool | None = None
    watched_since: float | None = None
    since: float = 0.0
    latency: float | None = None
    reason: str = ""
    hint: str = ""
    usable: bool | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class FleetState:
    """All components together; immutable, so it is its own snapshot.

    Attributes:
        leaving: replicas that are not wanted any more; they are stopped, and then are no part of the fleet.
        left: the last incarnation of each replica that has left, so that no number is given twice.
        settled: every component that is wanted up has once been ready, completed, or been given up.
        draining: the whole backend is being stopped.
        drain_reason: why, for people.
        exit_code: what the launcher will end with; meaningful while draining.
        forced: the stop has become immediate, by a second request or because it took too long.
        killed: something had to be killed while the backend was being stopped.
        finished: nothing is left to do; the launcher ends.
    """

    components: Mapping[str, ComponentState]
    dependencies: Mapping[str, DependencyState] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()
    left: Mapping[str, int] = field(default_factory=dict)
    settled: bool = False
    draining: bool = False
    drain_reason: str = ""
    exit_code: int = 0
    forced: bool = False
    killed: bool = False
    finished: bool = False
