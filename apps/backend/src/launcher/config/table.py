"""The one table of everything that can be declared; validation, JSON Schema, reference and environment names come from it."""

from __future__ import annotations

from launcher.config.fields import (
    ADDRESS,
    ANY_TEXT,
    COMMAND,
    FLAG,
    IN_PYTHON,
    INTERVAL,
    KIND,
    LIST,
    MODE,
    ONE_OR_MORE,
    PATH,
    PORT,
    REPLICAS,
    SECONDS,
    SIGNAL,
    SOME_SECONDS,
    TARGET,
    TASK_DEATH,
    TEXT,
    URL,
    Field,
    Named,
    section,
    variables,
)
from launcher.config.table_health import HEARTBEAT, ON_DEPENDENCY_LOSS, READY
from launcher.config.table_hooks import HOOK
from launcher.config.table_launcher import LAUNCHER
from launcher.config.table_restart import RESTART
from launcher.config.table_state import STATE
from launcher.model.spec import MOST_REPLICAS, Kind

_ASGI = frozenset({Kind.ASGI})
_AGENT = frozenset({Kind.AGENT})
_AGENTS = frozenset({Kind.AGENTS})
_COMMAND = frozenset({Kind.COMMAND})
_BINDS = frozenset({Kind.ASGI, Kind.COMMAND})
_ENDS = frozenset({Kind.AGENT, Kind.AGENTS, Kind.COMMAND})

DEFAULT_PORT = 8000
"""Port of the first ASGI component that names none; what uvicorn and ``fastapi dev`` take."""

TARGETS = (
    Field(
        "kind",
        KIND,
        "Sort of component.",
        default_doc="follows from the key that says what runs",
        example='"asgi"',
        target=True,
    ),
    Field(
        "app",
        TARGET,
        "ASGI application to serve.",
        example='"api.main:app"',
        kinds=_ASGI,
        target=True,
        default_doc="one of the four is needed",
    ),
    Field(
        "factory",
        FLAG,
        "`app` is called without arguments to get the application.",
        default=False,
        example="true",
        kinds=_ASGI,
        target=True,
    ),
    Field(
        "run",
        TARGET,
        "Agent: coroutine function, or object or class with `start()` and `stop()`.",
        example='"agents.writer:run"',
        kinds=_AGENT,
        target=True,
        default_doc="one of the four is needed",
    ),
    Field(
        "launcher",
        TARGET,
        "Class that knows several agents; each becomes a component `NAME.AGENT`.",
        example='"agents.launcher:AgentLauncher"',
        kinds=_AGENTS,
        target=True,
        default_doc="one of the four is needed",
    ),
    Field(
        "agents",
        LIST,
        "Which agents of `launcher`.",
        default_doc="all that it knows",
        example='["writer", "critic"]',
        kinds=_AGENTS,
        target=True,
    ),
    Field(
        "command",
        COMMAND,
        "Program with its arguments; a text is split into words, never given to a shell.",
        example='"alembic upgrade head"',
        kinds=_COMMAND,
        target=True,
        default_doc="one of the four is needed",
    ),
)

