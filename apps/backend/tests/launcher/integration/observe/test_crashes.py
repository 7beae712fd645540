"""Crash reports on a real file system."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.observe.crashes import KEPT, crash_dir, read, reports, write


def report(component: str = "api", number: int = 1) -> dict[str, object]:
    time = f"2026-11-27T18:{number // 60:02}:{number % 60:02}.000Z"
    return {"component": component, "incarnation": number, "time": time, "lines": ["caf\udce9"]}


def test_a_report_is_read_back(tmp_path: Path) -> None:
    """What was written is there, for its owner only; bytes that are no text do not keep it from being written."""
    path = write(crash_dir(tmp_path), report())
    document = read(path)
    assert document is not None
    assert (document["component"], document["incarnation"]) == ("api", 1)
    assert json.loads(path.read_text())["lines"] == ["caf\udce9"]
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_latest_few_of_each_component_are_kept(tmp_path: Path) -> None:
    """However often one component crashes, it displaces its own reports only, and the oldest first."""
    write(tmp_path, report("db"))
    for number in range(1, KEPT + 6):
        write(tmp_path, report("api", number))
    own = [read(path) for path in reports(tmp_path, "api")]
    assert [each and each["incarnation"] for each in own] == list(range(KEPT + 5, 5, -1))
    assert len(reports(tmp_path)) == KEPT + 1
    assert not list(tmp_path.glob("*.new"))


def test_a_name_that_begins_like_another_is_another(tmp_path: Path) -> None:
    """The reports of an agent are not those of its entry."""
    write(tmp_path, report("agents.writer"))
    assert reports(tmp_path, "agents") == []
    assert len(reports(tmp_path, "agents.writer")) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "\udc80"])
def test_what_is_no_report(tmp_path: Path, text: str) -> None:
    """Foreign and damaged files, and missing ones, are no reports."""
    path = tmp_path / "api@x-1.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read(path) is None
    assert read(tmp_path / "missing.json") is None
    assert reports(tmp_path / "nowhere") == []
