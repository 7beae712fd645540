"""Commands where no launcher runs: what they print where, and what they end with."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from launcher.cli import COMMANDS
from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import LogStore
from tests.launcher.integration.cli.project import Project

TWO = """
[launcher]
mode = "multi"
[components.web]
command = ["sleep", "100"]
depends_on = ["cache"]
[components.job]
command = "true"
oneshot = true
depends_on = ["web"]
[dependencies.cache]
url = "redis://user:s3cret@127.0.0.1:1"
"""

BROKEN = """
[components.web]
comand = "true"
[components.api]
app = "a:b"
port = "many"
"""


@pytest.mark.parametrize("words", [("--help",), ("-h",)])
def test_help_is_data(project: Project, words: tuple[str, ...]) -> None:
    """Every command with what it does, examples, and the exit codes, on standard output."""
    ended = project.run(*words)
    assert ended.returncode == 0
    assert ended.stderr == ""
    for text in (*COMMANDS, "examples:", "exit codes:", "launcher up api=api.main:app"):
        assert text in ended.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(project: Project, name: str) -> None:
    """Launcher COMMAND --help names the command and ends with 0."""
    ended = project.run(name, "--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"usage: launcher {name}")


def test_version(project: Project) -> None:
    """One line."""
    assert project.run("--version").stdout.startswith("launcher 0.")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ((), "usage: launcher COMMAND", ""),
        (("statsu",), 'no command "statsu"', "did you mean status?"),
        (("status", "--bogus"), "unrecognized arguments: --bogus", "launcher status --help"),
        (("--bogus",), "unrecognized arguments: --bogus", "launcher --help"),
        (("--no-color",), "--no-color", "launcher --help"),
        (("stop",), "required: NAME", "launcher stop --help"),
        (("wait", "--for", "ready"), "no component is named", "launcher wait NAME"),
        (("logs", "-n", "few"), "-n takes a number", "-n 50"),
        (("logs", "--level", "loud"), 'no level "loud"', "levels:"),
        (("logs", "--since", "once"), '"once" is no time', "10m"),
        (("logs", "--until", "never"), '"never" is no time', "10m"),
        (("logs", "--since", "1m", "--until", "1h"), "--until 1h is before --since 1m", "swap"),
        (("run",), "no component is named", "launcher run NAME"),
        (("up", "-t", "soon"), '"soon" is no duration', "launcher up --help"),
        (("-f", "nowhere.toml", "status"), "error", "launcher init"),
    ],
)
def test_wrong_command_lines(project: Project, words: tuple[str, ...], message: str, hint: str) -> None:
    """Exit code 2, a message and a hint on standard error, nothing on standard output."""
    ended = project.run(*words)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert message in ended.stderr
    assert hint in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "words", [("status",), ("stop", "web"), ("restart", "web"), ("wait", "web"), ("wait",)]
)
def test_nothing_is_running(project: Project, words: tuple[str, ...]) -> None:
    """Exit code 4, with the way to start one; as JSON, on standard output alone."""
    ended = project.run(*words)
    assert ended.returncode == 4
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: no launcher is running")
    assert "hint: start one with: launcher up" in ended.stderr
    document = project.json(*words, code=4)
    assert document["error"]["exit_code"] == 4


def test_down_with_nothing_running(project: Project) -> None:
    """Exit code 4, and nothing is made on the way."""
    assert project.run("down").returncode == 4
    assert list(project.root.iterdir()) == []


def test_down_with_a_launcher_that_cannot_be_reached(project: Project) -> None:
    """A held lock without a socket is not "not running": the process is named."""
    run_dir = project.root / ".launcher"
    run_dir.mkdir(mode=0o700)
    with (run_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"pid": 12345}))
        lock.flush()
        ended = project.run("down")
    assert ended.returncode == 1
    assert "PID 12345" in ended.stderr
    assert "kill 12345" in ended.stderr


@pytest.mark.parametrize("words", [("status", "--bogus"), ("nonsense",), ("check",)])
def test_json_is_pure_even_for_errors(project: Project, words: tuple[str, ...]) -> None:
    """Programs read one document, with the exit code in it."""
    document = project.json(*words, code=2)
    assert document["error"]["exit_code"] == 2
    assert document["error"]["message"]


def test_check_shows_the_plan(project: Project) -> None:
    """Order, placement and probes; as text and as JSON; a password in neither."""
    project.declare(TWO)
    ended = project.run("check")
    assert ended.returncode == 0
    assert "1. web" in ended.stdout
    assert "2. job" in ended.stdout
    assert "mode multi (as asked for)" in ended.stdout
    plan = project.json("check")
    assert plan["waves"] == [["web"], ["job"]]
    assert plan["dependencies"][0]["url"] == "redis://user:***@127.0.0.1:1"
    assert "s3cret" not in ended.stdout + json.dumps(plan)
    assert not (project.root / ".launcher").exists()


def test_check_takes_the_selection_of_up(project: Project) -> None:
    """What would be started is what is shown."""
    project.declare(TWO)
    assert project.json("check", "web")["waves"] == [["web"]]
    assert project.json("check", "--exclude", "job")["waves"] == [["web"]]
    assert project.json("check", "--mode", "single")["mode"] == "single"
    (project.root / "launcher.toml").unlink()
    plan = project.json("check", "x=cmd:sleep 1", "y=pkg.main:app")
    assert [item["name"] for item in plan["components"]] == ["x", "y"]


def test_every_problem_is_shown(project: Project) -> None:
    """All mistakes at once, each with its place and hint."""
    project.declare(BROKEN)
    ended = project.run("check")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "launcher.toml:3" in ended.stderr
    assert "comand" in ended.stderr
    assert "launcher.toml:6" in ended.stderr
    problems = project.json("check", code=2)["error"]["problems"]
    assert len(problems) >= 2
    assert all(problem["where"] and problem["what"] for problem in problems)


def test_config_with_origins(project: Project) -> None:
    """Each value with the place it came from, later layers winning."""
    project.declare(TWO)
    text = project.run(
        "config", "--origins", "--set", "launcher.name=desk", LAUNCHER_LOG_LEVEL="DEBUG"
    ).stdout
    assert 'launcher.mode = "multi"' in text
    assert "# launcher.toml:3" in text
    assert "s3cret" not in text
    values = {
        item["key"]: item for item in project.json("config", "--set", "launcher.stop_timeout=7")["values"]
    }
    assert values["launcher.stop_timeout"]["source"] != "default"
    assert values["launcher.run_dir"]["source"] == "default"


def test_config_schema_and_reference(project: Project) -> None:
    """Both are printed without any declaration."""
    assert json.loads(project.run("config", "--schema").stdout)["$schema"]
    assert "start_timeout" in project.run("config", "--reference").stdout


def test_init_writes_once(project: Project) -> None:
    """The file is made for what is there, loads, and is never touched again."""
    (project.root / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    shown = project.run("init", "--stdout")
    assert shown.returncode == 0
    assert not (project.root / "launcher.toml").exists()
    assert project.run("init").returncode == 0
    assert (project.root / "launcher.toml").read_text() == shown.stdout
    assert project.json("check")["components"][0]["runs"] == "main:app"
    (project.root / "launcher.toml").write_text("mine")
    again = project.run("init")
    assert again.returncode == 2
    assert "left alone" in again.stderr
    assert (project.root / "launcher.toml").read_text() == "mine"


def logged(root: Path, *lines: tuple[str, str]) -> None:
    store = LogStore(root / ".launcher" / "logs")
    for number, (component, message) in enumerate(lines):
        store.write(LogLine(1.7e9 + number, component, Stream.STDOUT, message))
    store.close()


def test_logs_without_a_launcher(project: Project) -> None:
    """Several components in order of time, with and without prefix, and as JSON lines."""
    logged(project.root, ("api", "one"), ("agents.writer", "two"), ("api", "\x1b[31mthree\x1b[0m\x1b[2J"))
    text = project.run("logs", "-n", "2").stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in text] == ["agents.writer | two", "api           | three"]
    assert project.run("logs", "api", "--no-prefix").stdout == "one\nthree\n"
    assert project.run("logs", "agents", "--no-prefix").stdout == "two\n"
    assert project.run("logs", "--grep", "^o", "--no-prefix").stdout == "one\n"
    documents = [
        json.loads(line) for line in project.run("logs", "-n", "all", "-o", "json").stdout.splitlines()
    ]
    assert [document["message"] for document in documents][:2] == ["one", "two"]


def test_logs_of_nobody(project: Project) -> None:
    """No logs at all, and none of that name."""
    assert project.run("logs").returncode == 2
    logged(project.root, ("api", "one"))
    ended = project.run("logs", "apy")
    assert ended.returncode == 2
    assert "did you mean api?" in ended.stderr


def test_following_until_ctrl_c(project: Project) -> None:
    """Lines arrive as they are written; Ctrl-C ends it without an error."""
    logged(project.root, ("api", "old"))
    with subprocess.Popen(
        project.command("logs", "-f", "--no-prefix", "api", "later"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        assert following.stdout.readline() == "old\n"
        logged(project.root, ("later", "new"), ("other", "not asked for"))
        assert following.stdout.readline() == "new\n"
        following.send_signal(signal.SIGINT)
        assert following.stdout.read() == ""
        assert following.stderr.read() == "there is no log of later yet: waiting for it\n"
    assert following.returncode == 0


def test_following_up_to_a_moment(project: Project) -> None:
    """`--until` leaves out what is younger, and ends a follower by itself when that moment has come."""
    logged(project.root, ("api", "old"), ("api", "older than the moment"), ("api", "younger"))
    shown = project.run("logs", "-f", "--no-prefix", "--until", "2023-11-14T22:13:21.5+00:00")
    assert shown.stdout == "old\nolder than the moment\n"
    assert shown.returncode == 0


def test_a_reader_that_leaves_early(project: Project) -> None:
    """`launcher logs | head` is no error."""
    logged(project.root, *(("api", "x" * 200) for _ in range(3000)))
    with subprocess.Popen(
        project.command("logs", "-n", "all"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as ended:
        assert ended.stdout is not None
        assert ended.stderr is not None
        ended.stdout.readline()
        ended.stdout.close()
        assert ended.stderr.read() == b""
    assert ended.returncode == 0


def test_colour_on_a_terminal_only(project: Project) -> None:
    """A terminal gets colour unless NO_COLOR, --no-color or TERM=dumb say otherwise."""
    logged(project.root, ("api", "one"))

    def shown(*words: str, **environ: str) -> bytes:
        ours, theirs = pty.openpty()
        command = project.command("logs", *words)
        with subprocess.Popen(
            command, cwd=project.root, env=project.environment(**environ), stdout=theirs
        ) as process:
            os.close(theirs)
            data = b""
            with contextlib.suppress(OSError):  # EIO: the other side is closed
                while piece := os.read(ours, 4096):
                    data += piece
        os.close(ours)
        assert process.returncode == 0
        return data

    assert b"\x1b[" in shown(TERM="xterm")
    for plain in (shown("--no-color", TERM="xterm"), shown(TERM="xterm", NO_COLOR="1"), shown(TERM="dumb")):
        assert b"one" in plain
        assert b"\x1b" not in plain
