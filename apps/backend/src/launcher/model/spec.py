"""What is wanted: the validated declaration of a backend.

Specs are plain frozen values. They are made by ``launcher.config`` (from files, environment and flags) and never change afterwards.
All durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.model.state import Phase

MOST_REPLICAS = 100
"""More replicas of one component than this are taken for a slip of the keyboard."""


@unique
class Kind(StrEnum):
    """Sort of component."""

    ASGI = "asgi"
    """An ASGI application (FastAPI, Starlette, …) served on a bind."""
    AGENT = "agent"
    """A coroutine function, or an object or class with ``start()`` and ``stop()``."""
    AGENTS = "agents"
    """One agent of an ``AgentLauncher``; the declared entry expands to one component per agent."""
    COMMAND = "command"
    """An argument vector, always run as a process of its own."""


@unique
class Mode(StrEnum):
    """The preset that decides the placement of every component."""

    SINGLE = "single"
    MULTI = "multi"
    GROUPS = "groups"
    AUTO = "auto"


@unique
class RestartPolicy(StrEnum):
    """When an ended component is started again (the words of Kubernetes)."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@unique
class ProbeKind(StrEnum):
    """How readiness is asked for, or told."""

    HTTP = "http"
    """GET of a path or URL answers with a status from 200 to 399."""
    TCP = "tcp"
    """A TCP connection is accepted."""
    URL = "url"
    """The server behind a database URL answers a query in its own protocol."""
    EXEC = "exec"
    """A command exits with 0."""
    LOG = "log"
    """A line of output matches a regular expression."""
    CALL = "call"
    """A function of the component's own code, called in the process that runs it, returns anything true, or nothing."""
    NOTIFY = "notify"
    """The command sends ``READY=1`` to ``$NOTIFY_SOCKET`` (systemd's protocol)."""
    ALIVE = "alive"
    """The process has lived for some seconds."""


@unique
class TaskDeath(StrEnum):
    """What follows when a background task of a component dies of an exception."""

    RESTART = "restart"
    LOG = "log"


@unique
class DependencyLoss(StrEnum):
    """What a component does when something that it depends on is lost after it was ready."""

    KEEP = "keep"
    """Goes on; it decides for itself."""
    STOP = "stop"
    """Is stopped, and started again when all that it depends on is back."""
    RESTART = "restart"
    """Goes on, and is restarted once when all that it depends on is back."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A network address that the supervisor binds and holds for a component."""

    port: int
    address: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """The address as a browser wants it; a wildcard is shown as the loopback address."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.address, self.address)  # noqa: S104 (compared, not bound)
        return f"http://{shown if ':' not in shown or shown.startswith('[') else f'[{shown}]'}:{self.port}"

    @property
    def target(self) -> str:
        """The same address as TCP probes are given it."""
        return self.url.removeprefix("http://")


@dataclass(frozen=True, slots=True)
class Probe:
    """How to know that a component is ready.

    Attributes:
        kind: the way of asking.
        target: path or URL, ``address:port``, regular expression, shell-free command line, or ``module:attribute``, by kind.
        argv: the argument vector of an ``exec`` probe.
        interval: pause between two checks while starting.
        period: pause between two checks once ready (10 s as in Kubernetes); after a failed check it is one second.
        timeout: longest duration of one check.
        failures: consecutive failed checks that make a ready component unready (as in Kubernetes: 3).
        seconds: how long an ``alive`` probe waits.
    """

    kind: ProbeKind
    target: str = ""
    argv: tuple[str, ...] = ()
    interval: float = 0.2
    period: float = 10.0
    timeout: float = 1.0
    failures: int = 3
    seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Restart:
    """When and how fast an ended component is started again.

    Pacing and giving up are two separate knobs: the delay grows with consecutive failures, the window counts restarts.

    Attributes:
        policy: which ends lead to a restart.
        delay: first delay; doubled with each consecutive failure.
        max_delay: longest delay.
        immediate_after: a component that was ready for this long is first restarted without delay.
        reset_after: being ready for this long forgets earlier failures.
        max_restarts: more restarts than this within ``window`` make the component ``failed``.
        window: length of the restart window.
    """

    policy: RestartPolicy = RestartPolicy.ALWAYS
    delay: float = 0.2
    max_delay: float = 30.0
    immediate_after: float = 10.0
    reset_after: float = 60.0
    max_restarts: int = 5
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One component: what it is, how it is started, when it is ready, when it is restarted and how it is stopped.

    Attributes:
        name: unique name; an agent of an ``agents`` entry is called ``ENTRY.AGENT``.
        target: ``module:attribute`` of the application, agent or ``AgentLauncher``.
        agent: the name that the ``AgentLauncher`` knows the agent by (kind ``agents`` only).
        factory: call the attribute without arguments to get the application.
        command: argument vector (kind ``command`` only).
        oneshot: runs to its end; dependents start when it has completed.
        bind: address that the supervisor binds for it (kind ``asgi``), or that it is known to bind itself (``command``).
        inherit_socket: the supervisor binds the address and hands the listening socket over (kind ``command``).
        depends_on: components and dependencies that must be ready (one-shots: completed) before it starts.
        on_dependency_loss: what follows when one of these is lost after the component was ready.
        ready: extra readiness probe on top of what the component itself tells; ``None`` for none.
        heartbeat: the event loop of a ready component has to turn at least once in this time, in seconds; 0 for no watch.
        alone: whether it runs in a process of its own, which can be killed; decided by the plan.
        start_timeout: a component that is not ready by then is stopped, and the start counts as failed.
        stop_grace: time between the request to stop and the kill.
        stop_signal: name of the signal that asks a process to stop.
        environment: variables set for this component.
        directory: absolute working directory; empty means the project directory.
        critical: when it has failed for good, the whole backend is stopped.
        console: whether its log lines are shown by ``launcher up``.
        on_task_death: what follows when a background task of it dies.
        access_log: whether HTTP requests are logged (kind ``asgi``).
        root_path: the ASGI root path (kind ``asgi``).
        warm: whether a process of its own may be forked from one that has its libraries imported.
        overlap: on a restart the new incarnation is started, and ready, before the old one is asked to stop. ``None`` leaves it to the plan,
            in which it is always decided.
        replicas: how many processes run it, where each can have one of its own.
        replica: which of them this is, counted from 1; the declaration itself is the first.
    """

    name: str
    kind: Kind
    target: str = ""
    agent: str = ""
    factory: bool = False
    command: tuple[str, ...] = ()
    oneshot: bool = False
    bind: Bind | None = None
    inherit_socket: bool = False
    depends_on: tuple[str, ...] = ()
    on_dependency_loss: DependencyLoss = DependencyLoss.KEEP
    ready: Probe | None = None
    restart: Restart = Restart()
    start_timeout: float = 60.0
    stop_grace: float = 10.0
    stop_signal: str = "SIGTERM"
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    critical: bool = False
    console: bool = True
    on_task_death: TaskDeath = TaskDeath.RESTART
    access_log: bool = True
    root_path: str = ""
    warm: bool = True

    @property
    def held(self) -> bool:
        """Whether the supervisor binds its address and holds it for all of its incarnations."""
        return self.bind is not None and (self.kind is Kind.ASGI or self.inherit_socket)

    heartbeat: float = 0.0
    alone: bool = True
    overlap: bool | None = None
    replicas: int = 1
    replica: int = 1

    @property
    def declared_name(self) -> str:
        """The name in the declaration, which all replicas share."""
        return self.name if self.replica == 1 else self.name.removesuffix(f".{self.replica}")


