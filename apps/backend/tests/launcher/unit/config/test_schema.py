"""The JSON Schema and the reference say what the loader does."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from launcher.config.environment import fields
from launcher.config.fields import ALL_KINDS, Field
from launcher.config.load import load
from launcher.config.reference import reference
from launcher.config.schema import json_schema
from launcher.config.table import COMPONENT, ROOT
from launcher.errors import ConfigError
from tests.launcher.unit.config.support import API, loaded, project, request
from tests.launcher.unit.config.test_errors import COMMANDS, VALUES
from tests.launcher.unit.config.test_selection import NEWSDESK

SCHEMA = Draft202012Validator(json_schema())

VALID = [
    API,
    NEWSDESK,
    f'{API}port = "${{PORT:-1}}"\ncritical = "${{C:-yes}}"\nrestart = {{ delay = "1s", policy = "never" }}\n',
    f'{API}restart = "on-failure"\nready = {{ url = "/h", timeout = 2 }}\nstart_timeout = "1h30m"\naddress = "::1"\n',
    f'{API}[components.x]\ncommand = ["a", ""]\nstop_signal = "int"\nready = "notify"\n[launcher]\nenv_file = []\nlog_level = "debug"\n',
    f'{API}[hooks.h]\ncommand = "notify --fast"\non = "ready"\n[hooks.i]\nurl = "https://a.example/x"\non = ["failed", "backoff"]\n',
    f'{API}ready = {{ call = "a.b:c.d", period = "5s" }}\nheartbeat = "30s"\non_dependency_loss = "restart"\n',
    f'{API}[environment]\nA = 1\nB = "x"\n[profiles.p]\nextends = "q"\n[profiles.q]\ncomponents = ["api"]\n',
]
INVALID = [
    "",
    "x = 1\n",
    f"{API}nope = 1\n",
    "[components.x]\n",
    "[launcher]\nmode = 'x'\n" + API,
    f"{API}port = 1.5\n",
    f"{API}[dependencies.x]\n",
    f'{API}[dependencies.x]\nurl = "x"\n',
    f'{API}[components."a b"]\nrun = "a:b"\n',
    f'{API}ready = {{ log = "x", exec = ["y"] }}\n',
    f'{API}ready = "health"\n',
    f'{API}ready = {{ call = "check" }}\n',
    f"{API}heartbeat = 0.5\n",
    f'{API}on_dependency_loss = "leave"\n',
    '[components.x]\ncommand = "y"\nheartbeat = 30\n',
    f"{API}[environment]\nA = true\n",
    f"{API}[hooks.h]\n",
    f'{API}[hooks.h]\nurl = "ftp://a.example"\n',
    f'{API}[hooks.h]\nurl = "http://a.example"\ncommand = "x"\n',
    f'{API}[hooks.h]\ncommand = "x"\non = "broken"\n',
    f'{API}[hooks.h]\ncommand = "x"\nattempts = 11\n',
    f'{API}[environment]\n"a-b" = "1"\n',
    f'{API}[groups]\ng = "api"\n',
]
# What no schema can tell: it needs a parser, or more than one component, or arithmetic.
BEYOND = ("stop_grace = -1 ", "&&", "|", "A=1", "closing", 'delay = "2m"', "inf", "app.x = 1", '""')


def accepted(text: str) -> bool:
    return not list(SCHEMA.iter_errors(tomllib.loads(text)))


def test_schema_is_a_schema() -> None:
    """The document itself follows draft 2020-12."""
    Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", VALID)
def test_both_accept(tmp_path: Path, text: str) -> None:
    """What loads is valid by the schema."""
    loaded(tmp_path, text)
    assert accepted(text)


@pytest.mark.parametrize("text", INVALID)
def test_both_refuse(tmp_path: Path, text: str) -> None:
    """What is invalid by its form does not load."""
    project(tmp_path, text)
    with pytest.raises(ConfigError):
        load(request(tmp_path))
    assert not accepted(text) or text == ""


@pytest.mark.parametrize("line", [row[0] for row in VALUES if not any(mark in row[0] for mark in BEYOND)])
def test_schema_refuses_what_the_loader_refuses(line: str) -> None:
    """The mistakes of the table of errors are found by an editor, too."""
    assert not accepted(f'[components.api]\napp = "a:app"\n{line}\n')


def test_commands_by_schema() -> None:
    """A list of words with anything but words in it is no command."""
    refused = [row[0] for row in COMMANDS if not accepted(f"[components.x]\ncommand = {row[0]}\n")]
    assert refused == ['""', "[]", '["a", 1]', "7"]


def all_fields() -> list[tuple[tuple[str, ...], Field]]:
    return list(fields(ROOT))


@pytest.mark.parametrize(("path", "field"), all_fields(), ids=[".".join(path) for path, _ in all_fields()])
def test_examples(path: tuple[str, ...], field: Field) -> None:
    """Every example and default in the table can be used, and is valid by the schema."""
    value = tomllib.loads(f"x = {field.example}")["x"]
    if "${" not in field.example:
        field.type.parse(value)
    if field.default is not None:
        field.type.parse(field.default)
    own = Draft202012Validator({**field.type.schema})
    assert own.is_valid(value)
    assert field.default is None or own.is_valid(field.default)
    assert field.doc.endswith(".")


def test_no_key_is_forgotten() -> None:
    """The reference and the schema have a place for every field."""
    text = reference()
    properties = json_schema()["properties"]
    assert isinstance(properties, dict)
    component = properties["components"]["patternProperties"]["^[A-Za-z0-9_-]{1,63}$"]
    assert set(component["properties"]) == set(COMPONENT.nodes)
    for path, field in all_fields():
        if path[0] == "components" and "each" in path and "restart" in path:
            continue
        assert (
            f"| `{path[-1] if path[-1] not in ('NAME', 'AGENT') else 'NAME'}` | {field.type.name}" in text
        ), path
        assert field.doc in text


def test_kinds_are_said() -> None:
    """A key that is not for all kinds says for which."""
    limited = [field for field in COMPONENT.fields() if field.kinds != ALL_KINDS]
    assert limited
    assert all(f"{field.doc} For `" in reference() for field in limited)


def test_reference_rows_are_whole() -> None:
    """No cell breaks its table."""
    rows = [line for line in reference().splitlines() if line.startswith("| `") and "LAUNCHER_" in line]
    counts = {line.count("|") for line in rows}
    assert counts == {7, 3}
