"""Who said it: standard output, standard error and logging, attributed to components by context."""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from launcher.components.identity import CURRENT, NOBODY, Identity
from launcher.components.lines import LineBuffer
from launcher.model.logs import LogLine, Stream, clipped

_PLAIN_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
"""Attributes that every log record has (or uvicorn adds for terminals); what a record has beyond them was given as ``extra``."""

_emitting = threading.local()
"""Set while a line is handed on: whoever prints meanwhile reaches the real stream, instead of going round in circles."""


class _Bytes(io.RawIOBase):
    """The ``buffer`` of a routed stream: bytes take the same way as text."""

    def __init__(self, text: RoutedStream) -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._text.route(piece)
        return len(piece)


class RoutedStream(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``: complete lines go to whoever collects them, with the name of the component.

    Each component and thread has a line of its own in the making, so that two of them never mix within a line.
    """

    def __init__(
        self, stream: Stream, original: TextIO, emit: Callable[[LogLine], None], fallback: Identity
    ) -> None:
        super().__init__()
        self._stream = stream
        self._original = original
        self._emit = emit
        self._fallback = fallback
        self._partial: dict[tuple[Identity, int], LineBuffer] = {}
        self._raw = _Bytes(self)

    @property
    def buffer(self) -> io.RawIOBase:
        """Takes bytes."""
        return self._raw

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed declares a plain attribute; io defines a property
        """Always UTF-8, as lines are text for us."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # as above
        """How bytes that are not UTF-8 are shown."""
        return "backslashreplace"

    def writable(self) -> bool:
        """Return true."""
        return True

    def isatty(self) -> bool:
        """Return false: lines are collected, not shown on a terminal."""
        return False

    def fileno(self) -> int:
        """Return the descriptor of the real stream, for code that needs one."""
        return self._original.fileno()

    def reconfigure(self, **_options: object) -> None:
        """Accept what a text stream accepts; nothing changes."""

    def write(self, text: str, /) -> int:
        """Take text; lines are handed on when they are complete."""
        self.route(text)
        return len(text)

    def route(self, piece: str | bytes) -> None:
        """Take text or bytes of the running component."""
        if getattr(_emitting, "on", False):
            self._original.write(
                piece if isinstance(piece, str) else piece.decode("utf-8", "backslashreplace")
            )
            return
        identity = CURRENT.get()
        key = (identity, threading.get_ident())
        buffer = self._partial.setdefault(key, LineBuffer())
        lines = buffer.feed_bytes(piece) if isinstance(piece, bytes) else buffer.feed(piece)
        if lines:
            self._hand_on(identity, lines)
        if not buffer:
            self._partial.pop(key, None)

    def end(self, identity: Identity | None = None) -> None:
        """Hand on the unfinished lines of a component that is over, or of all."""
        for key in list(self._partial):
            if identity is None or key[0] == identity:
                buffer = self._partial.pop(key, None)
                if buffer is not None:
                    self._hand_on(key[0], buffer.flush())

    def _hand_on(self, identity: Identity, lines: Iterable[str]) -> None:
        owner = self._fallback if identity == NOBODY else identity
        now = time.time()
        for line in lines:
            self._emit(LogLine(now, owner.component, self._stream, line, owner.incarnation))


class RecordHandler(logging.Handler):
    """Turns log records into lines with component, level, logger and extra fields."""

    def __init__(self, emit: Callable[[LogLine], None], fallback: Identity) -> None:
        super().__init__()
        self._emit = emit
        self._fallback = fallback
        self.setFormatter(logging.Formatter("%(message)s"))

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand on a record that passes the filters, without the lock that handlers take.

        Whoever takes lines has locks of its own, and a finaliser may log on any thread, also on one that holds such a lock: with two
        locks, two threads could wait for each other for ever.
        """
        passed: Any = self.filter(record)  # from Python 3.12 on also a record to be used instead
        if passed:
            self.emit(record if passed is True else passed)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record; a record that cannot be formatted is logging's own to complain about."""
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001  # as every handler of logging does
            self.handleError(record)
            return
        if getattr(_emitting, "on", False):
            print(message, file=sys.__stderr__)
            return
        identity = CURRENT.get()
        owner = self._fallback if identity == NOBODY else identity
        extra = {name: _plain(value) for name, value in vars(record).items() if name not in _PLAIN_RECORD}
        line = LogLine(
            record.created,
            owner.component,
            Stream.LOG,
            clipped(message),
            owner.incarnation,
            record.levelname,
            record.name,
            extra,
        )
        self._emit(line)


def _plain(value: object, depth: int = 3) -> object:
    """Return a value of JSON's types; whatever else is given as ``extra`` becomes its ``repr``."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if depth and isinstance(value, Mapping):
        return {str(key): _plain(each, depth - 1) for key, each in value.items()}
    if depth and isinstance(value, (list, tuple)):
        return [_plain(each, depth - 1) for each in value]
    return repr(value)


class Capture:
    """Catches everything that is printed or logged in this process, from `install` to `remove`.

    Args:
        emit: where lines go; called from any thread.
        level: lowest level of log records that are kept, by name.
        fallback: whose output it is when nobody knows: nobody's, or, in a process with one component, that component's.
    """

    def __init__(self, emit: Callable[[LogLine], None], level: str, fallback: Identity = NOBODY) -> None:
        self._collector = emit
        self._level = level
        self._fallback = fallback
        self._before: tuple[TextIO, TextIO, list[logging.Handler], int] | None = None
        self._streams: tuple[RoutedStream, ...] = ()

    def install(self) -> None:
        """Begin; to be done before code of the user is imported, since it may keep a reference to ``sys.stdout``."""
        root = logging.getLogger()
        self._before = (sys.stdout, sys.stderr, root.handlers[:], root.level)
        out = RoutedStream(Stream.STDOUT, sys.stdout, self.emit, self._fallback)
        err = RoutedStream(Stream.STDERR, sys.stderr, self.emit, self._fallback)
        self._streams = (out, err)
        sys.stdout, sys.stderr = out, err
        root.handlers[:] = [RecordHandler(self.emit, self._fallback)]
        if (
            root.level != logging.getLevelNamesMapping()[self._level]
        ):  # setting it touches every logger there is
            root.setLevel(self._level)

    def emit(self, line: LogLine) -> None:
        """Hand on one line; what is printed or logged on the way goes to the real streams."""
        _emitting.on = True
        try:
            self._collector(line)
        finally:
            _emitting.on = False

    def end(self, identity: Identity) -> None:
        """A life is over: what it printed without an end of line is handed on."""
        for stream in self._streams:
            stream.end(identity)

    def say(self, identity: Identity, message: str, level: str = "WARNING") -> None:
        """Say something about a component in its own log."""
        self.emit(
            LogLine(
                time.time(), identity.component, Stream.LAUNCHER, message, identity.incarnation, level=level
            )
        )

    def remove(self) -> None:
        """End; the real streams and the earlier handlers are back."""
        if self._before is None:
            return
        for stream in self._streams:
            stream.end()
        root = logging.getLogger()
        sys.stdout, sys.stderr, root.handlers[:], level = self._before
        root.setLevel(level)
        self._before = None