SETTINGS = (
    Field(
        "port",
        PORT,
        "Port that is bound for it; for a command without `inherit_socket`: the port that it binds itself.",
        default_doc="8000 for the first ASGI component, none for others",
        constraint="one component per port",
        example="8000",
        kinds=_BINDS,
    ),
    Field(
        "inherit_socket",
        FLAG,
        "`port` is bound by the launcher, and the program gets the listening socket as file descriptor 3 (`LISTEN_FDS`).",
        default=False,
        constraint="needs a `port`",
        example="true",
        kinds=_COMMAND,
    ),
    Field(
        "address", ADDRESS, "Address to listen on.", default="127.0.0.1", example='"0.0.0.0"', kinds=_BINDS
    ),
    READY,
    Field(
        "depends_on",
        LIST,
        "Components and dependencies that are ready (one-shots: completed) before it starts.",
        default=[],
        example='["postgres", "migrate"]',
    ),
    ON_DEPENDENCY_LOSS,
    Field(
        "oneshot",
        FLAG,
        "Runs to its end; dependents start when it has completed.",
        default=False,
        example="true",
        kinds=_ENDS,
    ),
    HEARTBEAT,
    Field(
        "start_timeout",
        SOME_SECONDS,
        "Not ready by then: the start has failed.",
        default="1m",
        example='"2m"',
    ),
    Field(
        "stop_grace",
        SECONDS,
        "Time between the request to stop and the kill.",
        default="10s",
        example='"30s"',
    ),
    Field(
        "stop_signal",
        SIGNAL,
        "Signal that asks the process to stop.",
        default="SIGTERM",
        example='"SIGINT"',
        kinds=_COMMAND,
    ),
    Field(
        "directory",
        PATH,
        "Working directory.",
        default_doc="the project directory",
        constraint="relative to the project directory",
        example='"frontend"',
    ),
    Field(
        "critical",
        FLAG,
        "When it has failed for good, the whole backend is stopped.",
        default=False,
        example="true",
    ),
    Field("console", FLAG, "Its log lines are shown by `launcher up`.", default=True, example="false"),
    Field(
        "on_task_death",
        TASK_DEATH,
        "What follows when a background task of it dies of an exception.",
        default_doc="`restart` for agents, `log` for ASGI components",
        example='"restart"',
        kinds=IN_PYTHON,
    ),
    Field("access_log", FLAG, "HTTP requests are logged.", default=True, example="false", kinds=_ASGI),
    Field(
        "replicas",
        REPLICAS,
        "How many processes run it, on one port. The first has the name of the component, others are `NAME.2`, `NAME.3`, and so on.",
        default=1,
        constraint=f"1 to {MOST_REPLICAS}; only in processes of their own: in a shared one, one runs",
        example="4",
        kinds=IN_PYTHON,
    ),
    Field(
        "overlap",
        FLAG,
        "On a restart, the new incarnation is ready before the old one is asked to stop.",
        default_doc="`true` for ASGI components, `false` for agents",
        constraint="only in a process of its own; in a shared one it is stopped first, whatever is declared",
        example="false",
        kinds=IN_PYTHON,
    ),
    Field(
        "root_path",
        ANY_TEXT,
        "ASGI root path, when a proxy strips a prefix.",
        default="",
        example='"/api"',
        kinds=_ASGI,
    ),
    Field(
        "warm",
        FLAG,
        "Its own process may be forked from one that has its libraries imported.",
        default=True,
        example="false",
        kinds=IN_PYTHON,
    ),
)

UNLESS = Field(
    "unless",
    TEXT,
    "Environment variable that replaces it: when that is set, the component is left out, and the dependency of the same name, if there is "
    "one, is probed in its place.",
    default_doc="never left out",
    example='"POSTGRES_URL"',
)

_ENVIRONMENT = variables("Variables for this component.", '"1"')

EACH = Named(
    "Settings for single agents of an entry.",
    "agent",
    section(
        "Settings for one agent; they win over those of the entry.",
        *(setting for setting in SETTINGS if Kind.AGENTS in setting.kinds),
        restart=RESTART,
        environment=_ENVIRONMENT,
    ),
    open=True,
)

COMPONENT = section(
    "One component. Exactly one of `app`, `run`, `launcher` and `command` says what runs.",
    *TARGETS,
    UNLESS,
    *SETTINGS,
    restart=RESTART,
    environment=_ENVIRONMENT,
    each=EACH,
)

DEPENDENCY = section(
    "An external service that is asked whether it works, and never started.",
    Field(
        "url",
        URL,
        "Where the service is, and how to speak to it.",
        default_doc="must be given",
        example='"postgresql://user:${DB_PASSWORD}@127.0.0.1/news"',
        constraint="PostgreSQL, Redis or Valkey, Neo4j or Bolt, HTTP, or `tcp://ADDRESS:PORT`",
        secret=True,
    ),
    Field("timeout", SOME_SECONDS, "How long dependents wait for it.", default="1m", example='"2m"'),
    Field(
        "interval",
        INTERVAL,
        "Pause between two checks while it is waited for.",
        default="250ms",
        example='"1s"',
    ),
    Field("period", INTERVAL, "Pause between two checks once it is up.", default="30s", example='"1m"'),
)

PROFILE = section(
    "A variant of the declaration, taken with `--profile NAME`.",
    Field("components", LIST, "Start these, and what they depend on.", default_doc="all", example='["api"]'),
    Field("exclude", LIST, "Leave these out.", default=[], example='["agents.*"]'),
    Field("mode", MODE, "Replaces `mode` of `[launcher]`.", default_doc="unchanged", example='"single"'),
    Field("extends", ONE_OR_MORE, "Profiles that this one adds to.", default=[], example='"base"'),
    environment=variables("Variables for every component, in this profile.", '"1"'),
)

GROUP = Field(
    "NAME",
    LIST,
    "Members: components, or `ENTRY.*` for all agents of an entry.",
    example='["api", "agents.director"]',
)

ROOT = section(
    "The whole declaration.",
    launcher=LAUNCHER,
    state=STATE,
    environment=variables("Variables for every component.", '"1"'),
    components=Named("Components by name.", "component", COMPONENT),
    dependencies=Named("External services by name.", "dependency", DEPENDENCY),
    groups=Named(
        "Components that share a process in the mode `groups`.",
        "group",
        GROUP,
        open=True,
    ),
    profiles=Named("Variants by name.", "profile", PROFILE),
    hooks=Named("Who is told of what happens, by name.", "hook", HOOK),
)
