"""Every mistake in a file is answered with its place, what is wrong and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launcher.unit.config.support import API, loaded, problem, problems

VALUES = [
    ("port = 0", "must be a port from 1 to 65535, not the number 0", ""),
    ("port = 70000", "must be a port from 1 to 65535, not the number 70000", ""),
    ("port = true", "must be a port from 1 to 65535, not true", ""),
    ('port = "8000"', 'must be a port from 1 to 65535, not the text "8000"', "write 8000 without quotes"),
    ('factory = "yes"', 'must be true or false, not the text "yes"', "write true without quotes"),
    ("factory = 1", "must be true or false, not the number 1", ""),
    (
        'stop_grace = "10 parsecs"',
        'must be a duration, not the text "10 parsecs"',
        "write seconds as a number",
    ),
    ("stop_grace = -1", "must be at least 0s, not -1", ""),
    ("start_timeout = 0", "must be longer than 0, not 0", ""),
    ("start_timeout = inf", "must be a finite duration, not inf", '"24h"'),
    ("start_timeout = true", "must be a duration, not true", "write seconds"),
    ('depends_on = "redis"', 'must be a list of texts, not the text "redis"', 'write ["redis"]'),
    ("depends_on = [1]", "item 1 must be a text, not the number 1", 'put it in quotes: "1"'),
    ('address = "http://0.0.0.0"', 'must be an address, not "http://0.0.0.0"', "port = …"),
    ('address = "0.0.0.0:80"', 'must be an address, not "0.0.0.0:80"', "port = …"),
    ('address = "a b"', 'must be an IP address or a host name, not "a b"', "127.0.0.1"),
    ('on_task_death = "explode"', "must be one of", ""),
    ('on_dependency_loss = "stopp"', 'must be one of "keep", "stop", "restart"', 'did you mean "stop"?'),
    ("heartbeat = 0.1", "must be at least 1s, not 0.1", ""),
    ("heartbeat = true", "must be a duration, not true", "write seconds"),
    ('restart = "allways"', 'must be one of "always", "on-failure", "never"', 'did you mean "always"?'),
    ("restart.max_restarts = 1.5", "must be a whole number, not the number 1.5", ""),
    ("restart.max_restarts = -1", "must be at least 0, not -1", ""),
    ("replicas = 0", "must be at least 1, not 0", ""),
    ("replicas = 101", "must be at most 100, not 101", ""),
    ('replicas = "4"', "must be a whole number", "write 4 without quotes"),
    ('overlap = "yes"', 'must be true or false, not the text "yes"', "write true without quotes"),
    ('restart.delay = "2m"', "the first delay (120 s) is longer than the longest (30 s)", "raise max_delay"),
    ("restart = { delai = 1 }", "unknown key delai", "did you mean delay?"),
    ("environment = { X = true }", "must be a text, not true", 'write "1" or "true"'),
    ('environment = { "a-b" = "1" }', '"a-b" is not a name for an environment variable', "letters"),
    ('environment = "X=1"', 'must be a table, not the text "X=1"', "[components.api.environment]"),
    ("each = { x = { critical = true } }", "each means nothing for an ASGI component", "an entry of agents"),
    ('stop_signal = "SIGINT"', "stop_signal means nothing for an ASGI component", "it is for a command"),
    ("oneshot = true", "oneshot means nothing for an ASGI component", "leave it out"),
    ('kind = "agent"', 'kind is "agent", but the key app makes it an ASGI component', "leave kind out"),
    ('kind = "asgy"', "must be one of", 'did you mean "asgi"?'),
    ('command = "x"', "app and command exclude each other", "two components"),
    ("prot = 1", "unknown key prot", "did you mean port?"),
    ("healthcheck = 1", "unknown key healthcheck", "did you mean ready?"),
    ('host = "x"', "unknown key host", "did you mean address?"),
    ("zzz = 1", "unknown key zzz", "known keys: kind, app"),
    ("app.x = 1", "is not valid TOML", "twice"),
]


@pytest.mark.parametrize(("line", "what", "hint"), VALUES)
def test_values(tmp_path: Path, line: str, what: str, hint: str) -> None:
    """A value that cannot be used is refused at its line, in words that say what is wanted."""
    text = '[components.api]\napp = "a:app"\n' + line + "\n"
    found = problems(tmp_path, text)
    assert any(
        each.where.startswith("launcher.toml:3") and what in each.what and hint in each.hint for each in found
    ), found


READY = [
    ('"health"', '"health" is not a readiness check', '"/health"'),
    ('"notfy"', '"notfy" is not a readiness check', 'did you mean "notify"?'),
    ('"/a b"', "holds white space in the path", "%20"),
    ('"ftp://x"', 'has the unknown scheme "ftp"', ""),
    ('"tcp://127.0.0.1"', "names no port", "tcp://127.0.0.1:5432"),
    ('"http://:80"', "names no address", "http://127.0.0.1:8080"),
    ('"tcp://h:99999"', "has the port 99999", ""),
    ("5", "must be a readiness check, not the number 5", "write"),
    (
        '{ log = "(" }',
        "log is not a regular expression: missing ), unterminated subpattern at position 0",
        "backslash",
    ),
    ('{ log = "x", exec = ["y"] }', "asks in two ways: log and exec", "keep one of"),
    ("{ interval = 1 }", "does not say how to ask", "write"),
    ('{ lug = "x" }', 'has the unknown key "lug"', "did you mean log?"),
    ("{ exec = [] }", "exec names no program to run", ""),
    ('{ alive = "soon" }', "alive must be a duration", ""),
    ("{ notify = false }", "notify must be true, not false", "leave it out"),
    ('{ url = "/x", timeout = 0 }', "timeout must be at least 10ms, not 0", ""),
    ('{ url = "/x", failures = 0 }', "failures must be at least 1, not 0", ""),
    ('{ call = "check" }', 'call must be "module:attribute", not "check"', 'call = "module:function"'),
    ('{ call = "a:b", exec = ["y"] }', "asks in two ways: exec and call", "keep one of"),
    ('"tcp://127.0.0.1:8000"', "always succeeds, since the launcher holds that port", "ask for a path"),
    ('"notify"', "notify is for commands", "leave ready out"),
    ("{ alive = 1 }", "alive is for commands", "leave ready out"),
]


@pytest.mark.parametrize(("value", "what", "hint"), READY)
def test_ready(tmp_path: Path, value: str, what: str, hint: str) -> None:
    """A readiness check that cannot be asked is refused."""
    found = problem(tmp_path, f"{API}ready = {value}\n")
    assert found.where == "launcher.toml:3: components.api.ready"
    assert what in found.what
    assert hint in found.hint


TARGETS = [
    ("api.main.app", 'did you mean "api.main:app"?'),
    ("api/main.py:app", 'did you mean "api.main:app"?'),
    ("src/api/main.py", 'did you mean "api.main:app"?'),
    ("main", 'did you mean "main:app"?'),
    ("api.main:create_app()", 'write "api.main:create_app" and factory = true'),
    ("a b:c d", 'for example "api.main:app"'),
]


@pytest.mark.parametrize(("target", "hint"), TARGETS)
def test_targets(tmp_path: Path, target: str, hint: str) -> None:
    """What is no module:attribute is answered with the one that was probably meant."""
    found = problem(tmp_path, f'[components.api]\napp = "{target}"\n')
    assert found.what == f'must be "module:attribute", not "{target}"'
    assert found.hint == hint


COMMANDS = [
    ('""', "names no program to run", "alembic"),
    ("[]", "names no program to run", "alembic"),
    ('"a && b"', "uses &&, but commands are not run by a shell", '["sh", "-c", "…"]'),
    ('"a | b"', "uses |, but", "two components"),
    ('"A=1 b"', "begins with the variable A, but", "set A in the environment table"),
    ('"a \'b"', "cannot be split into words: no closing quotation", "check the quotes"),
    ('["a", 1]', "item 2 must be a text, not the number 1", 'write "1"'),
    ("7", "must be a text or a list of texts, not the number 7", ""),
]


@pytest.mark.parametrize(("command", "what", "hint"), COMMANDS)
def test_commands(tmp_path: Path, command: str, what: str, hint: str) -> None:
    """A command that only a shell could run is refused with the way to get one."""
    found = problem(tmp_path, f"[components.x]\ncommand = {command}\n")
    assert found.where == "launcher.toml:2: components.x.command"
    assert what in found.what
    assert hint in found.hint


SECTIONS = [
    ("[launchr]\nmode = 1\n", "launcher.toml:3: launchr", "unknown key launchr", "did you mean launcher?"),
    ("[component.x]\n", "launcher.toml:3: component", "unknown key component", "did you mean components?"),
    ("launcher = 1\n", "", "must be a table", ""),
    (
        '[launcher]\nmode = "mutli"\n',
        "launcher.toml:4: launcher.mode",
        'not the text "mutli"',
        'did you mean "multi"?',
    ),
    ('[launcher]\nlog_level = "LOUD"\n', "launcher.toml:4: launcher.log_level", "must be one of", ""),
    ('[launcher]\nname = " "\n', "launcher.toml:4: launcher.name", "must not be empty", ""),
    (
        '[launcher]\nenv_file = "no.env"\n',
        "launcher.toml:4: launcher.env_file",
        "there is no file no.env",
        "relative",
    ),
    ("[dependencies.db]\n", "launcher.toml:3: dependencies.db", "has no url", "postgresql://"),
    (
        '[dependencies.db]\nurl = "postgress://x"\n',
        "launcher.toml:4: dependencies.db.url",
        'unknown scheme "postgress"',
        "did you mean postgres",
    ),
    (
        '[dependencies.db]\nurl = "mysql://x"\n',
        "launcher.toml:4: dependencies.db.url",
        'unknown scheme "mysql"',
        "tcp://ADDRESS:3306",
    ),
    (
        '[dependencies.db]\nurl = "sqlite:///x"\n',
        "launcher.toml:4: dependencies.db.url",
        "unknown scheme",
        "a file is no service",
    ),
    (
        '[dependencies.db]\nurl = "localhost"\n',
        "launcher.toml:4: dependencies.db.url",
        'must be a URL, not "localhost"',
        "postgresql://",
    ),
    (
        '[dependencies.api]\nurl = "tcp://a:1"\n',
        "launcher.toml:3: dependencies.api",
        "api is a component, too",
        "rename",
    ),
    (
        "[components.x]\n",
        "launcher.toml:3: components.x",
        "does not say what to run",
        'app = "api.main:app" or run',
    ),
    (
        '[components.x]\nkind = "agent"\n',
        "launcher.toml:3: components.x",
        "does not say what to run",
        'write run = "agents.writer:run"',
    ),
    (
        '[components."a.b"]\nrun = "a:b"\n',
        "launcher.toml:3: components.a.b",
        'is not a usable name: "a.b"',
        "a dot is made",
    ),
    (
        '[components."a b"]\nrun = "a:b"\n',
        "launcher.toml:3: components.a b",
        'is not a usable name: "a b"',
        "letters",
    ),
    (
        '[components.two]\napp = "b:app"\n',
        "launcher.toml:3: components.two",
        "needs a port: api has 8000",
        "write port = 8001",
    ),
    (
        '[components.x]\nrun = "a:b"\nready = "/h"\n',
        "launcher.toml:5: components.x.ready",
        "asks for /h, but x has no port",
        "the whole URL",
    ),
    (
        '[components.x]\nrun = "a:b"\nport = 1\n',
        "launcher.toml:5: components.x.port",
        "port means nothing for an agent",
        "it is for a command, an ASGI component",
    ),
    (
        '[components.x]\ncommand = "a"\nready = "/h"\n',
        "launcher.toml:5: components.x.ready",
        "has no port",
        "give it a port, or",
    ),
    (
        '[components.x]\ncommand = "a"\noneshot = true\nrestart = "always"\n',
        "launcher.toml:6: components.x.restart",
        "would run again for ever",
        "on-failure",
    ),
    (
        '[components.x]\ncommand = "a"\ninherit_socket = true\n',
        "launcher.toml:5: components.x.inherit_socket",
        "x has no port whose socket it could inherit",
        "give it a port",
    ),
    (
        '[components.x]\nrun = "a:b"\ninherit_socket = true\n',
        "launcher.toml:5: components.x.inherit_socket",
        "inherit_socket means nothing for an agent",
        "it is for a command",
    ),
    (
        '[components.x]\ncommand = "a"\nport = 5\ninherit_socket = true\nready = "tcp://127.0.0.1:5"\n',
        "launcher.toml:7: components.x.ready",
        "a connection to 127.0.0.1:5 always succeeds, since the launcher holds that port",
        '"notify"',
    ),
    (
        '[components.x]\ncommand = "a"\noneshot = true\nready = "notify"\n',
        "launcher.toml:6: components.x.ready",
        "is a one-shot",
        "leave ready out",
    ),
    (
        '[components.x]\ncommand = "a"\nstop_signal = "SIGTREM"\n',
        "launcher.toml:5: components.x.stop_signal",
        '"SIGTREM" is not a signal',
        "did you mean SIGTERM?",
    ),
    (
        '[components.x]\nrun = "a:b"\ndepends_on = ["ap"]\n',
        "launcher.toml:5: components.x.depends_on",
        "depends on ap, which is neither",
        "did you mean api?",
    ),
    ('[groups]\ng = ["apo"]\n', "launcher.toml:4: groups.g", "unknown component apo", "did you mean api?"),
    (
        '[profiles.p]\nextends = "q"\n',
        "launcher.toml:4: profiles.p.extends",
        "unknown profile q",
        "there are: p",
    ),
    (
        '[profiles.p]\nextends = "p"\n',
        "launcher.toml:4: profiles.p.extends",
        "in a circle: p → p",
        "take one extends out",
    ),
    (
        '[components.a]\nlauncher = "x:Y"\nagents = []\n',
        "launcher.toml:5: components.a.agents",
        "has no agents",
        "name them",
    ),
    (
        '[components.a]\nlauncher = "x:Y"\nagents = ["w"]\neach.v.critical = true\n',
        "launcher.toml:6",
        "a has no agent v",
        "there are: w",
    ),
]


@pytest.mark.parametrize(("text", "where", "what", "hint"), SECTIONS)
def test_sections(tmp_path: Path, text: str, where: str, what: str, hint: str) -> None:
    """A mistake in any section names its line and key path."""
    toml = f"{text}{API}" if text.startswith("launcher =") else f"{API}{text}"
    found = problem(tmp_path, toml)
    assert found.where.startswith(where)
    assert what in found.what
    assert hint in found.hint


SYNTAX = [
    (
        "[components.api]\napp = api.main:app\n",
        "launcher.toml:2",
        "app = api.main:app",
        "put text in double quotes",
    ),
    ("[launcher]\nkeep_going = True\n", "launcher.toml:2", "keep_going = True", "lower case"),
    ("[a]\n[a]\n", "launcher.toml:2", "[a]", "twice"),
    ("x = 1\nx = 2\n", "launcher.toml:2", "x = 2", "twice"),
    ('a = "x\n', "launcher.toml:1", 'a = "x', "close the quote"),
    ("[launcher]\nwhat is this\n", "launcher.toml:2", "what is this", "KEY = VALUE"),
    ('a = "\\q"\n', "launcher.toml:1", '"\\q"', "single quotes"),
    ("DB_PASSWORD = hunter2\n", "launcher.toml:1", "DB_PASSWORD = ***", "double quotes"),
]


@pytest.mark.parametrize(("text", "where", "line", "hint"), SYNTAX)
def test_syntax(tmp_path: Path, text: str, where: str, line: str, hint: str) -> None:
    """A file that is no TOML is answered with line, column and the line itself."""
    found = problem(tmp_path, text)
    assert found.where == where
    assert "is not valid TOML" in found.what
    assert "(column " in found.what
    assert found.what.endswith(line)
    assert hint in found.hint


def test_all_problems_in_one_run(tmp_path: Path) -> None:
    """Mistakes of every sort and layer are reported together, in the order of the file."""
    found = problems(
        tmp_path,
        '[launcher]\nmode = "x"\n[components.api]\napp = "nope"\nport = 0\n[components.b]\n[nonsense]\n',
        "-bad line\n=",
        environ={"LAUNCHER_MOOD": "1"},
        flags={"launcher.stop_timeout": "never"},
        only=("zzz",),
    )
    wheres = [each.where for each in found]
    lines = [where for where in wheres if where.startswith("launcher.toml")]
    assert [int(where.split(":")[1]) for where in lines] == [2, 4, 5, 6, 7]
    assert {"environment LAUNCHER_MOOD", "--set launcher.stop_timeout", "--only"} <= set(wheres)


def test_no_component(tmp_path: Path) -> None:
    """A file without components is no declaration."""
    found = problem(tmp_path, '[launcher]\nname = "x"\n')
    assert found.what == "declares no component"


def test_no_file(tmp_path: Path) -> None:
    """Without a file the answer names the application that was found."""
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    found = problem(tmp_path)
    assert "there is no launcher.toml" in found.what
    assert "launcher up api=main:app" in found.hint


def test_missing_file_that_was_asked_for(tmp_path: Path) -> None:
    """A file named by a flag or a variable has to be there."""
    assert problem(tmp_path, file=Path("x.toml")).where == "--file"
    assert problem(tmp_path, environ={"LAUNCHER_FILE": "x.toml"}).where == "environment LAUNCHER_FILE"


def test_file_that_is_not_text(tmp_path: Path) -> None:
    """A file in another encoding is refused, not guessed at."""
    (tmp_path / "launcher.toml").write_bytes(b'name = "\xff"\n')
    assert "is not UTF-8 text (byte 8)" in problem(tmp_path).what


def test_pyproject_key_paths(tmp_path: Path) -> None:
    """In pyproject.toml the key path is the whole one."""
    (tmp_path / "pyproject.toml").write_text('[tool.launcher.components.api]\napp = "a:app"\nport = 0\n')
    assert problem(tmp_path).where == "pyproject.toml:3: tool.launcher.components.api.port"


def test_secrets_are_not_shown_in_problems(tmp_path: Path) -> None:
    """Neither a password in a URL nor the value of a variable appears in a message."""
    text = f'{API}ready = "{{}}"\n[dependencies.db]\nurl = "${{DB_PASSWORD}}"\n[components.w]\nrun = "a:b"\ndepends_on = ["db"]\n'
    found = problems(tmp_path, text.replace("{}", "ftp://u:hunter2@h"), "DB_PASSWORD=hunter2\n")
    assert len(found) == 2
    assert "hunter2" not in repr(found)


def test_foreign_keys_load(tmp_path: Path) -> None:
    """The smallest file is enough."""
    assert loaded(tmp_path, API).spec.components[0].name == "api"
