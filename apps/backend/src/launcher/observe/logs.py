"""The log files: one file of JSON lines per component, rotated by size, written as the lines arrive.

Writing never fails towards the caller. A full disk or an unwritable file loses lines, which are counted; it is said once per outage
through a callback, and every further line tries again.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import RunDirectoryError
from launcher.model.logs import LogLine, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BYTES = 10 * 1024 * 1024
"""Size at which a file is rotated; with ``BACKUPS`` the default of most process managers."""

BACKUPS = 5
"""Rotated files kept per component beside the current one."""

SUFFIX = ".jsonl"
UNATTRIBUTED = "launcher"
"""Name of the file for lines whose writer is not known, and for what the launcher says itself."""

RECHECK = 1.0
"""Seconds between two looks at whether a log file was removed or replaced behind our back; lines in between may be lost with it."""

_UNSAFE = re.compile(r"[/\\\x00]|^\.")


def file_name(component: str) -> str:
    """Return the name of the log file of a component."""
    return _UNSAFE.sub("_", component or UNATTRIBUTED) + SUFFIX


def encode(line: LogLine) -> bytes:
    """Return the line as one JSON object with a newline; empty fields are left out.

    Bytes that are not UTF-8 (kept as surrogates by the reader of the pipe) become JSON escapes, and values in ``extra`` that JSON
    does not know become text, so that no line can be refused.
    """
    stamp = datetime.fromtimestamp(line.time, UTC).isoformat(timespec="microseconds")
    fields: dict[str, object] = {
        "time": stamp.replace("+00:00", "Z"),
        "component": line.component,
        "stream": str(line.stream),
    }
    if line.incarnation:
        fields["incarnation"] = line.incarnation
    if line.level:
        fields["level"] = line.level
    if line.logger:
        fields["logger"] = line.logger
    fields["message"] = line.message
    if line.extra:
        fields["extra"] = _plain(line.extra)
    # A lone surrogate is written as \udcXX, which is what JSON calls it too.
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def decode(text: bytes | str) -> LogLine | None:
    """Return the line that ``encode`` wrote, or ``None`` for what is torn or foreign."""
    try:
        fields = json.loads(text)
        return LogLine(
            time=datetime.fromisoformat(fields["time"]).timestamp(),
            component=str(fields["component"]),
            stream=Stream(fields["stream"]),
            message=str(fields["message"]),
            incarnation=int(fields.get("incarnation", 0)),
            level=str(fields.get("level", "")),
            logger=str(fields.get("logger", "")),
            extra=dict(fields.get("extra", {})),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _plain(extra: Mapping[str, object]) -> dict[str, object]:
    """Return ``extra`` with everything that JSON cannot hold turned into text."""
    plain: dict[str, object] = {}
    for key, value in extra.items():
        try:
            json.dumps(value, allow_nan=False)
            plain[str(key)] = value
        except (TypeError, ValueError, RecursionError):
            plain[str(key)] = _text(value)
    return plain


def _text(value: object) -> str:
    # What a component logs may be anything, and its __str__ may raise anything.
    with contextlib.suppress(Exception):
        return str(value)
    return f"<{type(value).__name__} that cannot be shown>"


class LogStore:
    """Appends lines to the log files of a directory; safe to use from any thread.

    Attributes:
        directory: where the files are.
        lost: lines that could not be written since the start.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        max_bytes: int = MAX_BYTES,
        backups: int = BACKUPS,
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        """Make the directory ready for writing.

        Args:
            directory: made if it is missing, with access for its owner only.
            max_bytes: size at which a file is rotated.
            backups: rotated files kept per component, ``NAME.jsonl.1`` being the youngest.
            on_trouble: told once when lines begin to be lost and once when they are written again, never from inside a lock.

        Raises:
            RunDirectoryError: the directory cannot be made or written to.
        """
        self.directory = Path(directory)
        self.lost = 0
        self._max_bytes = max_bytes
        self._backups = backups
        self._on_trouble = on_trouble
        # This lock and those of the files are reentrant: the collector may run while one is held, and what it collects may print or log,
        # which comes here again.
        self._lock = threading.RLock()
        self._files: dict[str, _File] = {}
        self._closed = False
        self._prove_writable()

    def write(self, line: LogLine) -> None:
        """Append one line to the file of its component; never raises."""
        with contextlib.suppress(Exception):
            name = file_name(line.component)
            file = self._files.get(name) or self._open(name)
            if file is not None:
                self._tell(file.append(encode(line)))

    def close(self) -> None:
        """Close all files; lines that come later are dropped."""
        with self._lock:
            self._closed = True
            files, self._files = list(self._files.values()), {}
        for file in files:
            with contextlib.suppress(Exception):
                self._tell(file.close())

    def _open(self, name: str) -> _File | None:
        with self._lock:
            if self._closed:
                return None
            return self._files.setdefault(name, _File(self.directory / name, self._max_bytes, self._backups))

    def _prove_writable(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(_open_for_append(self.directory / file_name("")))
        except OSError as error:
            raise RunDirectoryError(
                f"cannot write logs to {self.directory}: {error.strerror or error}",
                hint="make the directory writable, or choose another one with launcher.log_dir",
            ) from error

    def _tell(self, outcome: _Outcome | None) -> None:
        if outcome is None:
            return
        if outcome.lost:
            with self._lock:
                self.lost += outcome.lost
        if outcome.said and self._on_trouble is not None:
            self._on_trouble(outcome.said)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of lines that were not simply written: what is to be said of it, and how many are lost that were not counted yet."""

    said: str
    lost: int = 0


class _File:
    """One log file with its rotated predecessors."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._limit = max_bytes
        self._backups = backups
        self._lock = threading.RLock()
        self._fd = -1
        self._size = 0
        self._checked = 0.0
        self._torn = False
        self._lost = 0
        self._unseen = 0
        self._gone = 0

    def append(self, data: bytes) -> _Outcome | None:
        """Write one line; returns ``None`` when there is nothing to tell."""
        with self._lock:
            try:
                self._prepare(len(data))
                self._write(data)
            except OSError as error:
                return self._failed(error)
            self._unseen += 1
            return self._recovered() if self._lost or self._gone else None

    def close(self) -> _Outcome | None:
        """Let go of the file; tell of an outage that has not ended."""
        with self._lock:
            self._release()
            return _Outcome(f"{self._path} is not written; lines lost: {self._lost}") if self._lost else None

    def _recovered(self) -> _Outcome:
        lost, gone, self._lost, self._gone = self._lost, self._gone, 0, 0
        if not gone:
            return _Outcome(f"{self._path} is written again; lines lost: {lost}")
        return _Outcome(
            f"{self._path} was removed and is made anew; lines lost: at most {lost + gone}", lost=gone
        )

    def _prepare(self, coming: int) -> None:
        """Have the right file open: not removed behind our back, and with room for ``coming`` bytes."""
        now = time.monotonic()
        if self._fd >= 0 and now - self._checked >= RECHECK:
            self._checked = now
            if not self._in_place():
                self._gone += self._unseen if os.fstat(self._fd).st_nlink == 0 else 0
                self._release()
            self._unseen = 0
        if self._fd < 0:
            self._open(now)
        if self._size and self._size + coming > self._limit:
            self._release()
            limit = self._limit
            try:
                self._rotate()
            except OSError:
                # Better a file that is too large than lost lines; try again a tenth later.
                limit += self._max_bytes // 10 + coming
            self._open(now)
            self._limit = limit if self._size else self._max_bytes

    def _open(self, now: float) -> None:
        try:
            self._fd = _open_for_append(self._path)
        except FileNotFoundError:  # the directory was removed as well
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = _open_for_append(self._path)
        self._size = os.fstat(self._fd).st_size
        self._checked = now

    def _in_place(self) -> bool:
        """Whether the open file is still the one that the path names."""
        try:
            named = self._path.stat()
        except OSError:
            return False
        held = os.fstat(self._fd)
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def _write(self, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data
        written = os.write(self._fd, data)
        self._size += written
        # A full disk may take a part of a line: it is ended before the next one, and readers skip it.
        self._torn = written < len(data) if written else self._torn
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _rotate(self) -> None:
        if self._backups < 1:
            self._path.unlink()
            return
        names = [
            self._path,
            *(self._path.with_name(f"{self._path.name}.{number + 1}") for number in range(self._backups)),
        ]
        for younger, older in reversed(list(itertools.pairwise(names))):
            with contextlib.suppress(FileNotFoundError):
                younger.replace(older)
        self._torn = False

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _failed(self, error: OSError) -> _Outcome:
        self._lost += 1
        if self._lost > 1:
            return _Outcome("", lost=1)
        reason = error.strerror or str(error)
        return _Outcome(f"cannot write {self._path}: {reason}; lines are lost until it works again", lost=1)


def _open_for_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
