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
    ConnectionLost,
    ExitCode,
    LauncherError,
    NotRunning,
    UnknownComponent,
    UsageError,
    WaitTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from launcher.documents import ComponentDocument, StatusDocument
    from launcher.following import Told
    from launcher.web.documents import LoginDocument
    from launcher.web.explanations import WhyDocument

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

    def status(self, *, look: bool = False) -> StatusDocument:
        """Return the status document.

        Args:
            look: tell also what the processes cost and whether the loops turn; otherwise nothing is measured, and nobody is woken for it.
        """
        return cast("StatusDocument", self.request("GET", "/status", _looking(look=look)))

    def history(self) -> list[dict[str, Any]]:
        """Return the transitions that only the launcher knows, oldest first."""
        return cast("list[dict[str, Any]]", self.request("GET", "/history")["transitions"])

    def component(self, name: str, *, look: bool = False) -> ComponentDocument:
        """Return the document of one component. Arguments as for ``status``."""
        path = f"/components/{quoted(name)}"
        return cast("ComponentDocument", self.request("GET", path, _looking(look=look)))

    def why(self, name: str) -> WhyDocument:
        """Return why a component is as it is."""
        return cast("WhyDocument", self.request("GET", f"/components/{quoted(name)}/why"))

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

    def events(
        self,
        names: Sequence[str] = (),
        *,
        since: str = "",
        follow: bool = True,
        patience: float | None = None,
    ) -> Iterator[Told]:
        """Return every transition, those that the launcher still knows first, through lost connections and restarts of the launcher.

        Args:
            names: components with all their replicas, entries of agents, or wildcards; all when empty.
            since: the id of an event to go on after, or ``now``; empty for all that the launcher still knows.
            follow: go on with what happens from now on.
            patience: seconds that the launcher may be away; after that the iteration ends if it has taken its leave, and raises
                ``NotRunning`` otherwise. By default ``launcher.following.PATIENCE``.
        """
        return self._followed(
            "/events", [("component", name) for name in names], since, patience, follow=follow
        )

    def logs(
        self,
        names: Sequence[str] = (),
        *,
        lines: int = 100,
        since: str = "",
        level: str = "",
        grep: str = "",
        follow: bool = True,
        patience: float | None = None,
    ) -> Iterator[Told]:
        """Return the last lines of the logs, and those that follow; other arguments as for ``events``.

        Args:
            names: components.
            lines: how many of the past, of all components together, at most 10,000.
            since: the id of an event to go on after, or the earliest time: ISO 8601, or seconds since the epoch.
            level: the lowest level; all when empty.
            grep: text that the message contains.
            follow: go on with what is written from now on.
            patience: seconds.
        """
        query = {
            "n": str(lines),
            "level": level,
            "grep": grep,
            "since": "" if since.startswith("@") else since,
        }
        pairs = [
            *(("component", name) for name in names),
            *((key, text) for key, text in query.items() if text),
        ]
        return self._followed("/logs", pairs, since if since.startswith("@") else "", patience, follow=follow)

    def login(self) -> LoginDocument:
        """Return an address that logs a browser in, once; raises ``CommandFailed`` when the launcher has no port for it."""
        return cast("LoginDocument", self.request("POST", "/login-codes"))

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
        status, body = self._exchange(f"{method} {_target(path, parameters.items())}", patience)
        return self._document(status, body)

    def _document(self, status: int, body: bytes) -> dict[str, Any]:
        """Return the document of an answer, or raise the error that it tells."""
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

    # -- streams --

    def _followed(
        self, path: str, pairs: Iterable[tuple[str, str]], since: str, patience: float | None, *, follow: bool
    ) -> Iterator[Told]:
        from launcher.following import PATIENCE, followed, streamed

        query = [*pairs, ("follow", "1" if follow else "0")]

        def opened(last: str) -> Generator[bytes, None, None]:
            target = _target(path, [*query, *([("since", last)] if last else [])])
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                self._connect(connection)
                yield from streamed(connection, _head(f"GET {target}"), self._refused)

        return followed(opened, since, follow=follow, patience=PATIENCE if patience is None else patience)

    def _refused(self, head: bytes, body: bytes) -> None:
        self._document(_status(head), body)

    # -- bytes --

    def _exchange(self, line: str, patience: float | None) -> tuple[int, bytes]:
        """Return status code and body."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            self._connect(connection)
            try:
                connection.sendall(_head(line))
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


def _looking(*, look: bool) -> dict[str, str]:
    return {} if look else {"look": "0"}


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


def _target(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = "&".join(f"{key}={quoted(value)}" for key, value in pairs)
    return f"{path}?{query}" if query else path


def _head(line: str) -> bytes:
    return f"{line} HTTP/1.1\r\nHost: launcher\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode(
        "ascii"
    )


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
    return _status(bytes(data[:split])), bytes(data[split + 4 : needed])


def _status(head: bytes) -> int:
    code = head[9:12]
    return int(code) if code.isdigit() else 500


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
