"""``launcher status --watch``: a terminal shows the present, a pipe gets what has changed."""

from __future__ import annotations

import errno
import gc
import json
import shutil
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from launcher.cli.render import is_blocked, status_lines
from launcher.errors import ConnectionLost, ExitCode

if TYPE_CHECKING:
    from launcher.client import Client
    from launcher.documents import StatusDocument

PAUSE = 1.0
"""Seconds between two looks; the launcher reads its processes every other time."""

HOME = "\x1b[{}F"
"""To the beginning of the line so many lines up (ECMA-48, CPL)."""

CLEAR_BELOW = "\x1b[J"
"""From here to the end of the screen (ECMA-48, ED)."""


def watch(client: Client, *, as_json: bool, color: bool) -> int:
    """Show the status until Ctrl-C.

    Raises:
        NotRunning: no launcher is running, or it has ended meanwhile.
    """
    gc.enable()  # this lasts, unlike other short commands
    screen: _Screen | _Record = (
        _Screen(color=color) if sys.stdout.isatty() and not as_json else _Record(as_json=as_json)
    )
    try:
        while True:
            with suppress(ConnectionLost):  # the next question finds nobody, and that is what is to be said
                screen.show(client.status(look=True))
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        return ExitCode.OK


class _Screen:
    """Draws each picture over the one before."""

    def __init__(self, *, color: bool) -> None:
        self._color = color
        self._drawn = 0

    def show(self, status: StatusDocument) -> None:
        columns, rows = shutil.get_terminal_size()
        lines = status_lines(status, color=self._color, columns=columns, cut=True)
        if len(lines) > rows - 1:  # what has left the screen cannot be drawn over
            lines = [*lines[: max(1, rows - 2)], f"… {len(lines) - max(1, rows - 2)} lines more"]
        back = HOME.format(self._drawn) if self._drawn else ""
        _write(back + CLEAR_BELOW + "".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)


class _Record:
    """Writes each picture that differs from the one before: as a table after an empty line, or as one line of JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._told: Any = None

    def show(self, status: StatusDocument) -> None:
        now = essence(status)
        if now == self._told:
            return
        if self._json:
            text = json.dumps(status, ensure_ascii=False)
        else:
            text = "\n".join([*([""] if self._told is not None else []), *status_lines(status)])
        self._told = now
        _write(f"{text}\n")


def _write(text: str) -> None:
    """Write at once.

    Raises:
        BrokenPipeError: nobody reads any more: the pipe or the terminal was closed.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EIO:
            raise BrokenPipeError from None
        raise


def essence(status: StatusDocument) -> list[tuple[Any, ...]]:
    """Return what counts as a change: not what grows by itself, such as times and memory."""
    whole = [(status["launcher"]["state"],)]
    components = [
        (
            item["name"],
            item["phase"],
            item["desired"],
            item["incarnation"],
            item["pid"],
            item["reason"],
            item["restarts"],
            item.get("beside"),
            is_blocked(item),
        )
        for item in status["components"]
    ]
    return [*whole, *components, *((item["name"], item["up"]) for item in status["dependencies"])]