@dataclass(frozen=True, slots=True)
class DependencySpec:
    """An external service that is probed at protocol level and never started.

    Attributes:
        url: database, HTTP or ``tcp://`` URL; may hold a password and is therefore only shown redacted.
        timeout: how long dependents wait for it before their start counts as failed.
        interval: pause between two checks while it is waited for.
        period: pause between two checks once it is up.
    """

    name: str
    url: str = field(repr=False)
    timeout: float = 60.0
    interval: float = 0.25
    period: float = 30.0


API_ADDRESS = "127.0.0.1"
"""Where the control interface over TCP listens: nobody outside this machine can reach it."""


@dataclass(frozen=True, slots=True)
class HookSpec:
    """Somebody who is told when components change their phase.

    Attributes:
        on: the phases whose beginning is told.
        components: names, entries of agents or wildcards; empty for all.
        command: argument vector that is run for each notification; empty when it is posted.
        url: where it is posted to; may be a secret as a whole.
        timeout: longest duration of one attempt.
        attempts: how often one notification is tried.
    """

    name: str
    on: frozenset[Phase]
    components: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    url: str = field(default="", repr=False)
    timeout: float = 10.0
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class StateSpec:
    """Where transitions and the last snapshot are kept, beyond the life of the launcher.

    Attributes:
        url: ``memory://``, ``sqlite:///`` with an absolute path, or of a Redis server; may hold a password and is only shown redacted.
        expiry: a launcher that has given no sign of life for so long counts as lost, where others can see it at all.
        kept: how many transitions of one launcher are kept.
        kept_for: how long the transitions of a launcher are kept after it was last heard of.
        machine: the name of this machine, for others.
    """

    url: str = field(default="memory://", repr=False)
    expiry: float = 60.0
    kept: int = 10_000
    kept_for: float = 30 * 24 * 3600.0
    machine: str = ""


@dataclass(frozen=True, slots=True)
class LauncherSpec:
    """The whole declaration after all layers were merged and the selection applied.

    Attributes:
        name: name of the project, shown everywhere.
        root: absolute project directory; relative paths are relative to it.
        mode: the mode asked for, never ``auto`` once the plan is built.
        components: the selected components in declaration order.
        dependencies: the dependencies that the selected components need.
        groups: names of groups and their members.
        pythonpath: absolute directories put in front of ``sys.path`` of every host.
        preload: modules of the project that processes are forked with; see `launcher.hosts.preload`.
        environment: variables from ``.env`` and ``[environment]``, set for every component.
        run_dir: absolute directory of the control socket and other run-time files (0700).
        log_dir: absolute directory of the log files.
        hold: how long clients of a component that nobody serves wait, before the launcher answers them with 503.
        stop_timeout: longest duration of stopping the whole backend.
        keep_going: a component that fails to start does not stop the others.
        log_level: lowest level of Python log records that are kept.
        source: the file that the declaration was read from; empty when it came from the command line.
        api: port of the control interface over TCP, on loopback; 0 for none.
        hooks: who is told of what happens.
        state: where the state is kept.
    """

    name: str
    root: str
    components: tuple[ComponentSpec, ...]
    mode: Mode = Mode.AUTO
    dependencies: tuple[DependencySpec, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pythonpath: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    run_dir: str = ""
    log_dir: str = ""
    hold: float = 5.0
    stop_timeout: float = 30.0
    keep_going: bool = False
    log_level: str = "INFO"
    source: str = ""
    api: int = 0
    hooks: tuple[HookSpec, ...] = ()
    state: StateSpec = StateSpec()
