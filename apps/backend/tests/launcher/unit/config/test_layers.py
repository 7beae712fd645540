"""Layers: which value wins, and how that is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.config.environment import FOREIGN_VARIABLES, variable_names
from launcher.model.spec import (
    DependencyLoss,
    Kind,
    Mode,
    Probe,
    ProbeKind,
    Restart,
    RestartPolicy,
    TaskDeath,
)
from tests.launcher.unit.config.support import (
    API,
    component,
    loaded,
    names,
    origin,
    origins,
    problem,
    problems,
)

LAYERS = ("file", "profile", "dotenv", "environment", "flag")
MODES = ("single", "multi", "groups", "auto")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(LAYERS), st.sampled_from(MODES)))
def test_the_last_layer_wins(tmp_path: Path, given_modes: dict[str, str]) -> None:
    """Whatever layers set the mode, the last of them decides, and its origin says so."""
    lines = [
        f'[launcher]\nmode = "{given_modes["file"]}"' if "file" in given_modes else "",
        API,
        "[profiles.p]",
    ]
    if "profile" in given_modes:
        lines.append(f'mode = "{given_modes["profile"]}"')
    result = loaded(
        tmp_path,
        "\n".join(lines) + "\n",
        f"LAUNCHER_MODE={given_modes['dotenv']}\n" if "dotenv" in given_modes else "",
        profiles=("p",),
        environ={"LAUNCHER_MODE": given_modes["environment"]} if "environment" in given_modes else {},
        mode=given_modes.get("flag"),
    )
    last = next((layer for layer in reversed(LAYERS) if layer in given_modes), "")
    assert result.spec.mode == given_modes.get(last, "auto")
    sources = {
        "": "default",
        "file": "launcher.toml:2",
        "profile": "profile p (launcher.toml:",
        "dotenv": ".env:1: LAUNCHER_MODE",
        "environment": "environment LAUNCHER_MODE",
        "flag": "--mode",
    }
    assert origin(result, "launcher.mode")[1].startswith(sources[last])


def test_defaults(tmp_path: Path) -> None:
    """Each kind has the defaults that are documented for it."""
    result = loaded(
        tmp_path,
        f'{API}[components.a]\nrun = "a:b"\n[components.c]\ncommand = "x"\n[components.p]\ncommand = "x"\nport = 5\naddress = "0.0.0.0"\n'
        '[components.o]\ncommand = "x"\noneshot = true\n[components.w]\nlauncher = "x:Y"\nagents = ["u"]\n',
    )
    api = component(result, "api")
    assert (api.kind, api.target, api.ready) == (Kind.ASGI, "api.main:app", None)
    assert api.bind is not None
    assert api.bind.url == "http://127.0.0.1:8000"
    assert (api.on_task_death, component(result, "a").on_task_death) == (TaskDeath.LOG, TaskDeath.RESTART)
    assert component(result, "w.u").on_task_death is TaskDeath.RESTART
    assert component(result, "c").ready == Probe(ProbeKind.ALIVE, seconds=0.5)
    assert component(result, "p").ready == Probe(ProbeKind.TCP, "127.0.0.1:5")
    assert component(result, "o").ready is None
    assert component(result, "o").restart == Restart(policy=RestartPolicy.NEVER)
    assert component(result, "c").restart == Restart()
    assert (api.start_timeout, api.stop_grace, component(result, "c").stop_signal) == (60, 10, "SIGTERM")
    assert result.spec.mode is Mode.AUTO
    assert result.spec.stop_timeout == 30


READY = [
    ('"/health"', Probe(ProbeKind.HTTP, "/health")),
    ('"https://h/x"', Probe(ProbeKind.HTTP, "https://h/x")),
    ('"tcp://h:1"', Probe(ProbeKind.TCP, "h:1")),
    ('"tcp://[::1]:1/"', Probe(ProbeKind.TCP, "[::1]:1")),
    ('"redis://h"', Probe(ProbeKind.URL, "redis://h")),
    ('{ log = "up \\\\d" }', Probe(ProbeKind.LOG, "up \\d")),
    ('"notify"', Probe(ProbeKind.NOTIFY)),
    ("{ notify = true, timeout = 2 }", Probe(ProbeKind.NOTIFY, timeout=2)),
    ('{ exec = ["a", "b"] }', Probe(ProbeKind.EXEC, "a b", ("a", "b"))),
    ('{ alive = "2s" }', Probe(ProbeKind.ALIVE, seconds=2)),
    (
        '{ url = "/h", interval = "1s", period = 9, timeout = 3, failures = 5 }',
        Probe(ProbeKind.HTTP, "/h", (), 1, 9, 3, 5),
    ),
]


def test_health(tmp_path: Path) -> None:
    """A function, a heartbeat and a policy are read from the file, and by default there is none of them."""
    text = """
        [components.worker]
        run = "jobs:run"
        ready = { call = "jobs:check", timeout = "2s" }
        heartbeat = "1m"
        on_dependency_loss = "stop"

        [components.plain]
        run = "jobs:run"
    """
    result = loaded(tmp_path, text)
    worker, plain = component(result, "worker"), component(result, "plain")
    assert worker.ready == Probe(ProbeKind.CALL, "jobs:check", timeout=2.0)
    assert (worker.heartbeat, worker.on_dependency_loss) == (60.0, DependencyLoss.STOP)
    assert (plain.ready, plain.heartbeat, plain.on_dependency_loss) == (None, 0.0, DependencyLoss.KEEP)


@pytest.mark.parametrize(("written", "probe"), READY)
def test_ready(tmp_path: Path, written: str, probe: Probe) -> None:
    """Every form of a readiness check means the probe that is documented for it."""
    text = f'[components.x]\ncommand = "x"\nport = 1\nready = {written}\n'
    assert component(loaded(tmp_path, text), "x").ready == probe


def test_restart_forms(tmp_path: Path) -> None:
    """A text is the policy; layers change single keys of it."""
    result = loaded(
        tmp_path,
        f'{API}restart = "on-failure"\n',
        environ={
            "LAUNCHER_COMPONENTS__API__RESTART__DELAY": "1s",
            "LAUNCHER_COMPONENTS__API__RESTART__WINDOW": "5m",
        },
    )
    assert component(result, "api").restart == Restart(policy=RestartPolicy.ON_FAILURE, delay=1, window=300)
    again = loaded(tmp_path, environ={"LAUNCHER_COMPONENTS__API__RESTART": "never"})
    assert component(again, "api").restart.policy is RestartPolicy.NEVER


def test_environment_values_are_read_by_type(tmp_path: Path) -> None:
    """Numbers, truth values, lists, commands and tables can be set from the environment."""
    text = f'{API}[components.my-job]\ncommand = "x"\n[components.b]\nrun = "a:b"\n'
    result = loaded(
        tmp_path,
        text,
        environ={
            "LAUNCHER_COMPONENTS__API__PORT": "9000",
            "LAUNCHER_COMPONENTS__API__DEPENDS_ON": "my-job, b",
            "LAUNCHER_COMPONENTS__API__ACCESS_LOG": "off",
            "LAUNCHER_COMPONENTS__MY_JOB__COMMAND": "run 'a b'",
            "LAUNCHER_COMPONENTS__MY_JOB__READY": '{ log = "up" }',
            "LAUNCHER_COMPONENTS__B__STOP_GRACE": "1.5",
            "LAUNCHER_KEEP_GOING": "true",
            "LAUNCHER_LOG_LEVEL": "debug",
            "LAUNCHER_ENVIRONMENT__lower_Case": "x",
            "LAUNCHER_GROUPS__CORE": "api,b",
            "LAUNCHER_LEGACY": "anything",
            "LAUNCHER_COMPONENT": "outer",
        },
    )
    api, job = component(result, "api"), component(result, "my-job")
    assert api.bind is not None
    assert (api.bind.port, api.depends_on, api.access_log) == (9000, ("my-job", "b"), False)
    assert (job.command, job.ready) == (("run", "a b"), Probe(ProbeKind.LOG, "up"))
    assert component(result, "b").stop_grace == 1.5
    assert (result.spec.keep_going, result.spec.log_level) == (True, "DEBUG")
    assert result.spec.environment == {"lower_Case": "x"}
    assert result.spec.groups == {"core": ("api", "b")}
    assert origin(result, "components.api.port") == ("9000", "environment LAUNCHER_COMPONENTS__API__PORT")


ENVIRONMENT = [
    ("LAUNCHER_MOD", "single", "is not a variable of the launcher", "did you mean LAUNCHER_MODE?"),
    ("LAUNCHER_MODE", "mutli", 'not the text "mutli"', 'did you mean "multi"?'),
    ("LAUNCHER_COMPONENTS__AP__PORT", "1", "unknown component ap", "did you mean api?"),
    ("LAUNCHER_COMPONENTS__API__PRT", "1", "unknown key prt", "did you mean port?"),
    ("LAUNCHER_COMPONENTS__API__PORT", "x", 'must be a port from 1 to 65535, not the text "x"', ""),
    ("LAUNCHER_COMPONENTS__API__PORT__X", "1", "goes on after the key port", "check the name"),
    ("LAUNCHER_COMPONENTS__API", "1", "names a table, not a key", "keys: kind, app"),
    ("LAUNCHER_COMPONENTS__", "1", "names a table, not a key", "add the name of a component"),
    ("LAUNCHER_ENVIRONMENT__1X", "1", '"1X" is not a name for an environment variable', ""),
    ("LAUNCHER_PROFILE", "nope", "unknown profile nope", "declare it: [profiles.nope]"),
]


@pytest.mark.parametrize(("name", "value", "what", "hint"), ENVIRONMENT)
def test_environment_mistakes(tmp_path: Path, name: str, value: str, what: str, hint: str) -> None:
    """A variable that means nothing is refused, with the one that was probably meant."""
    found = problem(tmp_path, API, environ={name: value})
    assert found.where == f"environment {name}"
    assert what in found.what
    assert hint in found.hint
    inside = problem(tmp_path, API, f"\n{name}={value}\n")
    assert (inside.where, inside.what) == (f".env:2: {name}", found.what)


def test_every_documented_variable_is_understood(tmp_path: Path) -> None:
    """No name in the reference is answered as unknown."""
    text = f'{API}[components.NAME]\nlauncher = "x:Y"\nagents = ["AGENT"]\n[dependencies.NAME]\nurl = "tcp://a:1"\n[profiles.NAME]\n'
    environ = {name: "?" for name, _ in variable_names()} | dict.fromkeys(FOREIGN_VARIABLES, "x")
    text = text.replace("[dependencies.NAME]", "[dependencies.OTHER]").replace(
        "[profiles.NAME]", "[profiles.P]"
    )
    environ = {
        name.replace("DEPENDENCIES__NAME", "DEPENDENCIES__OTHER").replace(
            "PROFILES__NAME", "PROFILES__P"
        ): value
        for name, value in environ.items()
    }
    found = problems(tmp_path, text, environ=environ)
    assert not [
        each for each in found if "is not a variable" in each.what or each.what.startswith("unknown key")
    ]


def test_names_that_the_environment_cannot_tell_apart(tmp_path: Path) -> None:
    """Two names that differ only in case or dashes cannot be addressed by a variable."""
    text = '[components.a-b]\nrun = "a:b"\n[components.A_B]\nrun = "a:b"\n'
    assert len(names(loaded(tmp_path, text))) == 2
    assert (
        "could mean a-b or A_B"
        in problem(tmp_path, text, environ={"LAUNCHER_COMPONENTS__a_b__CRITICAL": "1"}).what
    )


def test_flags(tmp_path: Path) -> None:
    """Flags set any key, and mistakes name the flag."""
    result = loaded(
        tmp_path,
        API,
        flags={"components.api.port": "81", "launcher.stop_timeout": "5"},
        environ={"LAUNCHER_STOP_TIMEOUT": "6"},
    )
    assert origin(result, "components.api.port") == ("81", "--set components.api.port")
    assert origin(result, "launcher.stop_timeout") == ("5", "--set launcher.stop_timeout")
    assert problem(tmp_path, flags={"components.api.prt": "1"}).where == "--set components.api.prt"
    assert problem(tmp_path, flags={"launcher.stop_timeout": "x"}).where == "--set launcher.stop_timeout"


def test_groups_flag_replaces_the_declared_groups(tmp_path: Path) -> None:
    """Groups on the command line are all the groups there are."""
    text = f'{API}[components.b]\nrun = "a:b"\n[groups]\nold = ["api", "b"]\n'
    assert loaded(tmp_path, text).spec.groups == {"old": ("api", "b")}
    assert loaded(tmp_path, groups=("core=api,b",)).spec.groups == {"core": ("api", "b")}
    assert problem(tmp_path, groups=("core",)).where == "--groups"


def test_paths(tmp_path: Path) -> None:
    """Relative paths are those of the project directory, from wherever it is loaded."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "src").mkdir()
    loaded(tmp_path, f'{API}directory = "a/../x"\n')
    result = loaded(inner, file=tmp_path / "launcher.toml")
    assert result.spec.root == str(tmp_path)
    assert result.spec.pythonpath == (str(tmp_path / "src"), str(tmp_path))
    assert component(result, "api").directory == str(tmp_path / "x")
    assert origin(result, "components.api.app")[1] == "../../launcher.toml:2"
    assert "there is no directory" in loaded(tmp_path, flags={"launcher.pythonpath": "nope"}).warnings[0]


