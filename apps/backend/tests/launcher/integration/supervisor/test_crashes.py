"""Crash reports from a journal, on a real file system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from launcher.core.plan import build
from launcher.model.events import Transition
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec, Mode
from launcher.model.state import Desired, Exit, ExitKind, Phase, Role, Spent
from launcher.observe.crashes import LINES, crash_dir, read, reports
from launcher.observe.logs import LogStore
from launcher.supervisor.crashes import CrashReporter
from launcher.supervisor.journal import Journal
from launcher.supervisor.supervisor import Supervisor

WALL = 1.7e9
ENDED = Exit(
    ExitKind.RAISED,
    "cannot open redis://u:s3cret@cache",
    traceback="Traceback …",
    spent=Spent(1.0, 0.5, 2**20, 7, 0),
)


class Stage:
    """A journal with a reporter, and a log that can be written."""

    def __init__(self, directory: Path, mode: Mode = Mode.MULTI) -> None:
        spec = LauncherSpec(
            "news",
            str(directory),
            (ComponentSpec("api", Kind.AGENT, "a:b"),),
            mode=mode,
            run_dir=str(directory),
            log_dir=str(directory / "logs"),
        )
        self.directory = directory
        self.store = LogStore(spec.log_dir)
        self.journal = Journal(clock=lambda: WALL)
        supervisor = Supervisor(build(spec), self.journal, lambda: pytest.fail("nothing is started"))
        self.journal.subscribe(CrashReporter(supervisor.view).on_entry)

    def publish(self, incarnation: int, after: Phase, at: float, **more: Any) -> None:
        before = more.pop("before", Phase.WAITING)
        self.journal.publish(Transition("api", incarnation, before, after, Desired.UP, "E", at, **more))

    def line(self, text: str, incarnation: int, ago: float = 1.0) -> None:
        self.store.write(LogLine(WALL - ago, "api", Stream.STDOUT, text, incarnation))

    def told(self) -> list[dict[str, Any]]:
        found = [read(path) for path in reports(crash_dir(self.directory))]
        return [report for report in found if report is not None]


def test_what_a_report_holds(tmp_path: Path) -> None:
    """The life's own last lines, its uptime, what it has used, and no password."""
    stage = Stage(tmp_path)
    stage.publish(2, Phase.STARTING, 100.0)
    stage.line("before it began", 2, ago=500.0)
    for number in range(LINES + 5):
        stage.line(f"line {number}", 2)
        stage.line("somebody else's", 1)
    stage.publish(
        2, Phase.BACKOFF, 130.5, before=Phase.READY, exit=ENDED, pid=77, reason="see redis://u:s3cret@cache"
    )
    (report,) = stage.told()
    assert (report["component"], report["incarnation"], report["pid"]) == ("api", 2, 77)
    assert report["uptime"] == 30.5
    assert [line["message"] for line in report["lines"]] == [
        f"line {number}" for number in range(5, LINES + 5)
    ]
    assert report["resources"] == {
        "of": "process",
        "user_seconds": 1.0,
        "system_seconds": 0.5,
        "peak_memory_bytes": 2**20,
        "minor_faults": 7,
        "major_faults": 0,
    }
    assert (
        report["exit"]["message"]
        == report["reason"].replace("see", "cannot open")
        == "cannot open redis://u:***@cache"
    )
    assert report["traceback"] == "Traceback …"


def test_a_process_that_is_shared(tmp_path: Path) -> None:
    """In single mode the figures are those of the launcher's process, and say so; in a process that is not known there are none."""
    stage = Stage(tmp_path / "single", Mode.SINGLE)
    stage.publish(1, Phase.FAILED, 1.0, exit=Exit(ExitKind.RAISED, "boom"))
    assert stage.told()[0]["resources"]["of"] == "launcher"
    assert stage.told()[0]["uptime"] is None
    other = Stage(tmp_path / "multi")
    other.publish(1, Phase.FAILED, 1.0, exit=Exit(ExitKind.RAISED, "boom"))
    assert other.told()[0]["resources"] is None


def test_a_successor_that_did_not_come_up(tmp_path: Path) -> None:
    """It has a report of its own, with its own time and lines, while the one that it was to replace goes on."""
    stage = Stage(tmp_path)
    stage.publish(1, Phase.STARTING, 0.0)
    stage.publish(2, Phase.READY, 50.0, before=Phase.READY, role=Role.SUCCESSOR)
    stage.line("of the old one", 1)
    stage.line("of the new one", 2)
    stage.publish(2, Phase.READY, 53.0, before=Phase.READY, role=Role.SUCCESSOR, exit=ENDED)
    (report,) = stage.told()
    assert (report["incarnation"], report["role"], report["uptime"]) == (2, "successor", 3.0)
    assert [line["message"] for line in report["lines"]] == ["of the new one"]


def test_an_end_that_was_asked_for_is_not_reported(tmp_path: Path) -> None:
    """Nothing is written, and nothing is remembered of it."""
    stage = Stage(tmp_path)
    stage.publish(1, Phase.STARTING, 0.0)
    stage.publish(
        1, Phase.STOPPED, 1.0, before=Phase.STOPPING, exit=Exit(ExitKind.SIGNALLED, "SIGTERM", signal=15)
    )
    assert stage.told() == []


def test_a_report_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run directory without room is said when it begins; supervision goes on, and so do reports when there is room again."""
    stage = Stage(tmp_path)
    crash_dir(tmp_path).write_text("in the way")
    for number in (1, 2):
        stage.publish(number, Phase.FAILED, 1.0, exit=ENDED)
    assert [record.message for record in caplog.records] == ["cannot write a crash report: File exists"]
    crash_dir(tmp_path).unlink()
    stage.publish(3, Phase.FAILED, 1.0, exit=ENDED)
    assert [report["incarnation"] for report in stage.told()] == [3]
