"""Read the log files of several components as one stream, with or without a running launcher.

``last`` reads from the ends of the files, so that its cost depends on what is asked for and not on what is kept. ``Follower`` goes on from
there, through rotations, and finds files that appear later.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import os
import re
import time
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from launcher.errors import UsageError
from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import BACKUPS, SUFFIX, decode, file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path


POLL = 0.1
"""Seconds between two looks at the files while following."""

BLOCK = 64 * 1024

DISORDER = 5.0
"""Seconds by which lines of one file may be out of order, since several threads write them."""

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

PLAIN_LEVEL = LEVELS["INFO"]
"""What a line without a level counts as."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines are wanted.

    Attributes:
        level: lowest level, as a number of ``LEVELS``; lines without a level count as INFO.
        pattern: regular expression that the message must contain.
        since: earliest time, in seconds since the epoch.
        until: latest time, in seconds since the epoch.
    """

    level: int = 0
    pattern: re.Pattern[str] | None = None
    since: float = 0.0
    until: float = math.inf

    def __call__(self, line: LogLine) -> bool:
        """Whether the line is wanted."""
        if (
            not self.since <= line.time <= self.until
            or LEVELS.get(line.level.upper(), PLAIN_LEVEL) < self.level
        ):
            return False
        return self.pattern is None or self.pattern.search(line.message) is not None


def make_filter(level: str = "", grep: str = "", since: float = 0.0, until: float = math.inf) -> Filter:
    """Return a filter from what was typed.

    Raises:
        UsageError: there is no such level, or the expression is not a regular expression.
    """
    name = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(level.upper(), level.upper())
    if name and name not in LEVELS:
        raise UsageError(f'there is no level "{level}"', hint=f"levels: {', '.join(LEVELS).lower()}")
    try:
        pattern = re.compile(grep) if grep else None
    except re.error as error:
        raise UsageError(
            f'"{grep}" is not a regular expression: {error}', hint="put a backslash before special characters"
        ) from None
    return Filter(LEVELS.get(name, 0), pattern, since, until)


def logged_components(directory: Path) -> list[str]:
    """Return the names of the components that have a log file, sorted; empty when there is no directory."""
    try:
        return sorted(
            path.name.removesuffix(SUFFIX) for path in directory.iterdir() if path.name.endswith(SUFFIX)
        )
    except OSError:
        return []


EVERYTHING = Filter()

Opened: TypeAlias = tuple[int, tuple[int, int]]
"""A descriptor, and the device and inode of its file."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far one log file was read.

    Attributes:
        identity: device and inode of the file.
        offset: bytes read; always at the beginning of a line.
    """

    identity: tuple[int, int] = (0, 0)
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines in order of time, and where to go on for each file name."""

    lines: list[LogLine]
    positions: dict[str, Position] = field(default_factory=dict)


def last(directory: Path, components: Sequence[str], count: int | None, wanted: Filter = EVERYTHING) -> Tail:
    """Return the last wanted lines of several components together.

    Args:
        directory: of the log files.
        components: whose lines; all that have a file when empty.
        count: how many lines in all; ``None`` for every line there is.
        wanted: which lines count.
    """
    found: list[list[LogLine]] = []
    positions: dict[str, Position] = {}
    for name in [file_name(component) for component in components or logged_components(directory)]:
        own, positions[name] = _last_of(directory / name, count, wanted)
        found.append(own)
    lines = _merged(found)
    return Tail(lines if count is None else lines[max(0, len(lines) - count) :], positions)


def _merged(lines: Sequence[Sequence[LogLine]]) -> list[LogLine]:
    """Return the lines of several files by time; those of one file stay in their order, whatever the clock did."""
    return list(heapq.merge(*lines, key=attrgetter("time")))


def _last_of(path: Path, count: int | None, wanted: Filter) -> tuple[list[LogLine], Position]:
    """Return the last lines of one component, oldest first, and the end of what was there."""
    found: list[LogLine] = []
    opened = opened_chain(path)
    try:
        ends = [end_of_lines(descriptor) for descriptor, _ in opened]
        for line in _newest_first(opened, ends, wanted):
            if count is not None and len(found) >= count:
                break
            if wanted(line):
                found.append(line)
        position = Position(opened[0][1], ends[0]) if opened else Position()
    finally:
        for descriptor, _ in opened:
            os.close(descriptor)
    found.reverse()
    return found, position


def _newest_first(opened: Sequence[Opened], ends: Sequence[int], wanted: Filter) -> Iterator[LogLine]:
    """Yield the lines, without most of those that are too young or too old; the filter is still to be asked."""
    for (descriptor, _), end in zip(opened, ends, strict=True):
        for text in _backwards(descriptor, _end_of_time(descriptor, end, wanted.until)):
            line = decode(text)
            if line is None:
                continue
            if line.time < wanted.since - DISORDER:
                return
            yield line


def _end_of_time(descriptor: int, end: int, until: float) -> int:
    """Return where a line begins that is too young, as are all behind it; found by halving, since lines are nearly in order."""
    low = 0
    if math.isinf(until):
        return end
    while end - low > BLOCK:
        middle = (low + end) // 2
        block = os.pread(descriptor, min(BLOCK, end - middle), middle)
        _, _, rest = block.partition(b"\n")
        line = decode(rest.partition(b"\n")[0])
        if line is not None and line.time > until + DISORDER:
            begin = middle + len(block) - len(rest)
            if begin >= end:
                break
            end = begin
        else:  # also in the middle of a line longer than a block: then more is read than needed
            low = middle
    return end


