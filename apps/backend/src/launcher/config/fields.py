"""What a declaration is made of: fields, sections of fields, and sections that are named by the user.

Many values of this package are named tuples: a frozen dataclass takes a millisecond to define, and the command line has a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from launcher.config import ready, urls, values
from launcher.config.values import Type
from launcher.model.spec import MOST_REPLICAS, DependencyLoss, Kind, Mode, RestartPolicy, TaskDeath

KeyPath = tuple[str, ...]

ALL_KINDS = frozenset(Kind)
IN_PYTHON = frozenset({Kind.ASGI, Kind.AGENT, Kind.AGENTS})


class Field(NamedTuple):
    """One key.

    Attributes:
        default: what holds when the key is absent, as one would write it; ``None`` when there is no fixed default.
        default_doc: says what holds when there is no fixed default.
        constraint: what the type alone does not say.
        example: a value as written in TOML.
        secret: the value may hold a password and is shown redacted.
        kinds: the kinds of component that the key has a meaning for.
        target: the key says what runs; each agent of an entry shares it.
    """

    key: str
    type: Type
    doc: str
    default: object = None
    default_doc: str = ""
    constraint: str = ""
    example: str = ""
    secret: bool = False
    kinds: frozenset[Kind] = ALL_KINDS
    target: bool = False


class Section(NamedTuple):
    """A table with known keys.

    Attributes:
        shorthand: the key that is meant when a plain value stands in place of the table.
    """

    doc: str
    nodes: Mapping[str, Node]
    shorthand: str = ""

    def fields(self) -> tuple[Field, ...]:
        """Return the plain fields, in the order of the table."""
        return tuple(node for node in self.nodes.values() if isinstance(node, Field))


class Named(NamedTuple):
    """A table whose keys are names given by the user.

    Attributes:
        noun: what is named.
        check: refuses unusable names by raising ``BadValue``.
        pattern: the same rule for the JSON Schema.
        open: the environment may add names that no file declares.
        keeps_case: the names are case-sensitive in the environment, too.
    """

    doc: str
    noun: str
    item: Field | Section
    check: Callable[[str], None] = values.check_name
    pattern: str = values.NAME_PATTERN
    open: bool = False
    keeps_case: bool = False


Node = Field | Section | Named


# ---- types ---------------------------------------------------------------------------------------------------------------------

_DURATION_TEXT = {"type": "string", "pattern": values.DURATION_PATTERN}


def _duration(*, positive: bool = False, at_least: float = 0.0) -> Type:
    bound: dict[str, object] = {"exclusiveMinimum": 0} if positive and not at_least else {"minimum": at_least}
    return Type(
        "duration",
        partial(values.parse_duration, at_least=at_least, positive=positive),
        {"anyOf": [{"type": "number", **bound}, _DURATION_TEXT]},
        values.number_from_text,
    )


def _choice(choices: type[Kind | Mode | RestartPolicy | TaskDeath | DependencyLoss]) -> Type:
    words = tuple(str(choice.value) for choice in choices)
    return Type(" / ".join(words), partial(values.parse_choice, choices=words), {"enum": list(words)})


def _parse_level(value: object) -> str:
    text = value.upper() if isinstance(value, str) else value
    return values.parse_choice(text, LOG_LEVELS)


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_STRINGS: Mapping[str, object] = {"type": "array", "items": {"type": "string", "minLength": 1}}
_ANY_TEXT: Mapping[str, object] = {"type": "string"}
_SOME_TEXT: Mapping[str, object] = {"type": "string", "minLength": 1}
_COMMAND: Mapping[str, object] = {
    "anyOf": [_SOME_TEXT, {"type": "array", "items": _ANY_TEXT, "minItems": 1}],
}

TEXT = Type("text", values.parse_nonempty, _SOME_TEXT)
PATH = Type("path", values.parse_nonempty, _SOME_TEXT)
ANY_TEXT = Type("text", values.parse_text, _ANY_TEXT)
VARIABLE = Type("text", values.parse_variable_value, {"type": ["string", "number"]})
FLAG = Type("true / false", values.parse_flag, {"type": "boolean"}, values.flag_from_text)
PORT = Type(
    "port", values.parse_port, {"type": "integer", "minimum": 1, "maximum": 65535}, values.number_from_text
)
COUNT = Type("whole number", values.parse_count, {"type": "integer", "minimum": 0}, values.number_from_text)
REPLICAS = Type(
    "whole number",
    values.parse_replicas,
    {"type": "integer", "minimum": 1, "maximum": MOST_REPLICAS},
    values.number_from_text,
)
TARGET = Type("module:attribute", values.parse_target, {"type": "string", "pattern": values.TARGET_PATTERN})
ADDRESS = Type("address", values.parse_address, {"type": "string", "pattern": values.ADDRESS_PATTERN})
LIST = Type("list of texts", values.parse_list, _STRINGS, values.list_from_text)
ONE_OR_MORE = Type(
    "text or list of texts",
    values.parse_one_or_more,
    {"anyOf": [_SOME_TEXT, _STRINGS]},
    values.list_from_text,
)
COMMAND = Type("text or list of texts", values.parse_command, _COMMAND, values.table_from_text)
READY = Type("text or table", ready.parse_ready, ready.SCHEMA, values.table_from_text)
SIGNAL = Type(
    "signal name",
    values.parse_signal,
    {"type": "string", "pattern": f"^(?i:(SIG)?({'|'.join(values.SIGNALS)}))$"},
)
LEVEL = Type("log level", _parse_level, {"type": "string", "pattern": f"^(?i:{'|'.join(LOG_LEVELS)})$"})
URL = Type("URL", urls.parse_url, {"type": "string", "pattern": r"^\s*[A-Za-z][A-Za-z0-9+.-]*://"})
KIND = _choice(Kind)
MODE = _choice(Mode)
POLICY = _choice(RestartPolicy)
TASK_DEATH = _choice(TaskDeath)
DEPENDENCY_LOSS = _choice(DependencyLoss)
SECONDS = _duration()
SOME_SECONDS = _duration(positive=True)
HEARTBEAT = _duration(positive=True, at_least=1.0)
INTERVAL = _duration(positive=True, at_least=0.01)
A_SECOND_OR_MORE = _duration(at_least=1.0)


def section(doc: str, *nodes: Field, shorthand: str = "", **more: Node) -> Section:
    """Make a section from its fields, in order; further nodes are given by key."""
    return Section(doc, {**{node.key: node for node in nodes}, **more}, shorthand)


def variables(doc: str, example: str) -> Named:
    """Make a table of environment variables."""
    return Named(
        doc,
        "variable",
        Field("NAME", VARIABLE, "Value of the variable.", example=example, secret=True),
        values.check_variable,
        values.VARIABLE_PATTERN,
        open=True,
        keeps_case=True,
    )
