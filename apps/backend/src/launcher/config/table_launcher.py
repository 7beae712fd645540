"""The part of the table about the backend as a whole."""

from __future__ import annotations

from launcher.config.fields import (
    FLAG,
    LEVEL,
    LIST,
    MODE,
    ONE_OR_MORE,
    PATH,
    SECONDS,
    SOME_SECONDS,
    TEXT,
    Field,
    section,
)
from launcher.config.table_api import API

LAUNCHER_MODE = Field("mode", MODE, "Which components share a process.", default="auto", example='"multi"')

LAUNCHER = section(
    "The backend as a whole.",
    Field(
        "name", TEXT, "Name of the project.", default_doc="name of the project directory", example='"backend"'
    ),
    LAUNCHER_MODE,
    Field(
        "run_dir",
        PATH,
        "Directory of the control socket and the lock.",
        default_doc="`.launcher`, or a short directory of the user when the path of the socket would be too long",
        constraint="relative to the project directory; the path of the socket has at most 107 bytes",
        example='"/run/backend"',
    ),
    Field(
        "log_dir",
        PATH,
        "Directory of the log files.",
        default_doc="`logs` in `run_dir`",
        example='"/var/log/backend"',
    ),
    Field(
        "stop_timeout",
        SOME_SECONDS,
        "Longest duration of stopping the whole backend.",
        default="30s",
        example='"1m"',
    ),
    Field(
        "hold",
        SECONDS,
        "How long clients of a component that nobody serves wait in the listen queue, before the launcher answers them with 503.",
        default="5s",
        constraint='`0` answers at once, a long time such as `"24h"` never',
        example='"30s"',
    ),
    Field(
        "keep_going",
        FLAG,
        "A component that fails to start does not stop the others.",
        default=False,
        example="true",
    ),
    Field(
        "log_level",
        LEVEL,
        "Lowest level of Python log records that are kept.",
        default="INFO",
        example='"DEBUG"',
    ),
    Field(
        "pythonpath",
        LIST,
        "Directories put in front of `sys.path`.",
        default_doc="`src` if there is such a directory that is not itself a package, and the project directory",
        constraint="relative to the project directory",
        example='["src"]',
    ),
    Field(
        "preload",
        LIST,
        "Modules of the project that are imported once, before processes are forked, instead of by each process.",
        default=[],
        constraint="only in `multi`, for components that start warm",
        example='["shop.models"]',
    ),
    Field(
        "env_file",
        ONE_OR_MORE,
        "Files with variables, in the format of `.env`; later ones win.",
        default_doc="`.env`, if there is one",
        constraint="must exist when given; `[]` for none",
        example='[".env", ".env.local"]',
    ),
    API,
)