def opened_chain(path: Path) -> list[Opened]:
    """Open the current file and its predecessors, youngest first.

    All are opened before any is read, and each only once, so that a rotation in between neither repeats nor skips anything. A rotation
    leaves a gap of one name for a moment, so the search ends at the second name in a row that is missing.
    """
    opened: list[Opened] = []
    number = missing = 0
    while missing < 2:
        name = path.with_name(f"{path.name}.{number}") if number else path
        number += 1
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            missing += 1
            continue
        missing = 0
        identity = _identity(os.fstat(descriptor))
        if any(known == identity for _, known in opened):
            os.close(descriptor)
        else:
            opened.append((descriptor, identity))
    return opened


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def end_of_lines(descriptor: int) -> int:
    """Return the offset behind the last newline; what follows is a line that is being written."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - BLOCK)
        cut = os.pread(descriptor, end - start, start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        end = start
    return 0


def _backwards(descriptor: int, end: int) -> Iterator[bytes]:
    """Yield the lines before ``end``, last first."""
    rest = b""
    while end > 0:
        start = max(0, end - BLOCK)
        lines = (os.pread(descriptor, end - start, start) + rest).split(b"\n")
        rest = lines[0]
        yield from (line for line in reversed(lines[1:]) if line)
        end = start
    if rest:
        yield rest


class Follower:
    """Reads what is appended to the log files of some or all components; close it after use."""

    def __init__(
        self,
        directory: Path,
        components: Sequence[str],
        positions: Mapping[str, Position],
        wanted: Filter = EVERYTHING,
    ) -> None:
        """Begin where ``last`` ended.

        Args:
            directory: of the log files; need not exist yet.
            components: whose lines; all that have a file, now or later, when empty.
            positions: where to begin; files that are not in it are read from their beginning.
            wanted: which lines count.
        """
        self._directory = directory
        self._names = [file_name(component) for component in components]
        self._positions = dict(positions)
        self._held: dict[str, int] = {}
        self._wanted = wanted

    def poll(self) -> list[LogLine]:
        """Return the wanted lines that were written since the last call, in order of time."""
        names = self._names or [name + SUFFIX for name in logged_components(self._directory)]
        return _merged([self._new_in(name) for name in names])

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _new_in(self, name: str) -> list[LogLine]:
        path = self._directory / name
        position = self._positions.setdefault(name, Position())
        try:
            found = path.stat()
        except OSError:
            return []
        if _identity(found) == position.identity and found.st_size == position.offset:
            return []
        lines: list[LogLine] = []
        opened = opened_chain(path)
        try:
            for descriptor, start, end in self._to_read(name, opened):
                texts = (decode(text) for text in _forwards(descriptor, start, end))
                lines += [line for line in texts if line is not None and self._wanted(line)]
                if descriptor == self._held.get(name) and _rotated_away(descriptor, opened):
                    lines.append(_missing(name, os.fstat(descriptor).st_mtime))
            if opened:
                self._hold(name, opened[0][0])
        finally:
            for descriptor, _ in opened:
                os.close(descriptor)
        return lines

    def _to_read(self, name: str, opened: Sequence[Opened]) -> list[tuple[int, int, int]]:
        """Return what is new, oldest first, as descriptors with offsets; the position moves to the end of the current file."""
        position = self._positions[name]
        known = [identity for _, identity in opened]
        index = known.index(position.identity) if position.identity in known else len(opened)
        ends = [end_of_lines(descriptor) for descriptor, _ in opened[: index + 1]]
        new = [(descriptor, 0, end) for (descriptor, _), end in zip(opened, ends, strict=False)]
        if index < len(opened):
            descriptor, _, end = new[index]
            # A file that became shorter was emptied in place: it is read from its beginning.
            start = position.offset if position.offset <= os.fstat(descriptor).st_size else 0
            new[index] = (descriptor, start, end)
        elif name in self._held:
            # It was removed, moved elsewhere, or rotated away; what had been written to it by then is still there.
            before = self._held[name]
            new.append((before, position.offset, end_of_lines(before)))
        if opened:
            self._positions[name] = Position(known[0], ends[0])
        return new[::-1]

    def _hold(self, name: str, descriptor: int) -> None:
        """Keep the current file open: as long as it is, no other file can get its inode number."""
        before = self._held.get(name)
        self._held[name] = os.dup(descriptor)
        if before is not None:
            os.close(before)


def _rotated_away(descriptor: int, opened: Sequence[Opened]) -> bool:
    """Whether a file is gone because there were too many younger ones; then others may have gone after it, unread."""
    return os.fstat(descriptor).st_nlink == 0 and len(opened) > BACKUPS


def _missing(name: str, when: float) -> LogLine:
    text = "lines may be missing here: they were rotated away before they could be followed"
    return LogLine(when, name.removesuffix(SUFFIX), Stream.LAUNCHER, text, level="WARNING")


def _forwards(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    rest = b""
    while start < end:
        block = os.pread(descriptor, min(BLOCK, end - start), start)
        if not block:
            return
        start += len(block)
        *lines, rest = (rest + block).split(b"\n")
        yield from (line for line in lines if line)


def follow(follower: Follower, ended: Callable[[], bool], poll: float = POLL) -> Iterator[LogLine]:
    """Yield lines as they are written, until ``ended`` says so; what was written before that still comes.

    Args:
        follower: where to read.
        ended: asked once per look.
        poll: seconds between two looks.
    """
    while True:
        over = ended()
        yield from follower.poll()
        if over:
            return
        with contextlib.suppress(InterruptedError):
            time.sleep(poll)
