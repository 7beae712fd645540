"""Crash reports through the real command line."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from tests.launcher.acceptance.project import eventually

if TYPE_CHECKING:
    from tests.launcher.acceptance.project import Project

MOODY = """
    import asyncio
    import logging

    async def run():
        print("about to fail")
        logging.getLogger("moody").error("see %s", "postgresql://app:s3cret@db/news")
        await asyncio.sleep(0)
        raise ValueError("bad day")

    async def sleep():
        print("alive")
        await asyncio.Event().wait()
"""


def crashes(project: Project, *words: str) -> list[dict[str, Any]]:
    """What the command prints as JSON; nothing while there is no report."""
    done = project.run("crash", *words, "-o", "json")
    return list(json.loads(done.stdout)) if done.returncode == 0 else []


def test_a_crash_leaves_a_report(project: Project, mode: str) -> None:
    """Reason, traceback, last lines, uptime and use of the machine are kept, without passwords; status and console say where."""
    project.write(moody=MOODY).declare(
        """
        [components.moody]
        run = "moody:run"
        restart = "never"
        [components.other]
        run = "moody:sleep"
        """
    )
    launcher = project.up("--mode", mode, "--keep-going")
    project.wait("moody", "failed")
    project.wait("other")
    assert "crash reports: launcher crash moody" in project.run("status").stdout
    assert crashes(project, "other") == []
    launcher.signal(signal.SIGTERM)
    assert "report: launcher crash moody" in launcher.finished()[1]
    (report,) = crashes(project)
    assert report["component"] == "moody"
    assert report["incarnation"] == 1
    assert report["exit"]["kind"] == "raised"
    assert "ValueError: bad day" in report["exit"]["message"]
    assert 'raise ValueError("bad day")' in report["traceback"]
    assert [line["message"] for line in report["lines"]] == [
        "about to fail",
        "see postgresql://app:***@db/news",
    ]
    assert report["uptime"] >= 0
    assert report["resources"]["of"] == {"single": "launcher", "multi": "process"}[mode]
    assert report["resources"]["peak_memory_bytes"] > 1_000_000
    shown = project.run("crash", "moody").stdout
    assert "about to fail" in shown
    assert "bad day" in shown
    assert "s3cret" not in shown
    assert "moody" in project.run("crash").stdout
    wrong = project.run("crash", "mody")
    assert wrong.returncode == 2
    assert "did you mean moody?" in wrong.stderr


def test_a_kill_leaves_a_report_and_a_stop_does_not(project: Project) -> None:
    """A process that somebody kills has crashed, with what it had used; one that is asked to stop, or to restart, has not."""
    project.declare(
        """
        [components.tool]
        command = ["sh", "-c", "trap 'exit 3' TERM; echo spoken; while :; do sleep 0.05; done"]
        restart = { delay = 0 }
        """
    )
    launcher = project.up_and_ready("--mode", "multi")
    os.kill(project.component("tool")["pid"], signal.SIGKILL)
    (report,) = eventually("a report", lambda: crashes(project, "tool"), launcher=launcher)
    assert report["exit"]["signal"] == signal.SIGKILL
    assert report["resources"]["of"] == "process"
    assert report["lines"][0]["message"] == "spoken"
    eventually("it runs again", lambda: project.component("tool").get("incarnation") == 2)
    project.wait("tool")
    assert project.run("restart", "tool").returncode == 0
    assert project.run("stop", "tool").returncode == 0
    launcher.signal(signal.SIGTERM)
    launcher.finished()
    assert len(crashes(project, "tool", "-n", "9")) == 1


def test_a_component_that_crashes_over_and_over(project: Project) -> None:
    """Each incarnation has a report with its own lines only, oldest first."""
    project.declare(
        """
        [components.tool]
        command = ["sh", "-c", "echo life $LAUNCHER_INCARNATION; exit 7"]
        restart = { delay = 0, max_restarts = 2 }
        """
    )
    launcher = project.up("--mode", "multi")
    assert launcher.finished()[0] != 0
    told = crashes(project, "tool", "-n", "9")
    assert [report["incarnation"] for report in told] == [1, 2, 3]
    assert [report["lines"] and report["lines"][0]["message"] for report in told] == [
        "life 1",
        "life 2",
        "life 3",
    ]
    assert [len(report["lines"]) for report in told] == [1, 1, 1]
    assert told[-1]["restarts"] == 2
