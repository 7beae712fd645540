"""Talk to a running launcher from another process: synchronous, typed, and cheap to import.

The exchange is HTTP/1.1 over the unix socket, one request per connection. It is written out here because ``http.client`` imports TLS and
e-mail parsing, which would take longer than everything else that a short command does.
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any, NoReturn, cast

from launcher.errors import (
    AlreadyRunning,
    CommandFailed,
    ExitCode,
    LauncherError,
    NotRunning,
    UnknownComponent,
    UsageError,
    WaitTimeout,
)

if TYPE_CHECKING:
    from launcher.documents import ComponentDocument, StatusDocument

ANSWER_TIMEOUT = 5.0
"""Seconds that the launcher may take for what needs no waiting; its loop never blocks, so that this is a sign of great distress."""

LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that are read at most."""

BY_EXIT_CODE: dict[int, type[LauncherError]] = {
    ExitCode.USAGE: UsageError,
    ExitCode.NOT_RUNNING: NotRunning,
    ExitCode.ALREADY_RUNNING: AlreadyRunning,
    ExitCode.TIMEOUT: WaitTimeout,
}


class ConnectionLost(CommandFailed):
    """The launcher ended before it had answered."""


class Client:
    """The commands of a running launcher.

    Every method raises ``NotRunning`` when nobody listens on the socket, ``ConnectionLost`` when the launcher ends in the middle, and
    otherwise the error that the launcher answered with: ``UnknownComponent``, ``WaitTimeout``, ``CommandFailed`` or ``UsageError``.
    """

    def __init__(
        self, socket_path: str | os.PathLike[str], *, answer_timeout: float = ANSWER_TIMEOUT
    ) -> None:
        """Prepare to talk; nothing is opened yet.

        Args:
            socket_path: of the launcher's control socket.
            answer_timeout: seconds that the launcher may take beyond the time that a command may wait.
        """
        self.socket_path = os.fspath(socket_path)
        self._answer_timeout = answer_timeout

    def status(self) -> StatusDocument:
        """Return the status document."""
        return cast("StatusDocument", self.request("GET", "/status"))

    def history(self) -> list[dict[str, Any]]:
        """Return the transitions that only the launcher knows, oldest first."""
        return cast("list[dict[str, Any]]", self.request("GET", "/history")["transitions"])

    def component(self, name: str) -> ComponentDocument:
        """Return the document of one component."""
        return cast("ComponentDocument", self.request("GET", f"/components/{quoted(name)}"))

    def start(self, name: str, timeout: float | None = None) -> ComponentDocument:
        """Start a component and what it needs; returns when it is ready or has completed.

        Args:
            name: of the component.
            timeout: seconds; by default as long as the declaration of the component allows.
        """
        return self._command(name, "start", timeout)

    def stop(self, name: str, timeout: float | None = None) -> ComponentDocument:
        """Stop a component; returns when nothing of it is left. Arguments as for ``start``."""
        return self._command(name, "stop", timeout)

    def restart(self, name: str, timeout: float | None = None) -> ComponentDocument:
        """Restart a component; returns when its new incarnation is ready. Arguments as for ``start``."""
        return self._command(name, "restart", timeout)

    def scale(self, name: str, replicas: int, timeout: float | None = None) -> list[ComponentDocument]:
        """Run another number of replicas; returns all of them when new ones are ready and others gone.

        Args:
            name: of the component, as it is declared.
            replicas: how many there are to be, at least 1.
            timeout: as for ``start``.
        """
        query = {"replicas": str(replicas)}
        path = f"/components/{quoted(name)}/scale"
        answer = self.request("POST", path, query, timeout=timeout, waits=True)
        return cast("list[ComponentDocument]", answer["components"])

    def wait(self, name: str, condition: str = "ready", timeout: float | None = None) -> dict[str, Any]:
        """Return the document of the component when it is ``ready``, ``stopped`` or ``completed``.

        With the condition ``settled`` the name is empty and the status document is returned, once the start of the whole backend is over.
        """
        query = {"for": condition, **({"component": name} if name else {})}
        return self.request("GET", "/wait", query, timeout=timeout, waits=True)

    def shutdown(self) -> StatusDocument:
        """Begin to stop the whole backend; returns at once."""
        return cast("StatusDocument", self.request("POST", "/shutdown"))

    def request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        timeout: float | None = None,
        waits: bool = False,
    ) -> dict[str, Any]:
        """Send one request and return the document of its answer.

        Args:
            method: of HTTP.
            path: already quoted.
            query: not yet quoted.
            timeout: seconds that the launcher is asked to wait at most.
            waits: the request waits for something, so that without a timeout the launcher decides when it answers.
        """
        parameters = dict(query or {})
        if timeout is not None:
            parameters["timeout"] = f"{timeout:g}"
        patience = None if waits and timeout is None else (timeout or 0.0) + self._answer_timeout
        target = (
            path
            + ("?" if parameters else "")
            + "&".join(f"{key}={quoted(value)}" for key, value in parameters.items())
        )
        status, body = self._exchange(f"{method} {target}", patience)
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise CommandFailed(
                f"cannot understand the answer of {self.socket_path}",
                hint="is it the socket of a launcher of another version?",
            )
        if status >= 400:
            _raise(status, document)
        return document

    def _command(self, name: str, verb: str, timeout: float | None) -> ComponentDocument:
        answer = self.request("POST", f"/components/{quoted(name)}/{verb}", timeout=timeout, waits=True)
        return cast("ComponentDocument", answer)

    # -- bytes --

    def _exchange(self, line: str, patience: float | None) -> tuple[int, bytes]:
        """Return status code and body."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            self._connect(connection)
            try:
                head = f"{line} HTTP/1.1\r\nHost: launcher\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                connection.sendall(head.encode("ascii"))
                return _received(connection, patience)
            except TimeoutError:
                raise CommandFailed(
                    f"the launcher did not answer within {patience or 0.0:g} s",
                    hint="it may be stopped or overloaded; its process ends with: launcher down, or kill",
                ) from None
            except OSError as error:
                raise ConnectionLost(
                    f"the launcher ended before it had answered: {error.strerror or error}"
                ) from error

    def _connect(self, connection: socket.socket) -> None:
        connection.settimeout(self._answer_timeout)
        try:
            connection.connect(self.socket_path)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            message = f"no launcher is running (nobody listens on {self.socket_path})"
            raise NotRunning(message, hint="start one with: launcher up") from None
        except PermissionError:
            raise CommandFailed(
                f"cannot open {self.socket_path}: it belongs to another user",
                hint="run this as the user who started the launcher",
            ) from None
        except TimeoutError:
            raise CommandFailed(
                "the launcher does not accept connections", hint="its process may be stopped (SIGSTOP)"
            ) from None
        except OSError as error:
            raise CommandFailed(f"cannot open {self.socket_path}: {error.strerror or error}") from error


def quoted(text: str) -> str:
    """Return ``text`` percent-encoded for one segment or parameter of a URL (RFC 3986: only unreserved characters stay)."""
    return "".join(
        character
        if character.isascii() and (character.isalnum() or character in "-._~")
        else _percent(character)
        for character in text
    )


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def _received(connection: socket.socket, patience: float | None) -> tuple[int, bytes]:
    """Read an answer whose end is told by its length.

    Raises:
        TimeoutError: the answer was not there within ``patience`` seconds.
        OSError: the connection ended before.
    """
    deadline = None if patience is None else time.monotonic() + patience
    data = bytearray()
    needed = -1
    split = -1
    while needed < 0 or len(data) < needed:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionResetError("connection closed")
        data += piece
        if needed < 0 and (split := data.find(b"\r\n\r\n")) >= 0:
            needed = split + 4 + _length(data[:split])
        if len(data) > LONGEST_ANSWER:
            raise ConnectionAbortedError("the answer has no end")
    code = bytes(data[9:12])
    return int(code) if code.isdigit() else 500, bytes(data[split + 4 : needed])


def _length(head: bytearray) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    raise ConnectionAbortedError("the answer has no length")


def _raise(status: int, document: dict[str, Any]) -> NoReturn:
    """Raise the error that an error document describes."""
    error = document.get("error")
    fields = error if isinstance(error, dict) else {}
    message = str(fields.get("message") or f"the launcher answered with status {status}")
    kind = UnknownComponent if status == 404 else BY_EXIT_CODE.get(fields.get("exit_code", 0), CommandFailed)
    raise kind(message, hint=str(fields.get("hint") or ""))
