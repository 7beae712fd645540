"""Reading log files while they are written, rotated, removed and not there yet."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest

from launcher.errors import UsageError
from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import LogStore
from launcher.observe.read import Follower, follow, last, logged_components, make_filter

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.observe.read import Tail


class Writer:
    """Writes numbered lines, a tenth of a second apart in their own time."""

    def __init__(self, directory: Path, max_bytes: int = 10_000_000, backups: int = 50) -> None:
        self.store = LogStore(directory, max_bytes=max_bytes, backups=backups)
        self.numbers = count()

    def write(self, component: str = "api", times: int = 1, **fields: str) -> None:
        for _ in range(times):
            number = next(self.numbers)
            message = fields.get("message", str(number))
            line = LogLine(number / 10, component, Stream.STDOUT, message, level=fields.get("level", ""))
            self.store.write(line)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def told(tail: Tail) -> list[str]:
    return [line.message for line in tail.lines]


def test_components_are_merged_by_time(tmp_path: Path, writer: Writer) -> None:
    """The last lines of all components together, in order."""
    for number in range(20):
        writer.write(("api", "db", "worker")[number % 3])
    assert told(last(tmp_path, (), 5)) == ["15", "16", "17", "18", "19"]
    assert told(last(tmp_path, ("db",), 2)) == ["16", "19"]
    assert told(last(tmp_path, (), None)) == [str(number) for number in range(20)]
    assert last(tmp_path, ("nobody",), 5).lines == []
    assert logged_components(tmp_path) == ["api", "db", "launcher", "worker"]


def test_rotated_files_are_read_too(tmp_path: Path) -> None:
    """More lines than the current file has are found in its predecessors."""
    Writer(tmp_path, max_bytes=400).write(times=50)
    assert (tmp_path / "api.jsonl.3").exists()
    assert told(last(tmp_path, (), 30)) == [str(number) for number in range(20, 50)]


def test_long_files_and_long_lines(tmp_path: Path, writer: Writer) -> None:
    """Lines that cross blocks of the reader are whole."""
    writer.write(message="x" * 200_000)
    writer.write(times=3000)
    writer.write(message="ü" * 70_000)
    assert told(last(tmp_path, (), 2)) == ["3000", "ü" * 70_000]
    assert told(last(tmp_path, (), None))[0] == "x" * 200_000


def test_filters(tmp_path: Path, writer: Writer) -> None:
    """Level, expression and time; plain output counts as INFO."""
    writer.write(message="debug", level="DEBUG")
    writer.write(message="plain")
    writer.write(message="warn a", level="WARNING")
    writer.write(message="error b", level="ERROR")
    assert told(last(tmp_path, (), 9, make_filter(level="info"))) == ["plain", "warn a", "error b"]
    assert told(last(tmp_path, (), 9, make_filter(level="warn"))) == ["warn a", "error b"]
    assert told(last(tmp_path, (), 9, make_filter(grep="a$|plain"))) == ["plain", "warn a"]
    assert told(last(tmp_path, (), 9, make_filter(since=0.25))) == ["error b"]
    assert told(last(tmp_path, (), 1, make_filter(grep="a"))) == ["warn a"]


@pytest.mark.parametrize(("level", "grep"), [("loud", ""), ("", "(")])
def test_filters_that_cannot_be(level: str, grep: str) -> None:
    """A mistyped level or expression is an error with a hint."""
    with pytest.raises(UsageError) as caught:
        make_filter(level, grep)
    assert caught.value.hint


def test_torn_lines_are_skipped(tmp_path: Path, writer: Writer) -> None:
    """A line that is being written is left for later; damage in the middle hides nothing else."""
    writer.write(times=2)
    with (tmp_path / "api.jsonl").open("ab") as file:
        file.write(b'{"time": "2026\n')
    writer.write()
    with (tmp_path / "api.jsonl").open("ab") as file:
        file.write(b'{"time": "1970-01-01T00:00:09Z", "component": "api", ')
    tail = last(tmp_path, (), 9)
    assert told(tail) == ["0", "1", "2"]
    follower = Follower(tmp_path, (), tail.positions)
    assert follower.poll() == []
    with (tmp_path / "api.jsonl").open("ab") as file:
        file.write(b'"stream": "stdout", "message": "whole"}\n')
    assert [line.message for line in follower.poll()] == ["whole"]
    follower.close()


@pytest.mark.parametrize("per_poll", [1, 3, 7, 25])
def test_following_survives_rotations(tmp_path: Path, per_poll: int) -> None:
    """Any number of rotations between two looks: every line once, in order."""
    writer = Writer(tmp_path, max_bytes=300)
    writer.write(times=5)
    tail = last(tmp_path, (), 2)
    follower = Follower(tmp_path, (), tail.positions)
    seen: list[str] = told(tail)
    for _ in range(8):
        writer.write(times=per_poll)
        seen += [line.message for line in follower.poll()]
    follower.close()
    assert seen == [str(number) for number in range(3, 5 + 8 * per_poll)]


def test_following_what_is_not_there_yet(tmp_path: Path) -> None:
    """Directory and files may appear later; a new component is noticed when all are followed."""
    directory = tmp_path / "logs"
    everything, one = Follower(directory, (), {}), Follower(directory, ("db",), {})
    assert everything.poll() == one.poll() == []
    writer = Writer(directory)
    writer.write("api")
    writer.write("db")
    assert [line.message for line in everything.poll()] == ["0", "1"]
    assert [line.message for line in one.poll()] == ["1"]
    everything.close()
    one.close()


def test_following_a_file_that_was_emptied_or_replaced(tmp_path: Path, writer: Writer) -> None:
    """`> file` and `rm file` do not end the stream."""
    writer.write(times=3)
    follower = Follower(tmp_path, (), last(tmp_path, (), 0).positions)
    writer.write()
    assert [line.message for line in follower.poll()] == ["3"]
    (tmp_path / "api.jsonl").write_text("")
    writer.write()
    assert [line.message for line in follower.poll()] == ["4"]
    (tmp_path / "api.jsonl").unlink()
    assert follower.poll() == []
    again = Writer(tmp_path)
    again.write(message="new file")
    assert [line.message for line in follower.poll()] == ["new file"]
    follower.close()


def test_reading_while_threads_write_and_rotate(tmp_path: Path) -> None:
    """A reader beside a busy writer sees every line once."""
    writer = Writer(tmp_path, max_bytes=2000, backups=200)
    thread = threading.Thread(target=writer.write, kwargs={"times": 2000})
    thread.start()
    follower = Follower(tmp_path, ("api",), {})
    seen = [int(line.message) for line in follow(follower, ended=lambda: not thread.is_alive(), poll=0.001)]
    thread.join()
    follower.close()
    assert seen == list(range(2000))
