"""What ``launcher crash`` prints."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.cli import crash
from launcher.errors import UsageError
from launcher.observe.crashes import crash_dir, write


def report(incarnation: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "component": "api",
        "incarnation": incarnation,
        "time": f"2026-11-27T18:04:{incarnation:02}.120Z",
        "before": "ready",
        "after": "backoff",
        "exit": {"message": "ValueError: bad day", "hint": "have a better one"},
        "uptime": 83.5,
        "restarts": 2,
        "resources": {
            "of": "process",
            "user_seconds": 1.2,
            "system_seconds": 0.3,
            "peak_memory_bytes": 64 * 2**20,
            "minor_faults": 900,
            "major_faults": 1,
        },
        "traceback": "Traceback\n  line 1\n",
        "lines": [{"time": 1.7e9, "stream": "log", "level": "ERROR", "message": "one\x1b[2J\ntwo"}],
        **more,
    }


def shown(capsys: pytest.CaptureFixture[str], directory: Path, *words: str) -> str:
    """Run the command in a project whose reports are below this directory."""
    parser = argparse.ArgumentParser()
    crash.configure(parser, "crash")
    (directory / "launcher.toml").write_text('[launcher]\nrun_dir = "run"\n')
    crash.run(parser.parse_args([*words, "--file", str(directory / "launcher.toml")]))
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown as they are where the user is; here that is Greenwich."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_a_crash_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who, when, why, what to do, what was used, the traceback and the last lines, with nothing that could harm a terminal."""
    write(crash_dir(tmp_path / "run"), report())
    assert shown(capsys, tmp_path, "api").splitlines() == [
        "crash of api",
        "  incarnation  3, after 1 min 24 s, restarts so far: 2",
        "  ended        2026-11-27 18:04:03, ready -> backoff",
        "  why          ValueError: bad day",
        "  hint         have a better one",
        "  used         CPU 1.50 s, at most 64 MiB of memory, page faults 900 and 1 with reading",
        "  traceback:",
        "    Traceback",
        "      line 1",
        "  last lines:",
        "    22:13:20.000 ERROR one",
        "    two",
    ]


def test_little_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not known is left out; what was used by many is said to be."""
    ended = {"message": "exited with 1", "hint": ""}
    write(
        crash_dir(tmp_path / "run"),
        report(1, exit=ended, uptime=None, resources=None, traceback="", lines=[]),
    )
    assert shown(capsys, tmp_path, "api").splitlines() == [
        "crash of api",
        "  incarnation  1, after -, restarts so far: 2",
        "  ended        2026-11-27 18:04:01, ready -> backoff",
        "  why          exited with 1",
    ]
    shared = {**report()["resources"], "of": "launcher"}
    write(crash_dir(tmp_path / "run"), report(2, resources=shared))
    assert "(all of the process that it shared)" in shown(capsys, tmp_path, "api")


def test_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Youngest first; several of one component are shown oldest first; an empty list says so."""
    assert shown(capsys, tmp_path) == "nothing has crashed\n"
    for incarnation in (1, 2, 3):
        write(crash_dir(tmp_path / "run"), report(incarnation))
    assert [line.split()[3] for line in shown(capsys, tmp_path).splitlines()[1:]] == ["3", "2", "1"]
    several = shown(capsys, tmp_path, "api", "-n", "2").splitlines()
    assert [line.split()[1] for line in several if "incarnation" in line] == ["2,", "3,"]


@pytest.mark.parametrize("words", [("apy",), ("api", "-n", "0")])
def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """A name without a crash, and a number that is none."""
    write(crash_dir(tmp_path / "run"), report())
    with pytest.raises(UsageError) as caught:
        shown(capsys, tmp_path, *words)
    assert caught.value.hint
