"""Log files as one stream that is broken off and gone on with, while they are written and rotated."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import LogStore
from launcher.observe.read import make_filter
from launcher.observe.stream import MOST_LINES, LogReader, Place, decode_position, encode_position


class Writer:
    """Writes numbered lines, a tenth of a second apart in their own time unless told otherwise."""

    def __init__(self, directory: Path, max_bytes: int = 10_000_000, backups: int = 50) -> None:
        self.store = LogStore(directory, max_bytes=max_bytes, backups=backups)
        self.numbers = count()

    def write(self, component: str = "api", times: int = 1, *, shift: float = 0.0, message: str = "") -> None:
        for _ in range(times):
            number = next(self.numbers)
            self.store.write(LogLine(number / 10 + shift, component, Stream.STDOUT, message or str(number)))


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def everything(_line: LogLine) -> bool:
    return True


def reader_at(directory: Path, position: str = "@", *wanted: str) -> LogReader:
    return LogReader(directory, wanted, everything, decode_position(position))


def messages(reader: LogReader) -> list[str]:
    """Everything there is to read."""
    told: list[str] = []
    while lines := reader.read().lines:
        told += [json.loads(found.text)["message"] for found in lines]
    return told


def test_the_last_lines_of_all_together(tmp_path: Path, writer: Writer) -> None:
    """As many as are asked for, in order of time, of the components that are named."""
    for number in range(20):
        writer.write(("api", "db", "agents.x")[number % 3])
    for wanted, number, told in [
        ((), 5, ["15", "16", "17", "18", "19"]),
        (("db",), 2, ["16", "19"]),
        (("agents",), 2, ["14", "17"]),
        (("a*",), 3, ["15", "17", "18"]),
        ((), 0, []),
        ((), 99, [str(n) for n in range(20)]),
        (("nobody",), 5, []),
    ]:
        reader = LogReader(tmp_path, wanted, everything)
        reader.begin(number)
        assert messages(reader) == told
    reader = LogReader(tmp_path, (), everything)
    reader.begin(99, since=1.75)
    assert "17" in messages(reader)


def test_filters_leave_no_trace(tmp_path: Path, writer: Writer) -> None:
    """Lines that are not wanted are passed over, also when counting, and the position moves on."""
    for number in range(30):
        writer.write(message=f"m{number}")
    accepts = make_filter(since=0.95)
    reader = LogReader(tmp_path, (), lambda line: accepts(line) and line.message.endswith("5"))
    reader.begin(1)
    assert messages(reader) == ["m25"]
    writer.write(times=3, message="no")
    before = reader.position
    assert messages(reader) == []
    assert reader.position != before
    assert messages(reader_at(tmp_path, reader.position)) == []


def test_lines_out_of_order_are_counted_once(tmp_path: Path, writer: Writer) -> None:
    """Threads write lines of one log slightly out of order: the last ones are still exactly as many as asked for."""
    for number in range(40):
        writer.write("ab"[number % 2], shift=-0.35 * (number % 4 == 0))
    for number in range(1, 41):
        reader = LogReader(tmp_path, (), everything)
        reader.begin(number)
        assert len(messages(reader)) == number


def test_a_look_costs_nothing_while_nothing_is_written(tmp_path: Path, writer: Writer) -> None:
    """A reader knows whether there may be something new."""
    reader = LogReader(tmp_path / "none", (), everything)
    assert messages(reader) == []
    assert not reader.changed()
    reader = LogReader(tmp_path, (), everything)
    reader.begin(10)
    assert messages(reader) == []
    assert not reader.changed()
    writer.write("late")
    assert reader.changed()
    assert messages(reader) == ["0"]
    assert not reader.changed()


def test_what_is_read_at_a_time_is_bounded(tmp_path: Path, writer: Writer) -> None:
    """A log that is far behind is read in pieces; one that lags holds the others back, so that times hardly go back."""
    writer.write("slow", times=3000)
    writer.write("slow", message="x" * 200_000)
    writer.write("late", times=10)
    reader = reader_at(tmp_path)
    sizes = []
    told: list[str] = []
    while lines := reader.read().lines:
        sizes.append(len(lines))
        told += [json.loads(found.text)["message"] for found in lines]
    assert max(sizes) <= MOST_LINES
    assert len(reader_at(tmp_path, "@", "slow").read().lines) == MOST_LINES
    assert told[:3000] == [str(n) for n in range(3000)]
    assert told[3001:] == [str(n) for n in range(3001, 3011)]


def test_a_position_survives_copies_and_reuse_of_inodes(tmp_path: Path) -> None:
    """A file is known by its first line, not by where it is or what number the file system gave it."""
    Writer(tmp_path / "one").write(times=10)
    reader = LogReader(tmp_path / "one", (), everything)
    reader.begin(5)
    portion = reader.read()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert messages(reader_at(tmp_path / "two", portion.lines[2].position)) == ["8", "9"]


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path, writer: Writer) -> None:
    """A line that is being written waits; what is no line of ours is left out."""
    writer.write()
    path = tmp_path / "api.jsonl"
    with path.open("ab") as file:
        file.write(b'not ours\r\n\xff\xfe\n{"time": "2026')
    reader = reader_at(tmp_path)
    assert messages(reader) == ["0"]
    with path.open("ab") as file:
        file.write(b'"}\n')
    assert messages(reader) == []
    writer.write()
    assert messages(reader) == ["1"]


def test_what_was_rotated_away_is_told(tmp_path: Path) -> None:
    """A position that no file holds any more is a gap, told once; then comes all that is kept."""
    writer = Writer(tmp_path, max_bytes=400, backups=2)
    writer.write(times=3)
    reader = reader_at(tmp_path)
    assert messages(reader) == ["0", "1", "2"]
    position = reader.position
    writer.write(times=50)
    portion = reader.read()
    assert portion.lost == ("api",)
    kept = [json.loads(found.text)["message"] for found in portion.lines] + messages(reader)
    assert kept == [str(n) for n in range(int(kept[0]), 53)]
    assert int(kept[0]) > 3
    later = reader_at(tmp_path, position)
    assert later.read().lost == ("api",)
    assert later.read().lost == ()


def test_a_log_that_was_emptied_is_told(tmp_path: Path, writer: Writer) -> None:
    """Whoever truncates a log takes lines from its readers, and they are told so."""
    writer.write(times=3)
    reader = reader_at(tmp_path)
    messages(reader)
    (tmp_path / "api.jsonl").write_bytes(b"")
    assert reader.read().lost == ()
    writer.write()
    portion = reader.read()
    assert portion.lost == ("api",)
    assert [json.loads(found.text)["message"] for found in portion.lines] == ["3"]


def test_an_end_is_where_the_logs_end_now(tmp_path: Path) -> None:
    """What is written later is not read, not even after a rotation or in a log that is new; so a reader comes to an end beside any writer."""
    writer = Writer(tmp_path, max_bytes=400)
    writer.write(times=10)
    reader = reader_at(tmp_path)
    reader.end()
    writer.write(times=20)
    writer.write("late")
    assert messages(reader) == [str(n) for n in range(10)]
    assert messages(reader) == []


@pytest.mark.parametrize("text", ["", "api:0:0", "@api", "@api:xyz:0", "@api:00000000:-1", "@a:00000000:1,b"])
def test_what_is_no_position(text: str) -> None:
    """It is refused."""
    with pytest.raises(ValueError):
        decode_position(text)


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.builds(Place, st.integers(0, 2**32 - 1).map("{:08x}".format), st.integers(0, 10**15 - 1)),
    )
)
def test_positions_are_texts(places: dict[str, Place]) -> None:
    """Whatever components are called, a position is a text that headers and lines can hold, and is read back."""
    text = encode_position(places)
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    assert decode_position(text) == places


STEPS = st.lists(
    st.tuples(st.just("write"), st.sampled_from("abc"), st.integers(1, 12), st.sampled_from([0.0, -0.25]))
    | st.tuples(st.just("read"), st.integers(0, 40)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 10))
def test_every_line_arrives_once(
    steps: list[tuple[str, int] | tuple[str, str, int, float]], count: int
) -> None:
    """Broken off after any line, through rotations: whoever goes on from its position gets each later line once, in the order of its log."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        writer = Writer(place, max_bytes=600, backups=500)
        writer.write("a", times=5)
        reader = LogReader(place, (), everything)
        reader.begin(count)
        position = reader.position
        told: list[tuple[str, str]] = []
        for step in [*steps, ("read", 10**6)]:
            if step[0] == "write" and len(step) == 4:
                writer.write(step[1], times=step[2], shift=step[3])
                continue
            left = step[1]
            while isinstance(left, int) and left > 0:
                # A new reader each time: whoever follows has lost the connection.
                portion = LogReader(place, (), everything, decode_position(position)).read()
                assert portion.lost == ()
                for found in portion.lines[:left]:
                    document = json.loads(found.text)
                    told.append((document["component"], document["message"]))
                    position = found.position
                left = left - len(portion.lines) if portion.lines else 0
        written: dict[str, list[str]] = defaultdict(list)
        for path in sorted(
            place.glob("*.jsonl*"),
            key=lambda path: -int(path.suffix[1:] if path.suffix[1:].isdecimal() else 0),
        ):
            for line in path.read_text().splitlines():
                written[json.loads(line)["component"]].append(json.loads(line)["message"])
        written["a"] = written["a"][5 - min(5, count) :]
        arrived: dict[str, list[str]] = defaultdict(list)
        for component, message in told:
            arrived[component].append(message)
        assert arrived == {name: lines for name, lines in written.items() if lines}
