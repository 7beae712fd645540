"""No line of a component is lost when it is killed: the benchmark in small."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.logs import Load, run
from tests.launcher.acceptance.project import eventually

if TYPE_CHECKING:
    from tests.launcher.acceptance.project import Project


def test_kill_9_costs_no_line(tmp_path: Path) -> None:
    """Python components and commands that are killed while they write: every line is in the files and at the follower, once and in order."""
    outcome = run(Load(components=4, lines=2000, kills=12), tmp_path, random.Random(4))
    assert outcome.wrong == []
    assert outcome.kills > 0
    assert outcome.said == 8000


WRITER = """
    import asyncio
    from pathlib import Path

    async def run():
        await asyncio.to_thread(wait_for, "go")
        for number in range(15_000):
            print(f"line {number}")
        Path("said").touch()
        await asyncio.Event().wait()

    def wait_for(name):
        import time
        while not Path(name).exists():
            time.sleep(0.01)
"""


def test_a_launcher_that_is_stopped_for_a_while_loses_nothing(project: Project) -> None:
    """A component goes on while its launcher is suspended; when that goes on, too, every line comes, once and in order."""
    project.write(writer=WRITER).declare('[components.writer]\nrun = "writer:run"\n')
    launcher = project.up_and_ready("--mode", "multi", "--quiet")
    pid = project.status()["launcher"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        (project.root / "go").touch()
        eventually("everything is said", (project.root / "said").exists, launcher=launcher)
    finally:
        os.kill(pid, signal.SIGCONT)
    log = project.root / ".launcher" / "logs" / "writer.jsonl"
    eventually("the last line", lambda: log.exists() and '"line 14999"' in log.read_text())
    launcher.signal(signal.SIGTERM)
    assert launcher.finished()[0] == 0
    lines = [json.loads(line)["message"] for line in log.read_text().splitlines()]
    assert [line for line in lines if line.startswith("line ")] == [
        f"line {number}" for number in range(15_000)
    ]
