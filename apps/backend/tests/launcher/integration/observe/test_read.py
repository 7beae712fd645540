"""Reading log files while they are written, rotated, removed and not there yet."""

from __future__ import annotations

import math
import os
import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.errors import UsageError
from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import BACKUPS, LogStore
from launcher.observe.read import BLOCK, Follower, follow, last, logged_components, make_filter

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.observe.read import Filter, Tail


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


LEVELS = ("", "DEBUG", "INFO", "WARNING", "ERROR")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    entries=st.lists(
        st.tuples(
            st.sampled_from(("api", "db", "worker")), st.sampled_from(LEVELS), st.text("ab", max_size=4)
        ),
        max_size=60,
    ),
    asked=st.lists(st.sampled_from(("api", "db")), unique=True),
    wanted=st.builds(
        make_filter,
        st.sampled_from(("", "info", "warn", "error")),
        st.sampled_from(("", "a", "^b", "ab$")),
        st.sampled_from((0.0, 10.0, 25.0)),
        st.sampled_from((math.inf, 40.0, 25.0, 12.0)),
    ),
    number=st.sampled_from((None, 0, 1, 5, 1000)),
)
def test_every_combination_of_what_can_be_asked(
    tmp_path: Path,
    entries: list[tuple[str, str, str]],
    asked: list[str],
    wanted: Filter,
    number: int | None,
) -> None:
    """Components, level, expression, both moments and the count together choose what a look at every single line would choose."""
    directory = tmp_path / os.urandom(8).hex()
    store = LogStore(directory, max_bytes=700, backups=100)
    lines = [
        LogLine(float(place), component, Stream.STDOUT, text, level=level)
        for place, (component, level, text) in enumerate(entries)
    ]
    for line in lines:
        store.write(line)
    store.close()
    chosen = [line for line in lines if (not asked or line.component in asked) and wanted(line)]
    expected = chosen if number is None else chosen[max(0, len(chosen) - number) :]
    assert last(directory, asked, number, wanted).lines == expected
    follower = Follower(directory, asked, {}, wanted)
    assert follower.poll() == chosen
    follower.close()


def test_what_is_asked_decides_what_is_read(
    tmp_path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last lines of a large file, and lines from the middle of its time, cost a few blocks and not the whole file."""
    writer.write(times=60_000)
    size = (tmp_path / "api.jsonl").stat().st_size
    read = 0
    pread = os.pread

    def counting(descriptor: int, length: int, offset: int) -> bytes:
        nonlocal read
        read += length
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", counting)
    assert told(last(tmp_path, (), 10)) == [str(number) for number in range(59_990, 60_000)]
    assert read <= 4 * BLOCK
    read = 0
    middle = make_filter(since=2999.95, until=3000.95)
    assert told(last(tmp_path, (), None, middle)) == [str(number) for number in range(30_000, 30_010)]
    assert read <= 20 * BLOCK < size


def test_times_out_of_order_hide_nothing(tmp_path: Path) -> None:
    """Threads of one component write a little out of order; both moments find every line all the same, in the order of the file."""
    store = LogStore(tmp_path)
    times = [number / 100 + (number * 7919 % 400) / 100 for number in range(8000)]
    for number, time in enumerate(times):
        store.write(LogLine(time, "api", Stream.STDOUT, f"{number} " + "x" * 60))
    wanted = make_filter(since=30.0, until=42.0)
    expected = [number for number, time in enumerate(times) if 30.0 <= time <= 42.0]
    assert [int(text.split()[0]) for text in told(last(tmp_path, (), None, wanted))] == expected


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    """The lines of one component are shown in the order in which they were written, whatever the clock did."""
    store = LogStore(tmp_path)
    for number, time in enumerate((100.0, 101.0, 50.0, 51.0)):
        store.write(LogLine(time, "api", Stream.STDOUT, str(number)))
        store.write(LogLine(time, "db", Stream.STDOUT, str(number)))
    tail = last(tmp_path, (), None)
    for component in ("api", "db"):
        assert [line.message for line in tail.lines if line.component == component] == ["0", "1", "2", "3"]


def test_a_follower_that_was_left_behind_says_so(tmp_path: Path) -> None:
    """Who looks so seldom that files were rotated away meanwhile is told where lines may be missing, once."""
    writer = Writer(tmp_path, max_bytes=300, backups=BACKUPS)
    writer.write()
    follower = Follower(tmp_path, ("api",), {})
    assert [line.message for line in follower.poll()] == ["0"]
    writer.write(times=2)
    assert [line.message for line in follower.poll()] == ["1", "2"]
    writer.write(times=200)
    first, *others = follower.poll()
    assert first.stream is Stream.LAUNCHER
    assert "lines may be missing here" in first.message
    assert [line.message for line in others][-1] == "202"
    writer.write()
    assert [line.message for line in follower.poll()] == ["203"]
    follower.close()


def test_what_was_written_before_a_file_was_moved_away_is_seen(tmp_path: Path, writer: Writer) -> None:
    """A file that leaves before the next look is read to its end first: moved by somebody, or rotated out of existence."""
    writer.write(times=2)
    follower = Follower(tmp_path, ("api",), {})
    assert len(follower.poll()) == 2
    writer.write()
    (tmp_path / "api.jsonl").rename(tmp_path / "elsewhere")
    Writer(tmp_path).write(message="new")
    assert [line.message for line in follower.poll()] == ["2", "new"]
    follower.close()
