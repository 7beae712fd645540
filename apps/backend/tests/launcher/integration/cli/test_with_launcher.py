"""Commands against a real launcher that runs in the background."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.cli.down import alive, holder, locked
from tests.launcher.acceptance.project import free_port
from tests.launcher.integration.cli.project import Project

SLEEPERS = f"""
[launcher]
mode = "multi"
[components.one]
command = ["{sys.executable}", "-c", "print('hello', flush=True); import signal; signal.pause()"]
[components.two]
command = ["{sys.executable}", "-c", "import signal; signal.pause()"]
depends_on = ["one"]
"""


@pytest.fixture
def running(project: Project) -> Iterator[Project]:
    """A project whose backend is up."""
    project.declare(SLEEPERS)
    ended = project.run("up", "-d")
    assert ended.returncode == 0, ended.stderr
    yield project
    project.run("down")


def test_up_in_the_background_and_down(project: Project) -> None:
    """Up -d returns when everything is ready; down when launcher, lock and processes are gone."""
    project.declare(SLEEPERS)
    started = project.run("up", "-d")
    assert started.returncode == 0
    assert started.stdout == ""
    assert "is up: mode multi" in started.stderr
    lock = project.root / ".launcher" / "lock"
    status = project.json("status")
    pids = [status["launcher"]["pid"], *(item["pid"] for item in status["components"])]
    assert locked(lock)
    assert holder(lock) == pids[0]
    ended = project.run("down")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert not locked(lock)
    assert not any(map(alive, pids))
    assert project.run("status").returncode == 4


def test_a_second_up_is_refused(running: Project) -> None:
    """In the foreground and in the background, with exit code 5."""
    for words in (("up",), ("up", "-d")):
        ended = running.run(*words)
        assert ended.returncode == 5
        assert "already running" in ended.stderr
        assert "launcher down" in ended.stderr


def test_a_start_in_the_background_that_fails(project: Project) -> None:
    """Its exit code and what it said come back, and nothing is left running."""
    project.declare('[components.bad]\ncommand = ["/nowhere/program"]\n')
    ended = project.run("up", "-d")
    assert ended.returncode == 1
    assert "/nowhere/program" in ended.stderr
    assert project.run("status").returncode == 4
    project.declare("[components.bad]\nnonsense = 1\n")
    assert project.run("up", "-d").returncode == 2


def test_commands_return_when_the_state_is_reached(running: Project) -> None:
    """stop, status with 3 or 0, start, restart, wait."""
    stopped = running.run("stop", "two")
    assert (stopped.returncode, stopped.stdout) == (0, "")
    assert "two is stopped" in stopped.stderr
    assert running.json("status")["components"][1]["phase"] == "stopped"
    assert running.run("wait", "two", "--for", "stopped").returncode == 0
    assert running.run("wait", "two", "-t", "0.1").returncode == 1
    assert running.run("start", "two").returncode == 0
    before = {item["name"]: item["incarnation"] for item in running.json("status")["components"]}
    after = {item["name"]: item["incarnation"] for item in running.json("restart", "*")}
    assert all(after[name] > before[name] for name in before)
    assert running.run("wait").returncode == 0


def test_status_ends_with_3_when_something_is_not_up(project: Project) -> None:
    """What is wanted up and failed makes the difference, with --keep-going."""
    project.declare(SLEEPERS + '[components.bad]\ncommand = ["/nowhere/program"]\n')
    assert project.run("up", "-d", "--keep-going").returncode == 3
    try:
        ended = project.run("status")
        assert ended.returncode == 3
        assert "bad" in ended.stdout
        assert "failed" in ended.stdout
    finally:
        project.run("down")


def test_an_unknown_component(running: Project) -> None:
    """Nothing is done for the others, and the likely one is named."""
    ended = running.run("stop", "one", "tow")
    assert ended.returncode == 2
    assert "two" in ended.stderr
    assert running.run("status").returncode == 0


def test_any_terminal_in_the_project(running: Project) -> None:
    """From a directory below, or from elsewhere with -f."""
    below = running.root / "src" / "deep"
    below.mkdir(parents=True)
    (running.root / ".git").mkdir()
    assert Project(below).run("status").returncode == 0
    assert Project(Path("/")).run("-f", str(running.root), "status").returncode == 0


def test_a_broken_declaration_does_not_lock_anybody_out(running: Project) -> None:
    """status, logs and down only need to find the run directory."""
    running.declare("[components.one\ncommand =")
    assert running.run("status").returncode == 0
    assert "hello" in running.run("logs", "one", "--no-prefix").stdout
    assert running.run("down").returncode == 0


def test_run_in_this_process(project: Project) -> None:
    """Only the named component, without what it depends on; its exit decides."""
    project.declare(
        """
[components.job]
command = ["sh", "-c", "echo done; exit 0"]
oneshot = true
depends_on = ["never"]
[components.never]
command = ["sleep", "100"]
"""
    )
    ended = project.run("run", "job")
    assert ended.returncode == 0, ended.stderr
    assert "done" in ended.stdout
    assert "never" not in ended.stderr
    assert project.run("run", "other").returncode == 2


def test_processes_by_number() -> None:
    """This process is alive, and nobody has the number 0."""
    assert alive(os.getpid())
    assert not alive(0)
    assert not alive(2**22 + 1)


def test_a_lock_file_that_says_nothing(tmp_path: Path) -> None:
    """Torn or missing, it names nobody."""
    assert holder(tmp_path / "lock") == 0
    assert not locked(tmp_path / "lock")
    (tmp_path / "lock").write_text(json.dumps([1]))
    assert holder(tmp_path / "lock") == 0


def test_dashboard_opens_or_prints_a_link(project: Project) -> None:
    """``dashboard`` hands a link to the user's browser, or prints it where there is none, or when that is asked for."""
    browser = project.root / "browser"
    browser.write_text('#!/bin/sh\necho "$1" >opened\n')
    browser.chmod(0o700)
    port = free_port()
    project.declare(SLEEPERS)
    assert project.run("up", "-d", "--api", str(port)).returncode == 0
    link = re.compile(rf"http://127\.0\.0\.1:{port}/login\?once=[\w-]+\n")
    opened = project.run("dashboard", BROWSER=str(browser))
    assert (opened.returncode, opened.stdout) == (0, "")
    assert link.fullmatch((project.root / "opened").read_text())
    for words, environ in (
        (("dashboard", "--print"), {"BROWSER": str(browser)}),
        (("dashboard",), {"BROWSER": "false"}),
    ):
        printed = project.run(*words, **environ)
        assert printed.returncode == 0
        assert link.fullmatch(printed.stdout)
    project.run("down")


def test_dashboard_without_a_port_says_how_to_get_one(running: Project) -> None:
    """A launcher without a port for browsers is told from one that does not run, each with what to do."""
    refused = running.run("dashboard")
    assert refused.returncode == 1
    assert "launcher up --api" in refused.stderr
    running.run("down")
    assert running.run("dashboard").returncode == 4
