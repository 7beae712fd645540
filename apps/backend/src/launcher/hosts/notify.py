"""The receiving end of ``sd_notify(3)``: a command says by itself how it stands."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LONGEST_PATH = 107
"""Bytes that a path of a unix socket may have (``sun_path`` is 108 with its final zero, unix(7))."""

LONGEST_STATUS = 200
"""Characters of a status that are kept: it becomes a line in a table."""

_DATAGRAM = 4096


class Said(NamedTuple):
    """What one message says. ``MAINPID`` and others have no meaning here: a command is known by its session, not by one process.

    Attributes:
        ready: it is ready, for the first time or again.
        away: it takes no work for now: ``reloading`` or ``stopping``; else empty.
        status: a line for people; may be empty.
    """

    ready: bool = False
    away: str = ""
    status: str = ""


def said(message: bytes) -> Said:
    """Read one message: lines of ``NAME=VALUE``, of which the unknown are ignored."""
    fields = dict(line.partition("=")[::2] for line in message.decode("utf-8", "replace").split("\n"))
    away = [word for word in ("stopping", "reloading") if fields.get(word.upper()) == "1"]
    status = "".join(letter for letter in fields.get("STATUS", "") if letter.isprintable())
    return Said(fields.get("READY") == "1", away[0] if away else "", status.strip()[:LONGEST_STATUS])


class NotifySocket:
    """A datagram socket that calls back with every message.

    It lies in the run directory, which only its owner may enter, or, where that path is too long, in the abstract namespace under a name that cannot
    be guessed.

    Attributes:
        address: value for ``NOTIFY_SOCKET``.
    """

    def __init__(self, run_dir: str, on_said: Callable[[Said], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_said = on_said
        self._path: Path | None = None
        token = secrets.token_hex(16)
        path = Path(run_dir, f"notify-{token[:8]}.sock") if run_dir and Path(run_dir).is_dir() else None
        if path is None or len(os.fsencode(path)) > LONGEST_PATH:
            path = None if sys.platform == "linux" else Path("/tmp", f"launcher-{token}.sock")  # noqa: S108  # cannot be guessed
        self.address = str(path) if path is not None else f"@launcher-{token}"
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind(self.address if path is not None else f"\0{self.address[1:]}")
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_DATAGRAM)
        except OSError:
            return
        self._on_said(said(data))

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
