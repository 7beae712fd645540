"""What ``launcher status --watch`` writes."""

from __future__ import annotations

import errno
import json
import sys
from io import StringIO
from typing import Any, cast

import pytest

from launcher.cli import watch as watching
from launcher.cli.watch import _Record, _Screen, essence
from launcher.client import Client
from launcher.documents import StatusDocument
from launcher.errors import ConnectionLost, NotRunning
from tests.launcher.unit.cli.test_render import component, status


def picture(phase: str = "ready", **changes: Any) -> StatusDocument:
    """Return a document of one component."""
    return status(component("api", phase, **{"beside": "", "loop": None, **changes}))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal of forty columns and six rows."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "6")
    return monkeypatch


def test_a_picture_is_drawn_over_the_one_before(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cursor goes up by as many lines as were drawn, and what is left of them is cleared."""
    screen = _Screen(color=False)
    screen.show(picture())
    first = capsys.readouterr().out
    assert first.startswith("\x1b[J")
    lines = first.count("\n")
    screen.show(picture("stopped", reason="x" * 100))
    second = capsys.readouterr().out
    assert second.startswith(f"\x1b[{lines}F\x1b[J")
    assert all(len(line) <= 40 for line in second.removeprefix(f"\x1b[{lines}F\x1b[J").splitlines())


def test_what_does_not_fit_is_counted(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No more lines are drawn than the terminal can take back; how many are missing is said."""
    many = status(*(component(f"c{number}", "ready") for number in range(20)))
    _Screen(color=False).show(many)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[-1] == "… 18 lines more"


def test_only_changes_are_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets the same picture once, however its times go on, and an empty line between two."""
    record = _Record(as_json=False)
    record.show(picture(seconds=1.0))
    record.show(picture(seconds=2.0, cpu=5.0))
    first = capsys.readouterr().out
    assert first.count("NAME") == 1
    record.show(picture("backoff"))
    assert capsys.readouterr().out.startswith("\nnewsdesk is ")


def test_a_record_as_json_is_one_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line is a document."""
    record = _Record(as_json=True)
    for phase in ("starting", "ready", "ready", "stopped"):
        record.show(picture(phase))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["components"][0]["phase"] for line in lines] == ["starting", "ready", "stopped"]


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "unready"},
        {"desired": "down"},
        {"incarnation": 2},
        {"pid": 42},
        {"reason": "HTTP 503"},
        {"restarts": 1},
        {"beside": "restarting"},
        {"loop": {"blocked": True}},
    ],
)
def test_what_counts_as_a_change(changes: dict[str, Any]) -> None:
    """Whatever somebody who watches would want to see."""
    assert essence(picture(**{"phase": "ready", **changes})) != essence(picture())
    assert essence(picture(cpu=3.0, memory=7, seconds=9.0)) == essence(picture())


class Closed(StringIO):
    """A terminal that was closed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, "closed")


@pytest.mark.parametrize(("number", "raised"), [(errno.EIO, BrokenPipeError), (errno.ENOSPC, OSError)])
def test_a_terminal_that_was_closed_is_a_reader_that_has_gone(
    number: int, raised: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the command quietly, like a closed pipe; a full disk does not."""
    monkeypatch.setattr(sys, "stdout", Closed(number))
    with pytest.raises(raised) as caught:
        _Record(as_json=True).show(picture())
    assert type(caught.value) is raised


class Ending:
    """The client of a launcher that ends while it answers."""

    def __init__(self) -> None:
        self.asked = 0

    def status(self, *, look: bool) -> StatusDocument:
        assert look
        self.asked += 1
        raise ConnectionLost("in the middle") if self.asked == 1 else NotRunning("nobody listens")


def test_a_launcher_that_ends_in_the_middle_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not running, like one that has ended between two questions."""
    monkeypatch.setattr(watching, "PAUSE", 0.0)
    with pytest.raises(NotRunning):
        watching.watch(cast("Client", Ending()), as_json=True, color=False)
