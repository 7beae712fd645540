"""The two ways in: the socket file that only its owner can open, and a port of this machine for those who know a token."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from launcher.errors import BindFailed, RunDirectoryError
from launcher.model.spec import API_ADDRESS
from launcher.probes.ports import explain_bind_error
from launcher.web.access import Access
from launcher.web.routes import reach_of
from launcher.web.sessions import Sessions
from launcher.web.unix import ELSEWHERE, bind_private, identity, remove_own

if TYPE_CHECKING:
    from launcher.web.messages import Request

TOKEN_FILE = "api.token"  # noqa: S105 (a name)
"""Name of the file in the run directory that holds the token, for as long as the launcher runs."""

BACKLOG = 128
"""Connections that may wait to be accepted."""


class Door(Protocol):
    """Where clients come in, and who of them may."""

    def open(self) -> socket.socket:
        """Return a socket that listens.

        Raises:
            LauncherError: there can be none.
        """
        ...

    def close(self) -> None:
        """Take away what shows the way here; the socket itself is closed by whoever has it."""
        ...

    def admit(self, request: Request) -> Request:
        """Return the request, with what its handler may know of the door.

        Raises:
            Refusal: whoever sent it may not.
        """
        ...


class SocketFile:
    """The control socket: whoever can open the file may do everything.

    Args:
        path: of the socket; a file that is there is taken for a leftover and replaced, since the lock of the run directory decides who may
            serve.
        port: the other door, for which this one gives out codes.
    """

    def __init__(self, path: str | os.PathLike[str], port: LoopbackPort | None = None) -> None:
        self._path = Path(path)
        self._own: tuple[int, int] | None = None
        self._port = port

    def open(self) -> socket.socket:
        """Bind the socket file; see ``bind_private``."""
        listener = bind_private(self._path)
        self._own = identity(self._path)
        return listener

    def close(self) -> None:
        """Remove the socket file."""
        remove_own(self._path, self._own)

    def admit(self, request: Request) -> Request:
        """Let everybody in who got here."""
        return replace(request, sessions=self._port.sessions if self._port is not None else None)


class LoopbackPort:
    """A port of the loopback interface: whoever knows the token may do everything, see ``launcher.web.access``.

    Args:
        number: of the port; 0 lets the system choose.
        token_file: where the token is written to, readable for its owner only.
    """

    def __init__(self, number: int, token_file: Path) -> None:
        self._number = number
        self._token_file = token_file
        self._own: tuple[int, int] | None = None
        self._access: Access | None = None
        self.sessions: Sessions | None = None

    def open(self) -> socket.socket:
        """Bind the port and write a new token."""
        # Known as TCP, asyncio sends small answers without delay; see launcher.supervisor.sockets.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((API_ADDRESS, self._number))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            reason, _ = explain_bind_error(error, API_ADDRESS, self._number)
            raise BindFailed(
                f"cannot serve the control interface: {reason}",
                hint="choose another port with --api PORT or [launcher] api",
            ) from error
        port = int(listener.getsockname()[1])
        token = secrets.token_urlsafe(32)
        try:
            self._write(token)
        except OSError as error:
            listener.close()
            message = f"cannot write {self._token_file}: {error.strerror or error}"
            raise RunDirectoryError(message, hint=ELSEWHERE) from error
        self.sessions = Sessions(f"http://{API_ADDRESS}:{port}")
        self._access = Access(token, port, self.sessions)
        return listener

    def close(self) -> None:
        """Remove the token."""
        remove_own(self._token_file, self._own)

    def admit(self, request: Request) -> Request:
        """Let those in who have the token or a session, and others to what is open to everybody."""
        if self._access is None:
            raise RuntimeError("a request before the port was opened")
        self._access.admit(request, reach_of(request.path))
        return replace(request, sessions=self.sessions)

    def _write(self, token: str) -> None:
        """Write the token in one step: whoever finds the file finds all of it, and nobody else could ever open it."""
        unfinished = self._token_file.with_name(f"{self._token_file.name}.new")
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{token}\n")
        unfinished.replace(self._token_file)
        self._own = identity(self._token_file)
