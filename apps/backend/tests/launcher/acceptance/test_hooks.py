"""Hooks through the real command line."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.launcher.acceptance.project import AGENT, eventually

if TYPE_CHECKING:
    from tests.launcher.acceptance.project import Project

NOTIFY = """
import json, sys
document = json.load(sys.stdin)
with open("told.jsonl", "a") as file:
    file.write(json.dumps(document) + "\\n")
"""


def told(project: Project) -> list[dict[str, Any]]:
    path = project.root / "told.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_command_is_told_of_phases(project: Project, mode: str) -> None:
    """Ready, failed and stopped are told while the backend runs and when it ends; a hook that fails disturbs nothing."""
    project.write(worker=AGENT, **{"notify.py": NOTIFY}).declare(
        """
        [components.worker]
        run = "worker:run"
        [components.broken]
        command = ["sh", "-c", "exit 9"]
        restart = "never"
        [hooks.file]
        command = ["python", "notify.py"]
        on = ["ready", "failed", "stopped"]
        [hooks.broken]
        command = "false"
        on = "ready"
        attempts = 1
        """
    )
    launcher = project.up("--mode", mode, "--keep-going")
    project.wait("worker")
    eventually("both are told", lambda: len(told(project)) == 2, launcher=launcher)
    log = Path(project.root / ".launcher" / "logs" / "launcher.jsonl")
    eventually(
        "the failure is in the log", lambda: "hook broken (false) failed: exited with 1" in log.read_text()
    )
    launcher.signal(signal.SIGTERM)
    launcher.finished()
    got = {(document["component"], document["phase"]): document for document in told(project)}
    assert set(got) == {("worker", "ready"), ("broken", "failed"), ("worker", "stopped")}
    assert got["broken", "failed"]["exit"]["code"] == 9
    assert got["broken", "failed"]["project"] == project.root.name
