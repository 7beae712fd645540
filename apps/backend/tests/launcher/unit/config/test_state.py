"""Where the state is kept: which URLs can be used, from which layer, and that no password is shown."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.config.load import Request
from launcher.config.schema import json_schema
from launcher.config.state import load_state
from launcher.config.state_urls import parse_state_url
from launcher.config.values import BadValue
from launcher.documents import error_document
from launcher.errors import ConfigError
from tests.launcher.unit.config.support import API, loaded, origin, problem, request


def test_memory_is_the_default(tmp_path: Path) -> None:
    """Nothing declared: the state is kept in memory, and the machine is called by its host name."""
    state = loaded(tmp_path, API).spec.state
    assert (state.url, state.expiry, state.kept) == ("memory://", 60.0, 10_000)
    assert state.machine


def test_every_key(tmp_path: Path) -> None:
    """What is declared is what holds, and the origins say where it came from."""
    toml = '[state]\nurl = "rediss://user:${PW}@db:6380/2"\nexpiry = "15s"\nkept = 7\nkept_for = "2h"\nmachine = "web-1"\n'
    result = loaded(tmp_path, toml + API, environ={"PW": "s3cret"})
    state = result.spec.state
    assert state.url == "rediss://user:s3cret@db:6380/2"
    assert (state.expiry, state.kept, state.kept_for, state.machine) == (15.0, 7, 7200.0, "web-1")
    assert origin(result, "state.url") == ('"rediss://user:***@db:6380/2"', "launcher.toml:2")
    assert "s3cret" not in f"{result.origins}{result.spec}"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///state.db", "{root}/state.db"),
        ("sqlite:///.launcher/../x/state.db", "{root}/x/state.db"),
        ("sqlite:////var/lib/news/state.db", "/var/lib/news/state.db"),
        ("sqlite:///~/state.db", f"{Path.home()}/state.db"),
    ],
)
def test_paths_are_relative_to_the_project(tmp_path: Path, url: str, path: str) -> None:
    """A path is that of the project wherever a command is typed; four slashes make it absolute."""
    state = loaded(tmp_path, f'[state]\nurl = "{url}"\n{API}').spec.state
    assert state.url == f"sqlite:///{path.format(root=tmp_path.resolve())}"


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "redis://127.0.0.1",
        "redis://127.0.0.1:6379",
        "REDIS://127.0.0.1:6379/",
        "rediss://user:p%40ss@db.example:6380/15?ssl_cert_reqs=none",
        "valkey://[::1]:6379/0",
    ],
)
def test_urls_that_can_be_used(url: str) -> None:
    """Schemes are of any case; Valkey is Redis."""
    scheme, _, rest = url.partition("://")
    assert parse_state_url(url) == f"{scheme.lower()}://{rest}"


@pytest.mark.parametrize(
    ("url", "what", "hint"),
    [
        ("state.db", "must be a URL", 'for example "sqlite:///'),
        ("", "must not be empty", ""),
        ("redsi://h", 'has the unknown scheme "redsi"', "did you mean redis://?"),
        ("postgresql://u:p@h/x", 'has the unknown scheme "postgresql"', "for example"),
        ("memory://x", "has something after memory://", 'write "memory://"'),
        ("sqlite://state.db", "names no file", "three slashes"),
        ("sqlite:///", "names no file", "three slashes"),
        ("sqlite:///directory/", "names no file", "three slashes"),
        ("sqlite:///:memory:", "names no file", 'write "memory://"'),
        ("redis://", "names no address", "for example"),
        ("redis://:pw@", "names no address", "for example"),
        ("redis://h:0", "names no address", "for example"),
        ("redis://h:70000", "has no usable address", "%XX"),
        ("redis://h:6379/name", "has no number of a database", "for example"),
        ("redis://:p/w@h:6379/0", "has no usable address", "%XX"),
        ("redis://:1/w@h:6379/0", "names no address", "for example"),
        ("redis://:p w@h:6379/0", "must not hold white space", "%XX"),
        ("redis://h/0#x", "has no number of a database", "%XX"),
    ],
)
def test_urls_that_cannot_be_used(url: str, what: str, hint: str) -> None:
    """It is said what is wrong and what to write instead."""
    with pytest.raises(BadValue) as told:
        parse_state_url(url)
    assert what in told.value.what
    assert hint in told.value.hint


SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=8, max_size=30).map(
    lambda text: f"Zq{text}qZ"
)


@given(
    secret=SECRETS,
    escaped=st.booleans(),
    front=st.sampled_from(["redis://:", "rediss://u:", "redis:/:", "x://u:"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_password_is_shown(tmp_path: Path, secret: str, escaped: bool, front: str) -> None:
    """Whatever characters a password has, escaped or not, in a good URL or a bad one: no message, origin or traceback holds it."""
    written = quote(secret, safe="") if escaped else secret
    environ = {"LAUNCHER_STATE__URL": f"{front}{written}@127.0.0.1:6379/0"}
    (tmp_path / "launcher.toml").write_text(API)
    try:
        result = loaded(tmp_path, environ=environ)
        shown = f"{result.origins}\n{result.spec!r}"
    except ConfigError as error:
        shown = f"{json.dumps(error_document(error), ensure_ascii=False)}\n{''.join(traceback.format_exception(error))}"
        shown += f"{error.problems}"
    assert "Zq" not in shown, shown


def test_variables_and_flags(tmp_path: Path) -> None:
    """The environment and flags win over the file, as for every key."""
    toml = f'[state]\nurl = "memory://"\n{API}'
    environ = {"LAUNCHER_STATE__URL": "redis://h/1", "LAUNCHER_STATE__EXPIRY": "5s"}
    assert loaded(tmp_path, toml, environ=environ).spec.state.expiry == 5.0
    result = loaded(tmp_path, toml, environ=environ, flags={"state.url": "redis://h/2"})
    assert result.spec.state.url == "redis://h/2"
    assert origin(result, "state.url")[1] == "--set state.url"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('expiry = "0.5s"', "must be at least 1s"),
        ("kept = 0", "must be at least 1"),
        ('kept_for = "never"', "must be a duration"),
        ('name = "web"', "unknown key name"),
        ('url = "redis://:${NOPE}@h"', "NOPE"),
    ],
)
def test_values_that_cannot_be_used(tmp_path: Path, line: str, what: str) -> None:
    """Each is refused at its place, also when only the state is asked for."""
    toml = f"[state]\n{line}\n{API}"
    found = problem(tmp_path, toml)
    assert what in found.what
    assert found.where.startswith("launcher.toml:2")
    if "unknown key" not in what:
        with pytest.raises(ConfigError) as told:
            load_state(request(tmp_path))
        assert told.value.problems == (found,)


def test_the_rest_of_the_declaration_does_not_matter(tmp_path: Path) -> None:
    """Where the state is kept can be told while anything else is wrong."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "launcher.toml").write_text('[state]\nurl = "sqlite:///s.db"\n[components.x]\nprot = 1\n')
    assert load_state(request(tmp_path)).url == f"sqlite:///{tmp_path.resolve()}/s.db"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Where the state is kept cannot be known then, and is not guessed."""
    (tmp_path / "launcher.toml").write_text("[state\n")
    with pytest.raises(ConfigError):
        load_state(request(tmp_path))


def test_without_a_file_the_environment_decides(tmp_path: Path) -> None:
    """A launcher may have been started without any file."""
    (tmp_path / ".git").mkdir()
    assert load_state(request(tmp_path)).url == "memory://"
    environ = {"LAUNCHER_STATE__URL": "sqlite:///s.db", "LAUNCHER_MODE": "nonsense"}
    assert load_state(Request(tmp_path, environ=environ)).url == f"sqlite:///{tmp_path.resolve()}/s.db"
    with pytest.raises(ConfigError):
        load_state(Request(tmp_path, environ={"LAUNCHER_STATE__KEPT": "0"}))


def test_the_schema_knows_the_table() -> None:
    """Editors can tell the keys and which URLs there are."""
    schema = json_schema()["properties"]
    assert isinstance(schema, dict)
    assert set(schema["state"]["properties"]) == {"url", "expiry", "kept", "kept_for", "machine"}
    assert "required" not in schema["state"]
