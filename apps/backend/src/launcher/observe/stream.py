"""Read the log files as one stream that can be broken off and gone on with, in pieces of bounded size.

A position is one short text: for each file, which one it is and how far it was read. It holds nothing that lives in this process, so that it
survives a restart of the launcher, a rotation, and a directory that was copied. A file is told by a mark, a checksum of its first line: inode
numbers are given out again, names move on when files are rotated, but a first line, with its time in microseconds, is written once.
"""

from __future__ import annotations

import heapq
import os
import re
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from launcher.core.names import stands_for
from launcher.observe.logs import SUFFIX, decode, file_name
from launcher.observe.read import BLOCK, DISORDER, end_of_lines, logged_components, opened_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from launcher.model.logs import LogLine

MOST_LINES = 500
"""Lines that are returned at a time."""

LEAST = 4 * 1024
"""Bytes of each log that are read at a time, where there are many; all logs together have a block, about as much as is returned."""

LOOK_BACK = 8 * 1024 * 1024
"""Bytes of each component's log in which its last lines are looked for; scanning that takes a few tenths of a second."""

MARKED = 256
"""Bytes of the first line that make the mark; its time and component are in the first hundred."""

_PART = re.compile(r"([^:,]+):([0-9a-f]{8}):([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Place:
    """How far one log was read: the file by its mark, and bytes, always to the beginning of a line."""

    mark: str
    offset: int


def encode_position(places: Mapping[str, Place]) -> str:
    """Return a position as text, made of characters that a header and a query may hold."""
    return "@" + ",".join(f"{_quoted(name)}:{place.mark}:{place.offset}" for name, place in places.items())


@lru_cache(1024)
def _quoted(name: str) -> str:
    return quote(name, safe="")


def decode_position(text: str) -> dict[str, Place]:
    """Return what ``encode_position`` made.

    Raises:
        ValueError: it is nothing of the kind.
    """
    if not text.startswith("@"):
        raise ValueError(text)
    places: dict[str, Place] = {}
    for part in filter(None, text[1:].split(",")):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(text)
        places[unquote(found[1])] = Place(found[2], int(found[3]))
    return places


@dataclass(frozen=True, slots=True)
class Found:
    """One line, as it stands in the file, and the position behind it."""

    text: bytes
    position: str


@dataclass(frozen=True, slots=True)
class Portion:
    """What was read at a time.

    Attributes:
        lost: components whose log has lost what was to be read next.
    """

    lines: tuple[Found, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """One line of a file: ``text`` is empty when nobody wants it."""

    time: float
    name: str
    place: Place
    text: bytes


@dataclass(slots=True)
class _File:
    descriptor: int
    mark: str
    end: int


class LogReader:
    """Reads on from a position.

    Args:
        directory: of the log files; need not exist yet.
        wanted: components, as ``stands_for`` takes them; empty for all, also for those that appear later.
        accepts: whether a line is wanted.
        places: where to begin; logs that are not in it are read from their beginning.
    """

    def __init__(
        self,
        directory: Path,
        wanted: Sequence[str],
        accepts: Callable[[LogLine], bool],
        places: Mapping[str, Place] | None = None,
    ) -> None:
        self._directory = directory
        self._wanted = [file_name(text).removesuffix(SUFFIX) for text in wanted]
        self._accepts = accepts
        self._places = dict(places or {})
        self._exhausted: dict[str, tuple[int, int]] | None = None
        self._ends: dict[str, Place] | None = None

    @property
    def position(self) -> str:
        """From where to go on after what was read."""
        return encode_position(self._places)

    def begin(self, count: int, since: float = 0.0) -> None:
        """Move to the last ``count`` wanted lines of all logs together, as far as they are not older than ``since``.

        Args:
            count: how many lines.
            since: seconds since the epoch.
        """
        tails: dict[str, _Tail] = {}
        chosen: list[tuple[float, int, str]] = []
        for name in self._names():
            # What is older than the lines that are chosen so far need not be looked at.
            oldest = -chosen[-1][0] if chosen and len(chosen) == count else since
            tails[name] = self._tail(name, count, max(since, oldest))
            keys = [(-key, index, name) for index, (key, _) in enumerate(tails[name].found)]
            chosen = heapq.nsmallest(count, [*chosen, *keys])
            numbers = Counter(name for _, _, name in chosen)
            for each, tail in tails.items():
                del tail.found[numbers[each] :]
        for name, tail in tails.items():
            place = tail.found[-1][1] if tail.found else tail.end
            if place is not None:
                self._places[name] = place

    def end(self) -> None:
        """Read no further than to where the logs end now."""
        self._ends = {
            name: end for name in self._names() if (end := self._tail(name, 0, 0.0).end) is not None
        }

    def changed(self) -> bool:
        """Whether there may be something to read; costs a look at each file."""
        return self._exhausted is None or self._exhausted != self._sizes()

    def read(self) -> Portion:
        """Return the next lines, nearly in order of time, and in each log in the order in which they were written."""
        sizes = self._sizes()
        lost: list[str] = []
        runs: list[list[_Read]] = []
        horizon = inf
        names = self._names()
        size = max(LEAST, BLOCK // max(1, len(names)))
        for name in names:
            run, more, gap = self._next_of(name, size)
            lost += [name] if gap else []
            runs.append(run)
            if more:
                # What is later than this waits, until as much is read of the log that lags behind.
                horizon = min(horizon, max(read.time for read in run))
        lines, complete = self._merged(runs, horizon)
        self._exhausted = sizes if complete and horizon == inf else None
        return Portion(tuple(lines), tuple(lost))

    def _merged(self, runs: Sequence[Sequence[_Read]], horizon: float) -> tuple[list[Found], bool]:
        """Move on through all logs at once; false with the lines when some of what was read is left for the next time."""
        lines: list[Found] = []
        for read in heapq.merge(*runs, key=attrgetter("time")):
            if read.time > horizon or len(lines) >= MOST_LINES:
                return lines, False
            self._places[read.name] = read.place
            if read.text:
                lines.append(Found(read.text, self.position))
        return lines, True

    # -- one log --

    def _names(self) -> list[str]:
        return [
            name
            for name in logged_components(self._directory)
            if not self._wanted or any(stands_for(text, name) for text in self._wanted)
        ]

    def _sizes(self) -> dict[str, tuple[int, int]]:
        sizes: dict[str, tuple[int, int]] = {}
        for name in self._names():
            try:
                found = (self._directory / (name + SUFFIX)).stat()
            except OSError:
                continue
            sizes[name] = found.st_ino, found.st_size
        return sizes

    def _next_of(self, name: str, size: int) -> tuple[list[_Read], bool, bool]:
        """Return the next lines of one log, whether there are more, and whether some before them are lost."""
        with _chain(self._directory / (name + SUFFIX)) as chain:
            files = self._before_end(name, chain)
            if not files:
                return [], False, False
            place = self._places.get(name)
            index = next((i for i, file in enumerate(files) if place and file.mark == place.mark), None)
            gap = place is not None and (index is None or place.offset > files[index].end)
            if place is None or index is None or gap:
                index, offset = len(files) - 1, 0
            else:
                offset = place.offset
            if gap:
                self._places[name] = Place(
                    files[index].mark, offset
                )  # told once, even if nothing of it is read now
            left = [(file, offset if i == index else 0) for i, file in enumerate(files[: index + 1])][::-1]
            for number, (file, start) in enumerate(left):
                if start < file.end:
                    block = _block(file.descriptor, start, file.end, size)
                    more = start + len(block) < file.end or number + 1 < len(left)
                    return self._lines(name, file.mark, start, block), more, gap
            return [], False, gap

    def _before_end(self, name: str, files: list[_File]) -> list[_File]:
        """Leave out what is beyond the end."""
        if self._ends is None:
            return files
        end = self._ends.get(name, Place("", 0))
        index = next((i for i, file in enumerate(files) if file.mark == end.mark), len(files))
        for file in files[index : index + 1]:
            file.end = min(file.end, end.offset)
        return files[index:]

    def _lines(self, name: str, mark: str, start: int, block: bytes) -> list[_Read]:
        reads: list[_Read] = []
        time = 0.0
        for text in block.split(b"\n")[:-1]:
            start += len(text) + 1
            line = decode(text)
            time = time if line is None else line.time
            wanted = line is not None and self._accepts(line)
            reads.append(_Read(time, name, Place(mark, start), text if wanted else b""))
        return reads

    def _tail(self, name: str, count: int, since: float) -> _Tail:
        """Return the last wanted lines of one log, newest first, each with a time that is not later than that of the next."""
        tail = _Tail()
        left, key = LOOK_BACK, inf
        with _chain(self._directory / (name + SUFFIX)) as files:
            if files:
                tail.end = Place(files[0].mark, files[0].end)
            for file in files:
                for start, text in _backwards(file.descriptor, file.end):
                    left -= len(text)
                    line = decode(text)
                    if len(tail.found) >= count or left < 0 or (line and line.time < since - DISORDER):
                        return tail
                    if line is not None and self._accepts(line):
                        key = min(key, line.time)
                        tail.found.append((key, Place(file.mark, start)))
        return tail


@dataclass(slots=True)
class _Tail:
    """The last lines of one log by time and place, and where it ends; no place before its first line."""

    found: list[tuple[float, Place]] = field(default_factory=list)
    end: Place | None = None


@contextmanager
def _chain(path: Path) -> Iterator[list[_File]]:
    """Open a log file and its predecessors that hold lines, youngest first."""
    opened = opened_chain(path)
    try:
        files = [_File(descriptor, _mark(descriptor), end_of_lines(descriptor)) for descriptor, _ in opened]
        yield [file for file in files if file.end]
    finally:
        for descriptor, _ in opened:
            os.close(descriptor)


def _mark(descriptor: int) -> str:
    first, _, _ = os.pread(descriptor, MARKED, 0).partition(b"\n")
    return f"{zlib.crc32(first):08x}"


def _block(descriptor: int, start: int, end: int, size: int) -> bytes:
    """Return whole lines from ``start`` on: as many as fit into ``size`` bytes, or one that is longer."""
    while True:
        data = os.pread(descriptor, min(size, end - start), start)
        cut = data.rfind(b"\n")
        if cut >= 0 or len(data) < min(size, end - start):
            return data[: cut + 1]
        size *= 2


def _backwards(descriptor: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines before ``end`` with their offsets, last first."""
    rest = b""
    while end > 0:
        start = max(0, end - BLOCK)
        data = os.pread(descriptor, end - start, start) + rest
        cut = 0 if start == 0 else data.find(b"\n") + 1
        rest = data[:cut] if start else b""
        offset = start + len(data)
        for text in reversed(data[cut:].split(b"\n")[:-1]):
            offset -= len(text) + 1
            yield offset, text
        end = start
