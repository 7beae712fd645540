"""The way to a terminal, pipe or file that may be slow, full or gone, without ever making the backend wait for it.

A thread of its own writes. Log lines are dropped, and counted, while the reader cannot keep up; what the launcher itself says is never
dropped. After the first ``EPIPE`` or ``EIO`` (the terminal was closed) nothing is written any more.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque

from launcher.observe.text import clip

PENDING = 1024 * 1024
"""Characters of log lines that may wait for a slow reader before lines are dropped."""

PATIENCE = 0.5
"""Longest pause of the writing thread on a descriptor that is not ready (set non-blocking by another program), in seconds."""

CLEAR_LINE = "\r\x1b[K"


class Terminal:
    """Standard output and standard error as one ordered screen; safe to use from any thread, and never raises or blocks.

    Attributes:
        redraws: whether standard error is a terminal whose last line can be drawn again.
        dropped: log lines that were dropped because the reader was too slow.
    """

    def __init__(self, out: int = 1, err: int = 2, pending: int = PENDING) -> None:
        """Take over two descriptors; they are duplicated, so that what happens to the originals later does not matter.

        Args:
            out: descriptor for the lines of components.
            err: descriptor for what the launcher says.
            pending: characters of log lines that may wait.
        """
        self.redraws = _redrawable(err)
        self.dropped = 0
        self._limit = pending
        self._fds = {False: _duplicate(out), True: _duplicate(err)}
        self._changed = threading.Condition()
        self._queue: deque[tuple[bool, bool, str]] = deque()
        self._waiting = 0
        self._unsaid = 0
        self._status = ""
        self._drawn = ""
        self._busy = False
        self._closing = False
        self._ended = False
        self._last_one_out = False
        self._thread: threading.Thread | None = None

    def write(self, text: str, *, error: bool = False, droppable: bool = False) -> None:
        """Write whole lines.

        Args:
            text: ends with a newline.
            error: to standard error instead of standard output.
            droppable: may be left out when the reader is too slow.
        """
        with self._changed:
            if self._closing:
                return
            if droppable and self._waiting + len(text) > self._limit:
                self.dropped += 1
                self._unsaid += 1
                return
            if droppable:
                self._waiting += len(text)
                self._mention_dropped(error=error)
            self._queue.append((error, droppable, text))
            self._wake()

    def status(self, text: str) -> None:
        """Show ``text`` as the last line and draw it again below whatever is written; empty removes it."""
        if not self.redraws:
            return
        with self._changed:
            if text != self._status and not self._closing:
                self._status = text
                self._wake()

    def close(self, timeout: float = 1.0) -> None:
        """Write what is left, for at most ``timeout`` seconds, and end the thread; later writes are dropped."""
        with self._changed:
            if self._closing:
                return
            self._status = ""
            self._mention_dropped(error=True)
            self._wake()
            deadline = time.monotonic() + timeout
            while self._queue or self._busy or self._drawn:
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    break
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            if thread is None or self._ended:
                self._let_go()
            else:  # it still sits in a write: closing the descriptors under it could hit somebody else's
                self._last_one_out = True

    # -- under the lock --

    def _let_go(self) -> None:
        for fd in self._fds.values():
            if fd >= 0:
                os.close(fd)
        self._fds = {False: -1, True: -1}

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="console", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _mention_dropped(self, *, error: bool) -> None:
        if self._unsaid:
            count, self._unsaid = self._unsaid, 0
            self._queue.append(
                (error, False, f"… lines not shown because the terminal is too slow: {count}\n")
            )

    # -- the thread --

    def _run(self) -> None:
        self._write_on()
        with self._changed:
            self._ended = True
            if self._last_one_out:
                self._let_go()

    def _write_on(self) -> None:
        with contextlib.suppress(Exception):
            while True:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
                    while not self._queue and self._status == self._drawn and not self._closing:
                        self._changed.wait()
                    if self._closing:
                        return
                    batch = list(self._queue)
                    self._queue.clear()
                    self._waiting = 0
                    status = self._status
                    self._busy = True
                self._show(batch, status)

    def _show(self, batch: list[tuple[bool, bool, str]], status: str) -> None:
        """Write a batch in order, with the status line taken away before and drawn again after."""
        if self._drawn:
            self._send(error=True, text=CLEAR_LINE)
        run: list[str] = []
        channel = False
        for error, _, text in batch:
            if error is not channel and run:
                self._send(error=channel, text="".join(run))
                run = []
            channel = error
            run.append(text)
        if run:
            self._send(error=channel, text="".join(run))
        if status:
            self._send(error=True, text=clip(status, _columns(self._fds[True]) - 1))
        with self._changed:
            self._drawn = status

    def _send(self, *, error: bool, text: str) -> None:
        fd = self._fds[error]
        data = memoryview(text.encode("utf-8", "replace"))
        while data and fd >= 0 and not self._closing:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:
                select.select((), (fd,), (), PATIENCE)
            except OSError:
                os.close(fd)
                fd = self._fds[error] = -1


def _duplicate(fd: int) -> int:
    try:
        return os.dup(fd)
    except OSError:
        return -1


def _redrawable(fd: int) -> bool:
    try:
        return os.isatty(fd) and os.environ.get("TERM", "") not in ("", "dumb")
    except OSError:
        return False


def _columns(fd: int) -> int:
    try:
        return os.get_terminal_size(fd).columns or 80
    except OSError:
        return 80
