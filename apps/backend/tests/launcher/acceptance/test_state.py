"""What outlives the launcher: history and the last snapshot, in a file and in a server that several launchers share."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.launcher.acceptance.project import AGENT, Launcher, Project, eventually
from tests.launcher.valkey import Valkey, running

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "sqlite:///.launcher/state.db"
PASSWORD = "n0t/to be&shown"


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with running(tmp_path_factory.mktemp("valkey")) as server:
        yield server


def keep(project: Project, url: str, **settings: str) -> Project:
    """Give a project an agent, and a store for its state."""
    keys = "\n".join(f'        {key} = "{value}"' for key, value in {"url": url, **settings}.items())
    return project.write(jobs=AGENT).declare(f"""
        [state]
{keys}

        [components.worker]
        run = "jobs:run"

        [components.helper]
        run = "jobs:run"
    """)


def history(project: Project, *arguments: str) -> list[dict[str, Any]]:
    """What ``launcher history`` tells."""
    done = project.run("history", "-n", "all", "-o", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def phases(project: Project, name: str = "worker") -> list[str]:
    return [each["after"] for each in history(project, name)]


def launchers(project: Project) -> dict[str, str]:
    """The state of every launcher that is known, by its machine."""
    done = project.run("status", "--all", "-o", "json")
    assert done.stdout, done.stderr
    return {each["machine"]: each["state"] for each in json.loads(done.stdout)["launchers"]}


def store(project: Project) -> dict[str, Any]:
    return dict(project.status().get("store") or {})


def numbered_without_gaps(found: list[dict[str, Any]]) -> bool:
    """Whether nothing is missing in any run, and nothing is there twice."""
    runs: dict[int, list[int]] = {}
    for each in found:
        runs.setdefault(each["run"], []).append(each["seq"])
    return list(runs) == sorted(runs) and all(
        numbers == list(range(1, len(numbers) + 1)) for numbers in runs.values()
    )


def test_history_outlives_the_launcher(project: Project, mode: str) -> None:
    """Transitions of two runs are told in order after both have ended, and ``status --all`` says that it has ended."""
    keep(project, FILE)
    for _ in range(2):
        launcher = project.up_and_ready("--mode", mode)
        assert store(project)["reachable"] is True
        assert project.run("down").returncode == 0
        assert launcher.finished()[0] == 0
    found = history(project)
    assert numbered_without_gaps(found)
    assert len({each["run"] for each in found}) == 2
    assert phases(project) == ["waiting", "starting", "ready", "stopping", "stopped"] * 2
    assert list(launchers(project).values()) == ["ended"]
    told = project.run("history", "worker", "-n", "1")
    assert "stopping -> stopped (incarnation 1)" in told.stdout
    assert project.run("history", "nobody").stdout == ""


def test_history_in_memory_is_that_of_the_running_launcher(project: Project, mode: str) -> None:
    """Without a store, the running launcher tells its own transitions, and how to have more; afterwards there are none."""
    project.write(jobs=AGENT).declare('[components.worker]\nrun = "jobs:run"\n')
    launcher = project.up_and_ready("--mode", mode)
    assert phases(project) == ["waiting", "starting", "ready"]
    done = project.run("history")
    assert "running launcher only" in done.stderr
    assert "sqlite:///" in done.stderr
    assert list(launchers(project).values()) == ["up"]
    assert "state store" not in project.run("status").stdout
    project.run("down")
    launcher.finished()
    done = project.run("history")
    assert done.returncode == 4
    assert "hint: to keep it" in done.stderr


def test_a_launcher_that_is_killed(project: Project, mode: str) -> None:
    """After ``kill -9`` in the middle of restarts the file is whole, nothing is there twice, and the next launcher goes on."""
    keep(project, FILE)
    launcher = project.up_and_ready("--mode", mode)
    for _ in range(3):
        assert project.run("restart", "worker").returncode == 0
    _kill(project, launcher)
    assert launchers(project) == dict.fromkeys(launchers(project), "lost")
    before = history(project)
    assert numbered_without_gaps(before)
    assert [each["after"] for each in before].count("ready") >= 4
    with sqlite3.connect(project.root / ".launcher" / "state.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    again = project.up_and_ready("--mode", mode)
    found = eventually(
        "the new run is kept", lambda: len(history(project)) > len(before) and history(project)
    )
    assert numbered_without_gaps(found)
    assert found[: len(before)] == before
    assert list(launchers(project).values()) == ["up"]
    project.run("down")
    again.finished()


@pytest.mark.slow
def test_a_server_that_dies_while_the_backend_is_restarted(
    project: Project, valkey: Valkey, mode: str
) -> None:
    """Supervision goes on without the store: commands return, ``status`` says what waits; afterwards nothing is missing."""
    valkey.kill()
    valkey._options += ["--appendonly", "yes", "--appendfsync", "always"]
    valkey.start()
    keep(project, valkey.url)
    launcher = project.up_and_ready("--mode", mode)
    eventually("the store is reached", lambda: store(project).get("reachable"), launcher=launcher)
    valkey.kill()
    for _ in range(2):
        assert project.run("restart", "worker").returncode == 0
    eventually("the outage is noticed", lambda: store(project).get("reachable") is False, launcher=launcher)
    told = project.run("status").stdout
    assert f"state store: {valkey.url}: not reachable since" in told
    assert "entries wait" in told
    assert "cannot read the state store" in project.run("history").stderr
    valkey.start()
    eventually("the store is reached again", lambda: store(project).get("reachable"), launcher=launcher)
    project.run("down")
    code, output = launcher.finished()
    assert code == 0
    assert output.count("cannot be written") == output.count("written again") == 1
    found = history(project)
    assert numbered_without_gaps(found)
    assert phases(project).count("ready") == 3


def test_a_server_that_hangs(project: Project, valkey: Valkey, mode: str) -> None:
    """A frozen server delays no command and not the end of the launcher beyond its bounded time."""
    keep(project, valkey.url)
    launcher = project.up_and_ready("--mode", mode)
    valkey.freeze()
    assert project.run("restart", "worker").returncode == 0
    assert project.run("stop", "helper").returncode == 0
    assert project.run("down").returncode == 0
    assert launcher.finished()[0] == 0
    log = (project.root / ".launcher" / "logs" / "launcher.jsonl").read_text()
    assert log.count("cannot be written") == 1
    assert "could not be written before the end" in log


@pytest.mark.slow
def test_two_launchers_share_a_server(
    project: Project, tmp_path_factory: pytest.TempPathFactory, valkey: Valkey
) -> None:
    """Each sees both, with the names of their machines; one that is killed is lost after its expiry, and then forgotten."""
    other = Project(tmp_path_factory.mktemp("other"))
    try:
        keep(project, valkey.url, machine="here", expiry="1s")
        keep(other, valkey.url, machine="there", expiry="1s")
        mine, theirs = project.up_and_ready("--mode", "multi"), other.up_and_ready("--mode", "multi")
        eventually("both are seen", lambda: launchers(project) == {"here": "up", "there": "up"})
        told = other.run("status", "--all").stdout
        assert "here" in told
        assert "2 of 2 ready" in told
        assert other.root.name in told
        _kill(other, theirs)
        eventually("one is lost", lambda: launchers(project) == {"here": "up", "there": "lost"})
        assert project.run("status", "--all").returncode == 3
        eventually("it is forgotten", lambda: launchers(project) == {"here": "up"})
        project.run("down")
        mine.finished()
        assert launchers(project) == {"here": "ended"}
        assert "there" in other.run("config").stdout
        assert phases(other) == ["waiting", "starting", "ready"]
    finally:
        other.close()


def test_two_launchers_share_a_file(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """On one machine a file does, too; whose process is gone is lost at once, and each history is its own."""
    other = Project(tmp_path_factory.mktemp("other"))
    shared = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'state.db'}"
    try:
        mine = keep(project, shared).up_and_ready("--mode", "multi")
        theirs = keep(other, shared).up_and_ready("--mode", "single")

        def both() -> dict[str, str]:
            done = project.run("status", "--all", "-o", "json")
            return {each["status"]["name"]: each["state"] for each in json.loads(done.stdout)["launchers"]}

        names = project.root.name, other.root.name
        eventually("both are seen", lambda: both() == dict.fromkeys(names, "up"))
        _kill(other, theirs)
        assert both() == dict(zip(names, ("up", "lost"), strict=True))
        assert project.run("restart", "worker").returncode == 0
        project.run("down")
        mine.finished()
        assert both() == dict(zip(names, ("ended", "lost"), strict=True))
        assert phases(project).count("ready") == 2
        assert phases(other) == ["waiting", "starting", "ready"]
    finally:
        other.close()


def _kill(project: Project, launcher: Launcher) -> None:
    os.kill(project.status()["launcher"]["pid"], signal.SIGKILL)
    launcher.finished()


@pytest.mark.parametrize("right", [True, False], ids=["right password", "wrong password"])
def test_a_password_is_never_shown(
    project: Project, tmp_path_factory: pytest.TempPathFactory, right: bool
) -> None:
    """No command, no log and no file of the run directory holds the password of the store, whether it is right or wrong."""
    with running(tmp_path_factory.mktemp("valkey"), password=PASSWORD if right else "another") as server:
        server.password = PASSWORD
        keep(project, server.url)
        launcher = project.up_and_ready("--mode", "multi")
        eventually("the store was tried", lambda: store(project).get("reachable") is right, launcher=launcher)
        commands = (
            "status",
            "status --all",
            "history",
            "config",
            "config --origins",
            "check",
            "restart worker",
        )
        outputs = []
        for command in commands:
            for form in ([], ["-o", "json"]) if command != "restart worker" else ([],):
                done = project.run(*command.split(), *form)
                outputs += [done.stdout, done.stderr]
        project.run("down")
        outputs.append(launcher.finished()[1])
    files = [path for path in (project.root / ".launcher").rglob("*") if path.is_file()]
    outputs += [path.read_text(errors="replace") for path in files]
    whole = "\n".join(outputs)
    assert "redis://:***@" in whole
    assert PASSWORD not in whole
    assert server.url.partition("@")[0].rpartition(":")[2] not in whole


def test_a_package_that_is_missing(project: Project, tmp_path: Path) -> None:
    """A server as the store needs a package; where that is not installed, nothing is started, and it is said what to install."""
    keep(project, "redis://127.0.0.1:1/0").write(
        hidden__sitecustomize='import sys\nsys.modules["redis"] = None\n'
    )
    project.environment["PYTHONPATH"] = str(tmp_path / "hidden")
    for command in (("up",), ("check",), ("history",), ("status", "--all")):
        done = project.run(*command)
        assert done.returncode == 1
        assert "the package redis is not installed" in done.stderr
        assert "hint: pip install 'unified-launcher[redis]'" in done.stderr


def test_history_needs_no_valid_declaration(project: Project) -> None:
    """What happened can be read while another part of the declaration is broken; only what is wrong about the store counts."""
    keep(project, FILE)
    launcher = project.up_and_ready("--mode", "single")
    project.run("down")
    launcher.finished()
    text = (project.root / "launcher.toml").read_text()
    (project.root / "launcher.toml").write_text(f"{text}\n[components.broken]\nport = 1\n")
    assert project.run("check").returncode == 2
    assert phases(project) == ["waiting", "starting", "ready", "stopping", "stopped"]
    done = project.run("history", patience=60)
    assert done.returncode == 0
    (project.root / "launcher.toml").write_text(text.replace("sqlite:///", "sqlite:/"))
    done = project.run("history")
    assert done.returncode == 2
    assert "state.url: must be a URL" in done.stderr