def test_every_value_has_an_origin(tmp_path: Path) -> None:
    """All keys that mean something for a component are explained, defaults included."""
    found = origins(loaded(tmp_path, API))
    assert found["components.api.restart.policy"] == ('"always"', "default")
    assert found["components.api.port"] == ("8000", "default")
    assert found["launcher.run_dir"] == (f'"{tmp_path}/.launcher"', "default")
    assert "components.api.command" not in found
    assert "components.api.stop_signal" not in found


def test_profiles(tmp_path: Path) -> None:
    """Profiles select, change variables and mode, and build on each other; they can be named by a variable."""
    text = (
        f'{API}[components.b]\nrun = "a:b"\n[components.c]\nrun = "a:b"\n[environment]\nX = "0"\n'
        '[profiles.base]\ncomponents = ["api"]\nmode = "multi"\nenvironment = { X = "1", Y = "1" }\n'
        '[profiles.more]\nextends = "base"\ncomponents = ["b"]\nenvironment.X = "2"\n'
    )
    result = loaded(tmp_path, text, profiles=("more",))
    assert names(result) == ["api", "b"]
    assert (result.spec.mode, result.spec.environment) == (Mode.MULTI, {"X": "2", "Y": "1"})
    assert names(loaded(tmp_path, environ={"LAUNCHER_PROFILE": "base"})) == ["api"]
    assert names(loaded(tmp_path, env="LAUNCHER_PROFILE=base\n")) == ["api"]
    assert names(loaded(tmp_path, env="", profiles=("base",), only=("c",))) == ["c"]
    assert problem(tmp_path, profiles=("bse",)).hint == "did you mean base?"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "launcher.config.load",
            (
                "tomllib",
                "difflib",
                "dotenv",
                "shlex",
                "pydantic",
                "asyncio",
                "socket",
                "launcher.config.discover",
            ),
        ),
        (
            "launcher.config.locate",
            ("tomllib", "launcher.model", "launcher.config.values", "launcher.config.lines", "hashlib"),
        ),
    ],
)
def test_imports_are_few(module: str, absent: tuple[str, ...]) -> None:
    """A command pays only for what it needs: the rest is imported when it is."""
    code = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not set(absent) & set(found.stdout.split())


def test_held_ports(tmp_path: Path) -> None:
    """A command that inherits its socket is not asked for a connection, which the held port would accept; `hold` is a duration like others."""
    text = (
        "[launcher]\nhold = 0\n"
        '[components.shop]\ncommand = "shop"\nport = 5\ninherit_socket = true\n'
        '[components.other]\ncommand = "other"\nport = 6\ninherit_socket = true\nready = "tcp://127.0.0.1:5"\n'
    )
    result = loaded(tmp_path, text)
    shop = component(result, "shop")
    assert (shop.inherit_socket, shop.held) == (True, True)
    assert shop.ready == Probe(ProbeKind.ALIVE, seconds=0.5)
    assert component(result, "other").ready == Probe(ProbeKind.TCP, "127.0.0.1:5")
    assert result.spec.hold == 0.0
    assert loaded(tmp_path, text, environ={"LAUNCHER_HOLD": "1m"}).spec.hold == 60.0
