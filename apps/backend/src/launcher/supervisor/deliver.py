"""One attempt to tell somebody: a command that is run, or a document that is posted. Blocking; for a thread of its own."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from launcher import __version__
from launcher.hosts.ends import signal_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from http.client import HTTPConnection
    from urllib.parse import SplitResult

TAIL = 4096
"""Bytes of the end of a command's output among which the last line is looked for."""

PASSING = frozenset({408, 425, 429})
"""Answers below 500 after which another attempt makes sense: too slow, too early, too often."""


class Trouble(NamedTuple):
    """Why an attempt failed, and whether another one can do better."""

    reason: str
    again: bool = True


class Attempt(Protocol):
    """One attempt; it is made once."""

    def make(self, timeout: float) -> Trouble | None:
        """Make it, within so many seconds; return what went wrong, or nothing."""

    def cancel(self) -> None:
        """End it from another thread, also before it was made."""


class _Cancellable:
    """What can be ended at any moment, before there is anything to end as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self._cancelled = False
        self.late = False

    def cancel(self) -> None:
        """End it."""
        with self._lock:
            self._cancelled = True
            if self._end is not None:
                self._end()

    def end_with(self, end: Callable[[], None] | None) -> None:
        """Say how it is ended from now on."""
        with self._lock:
            self._end = end
            if self._cancelled and end is not None:
                end()

    def within(self, timeout: float) -> threading.Timer:
        """Return a timer, running, that ends it as being late."""

        def expire() -> None:
            self.late = True
            self.cancel()

        timer = threading.Timer(timeout, expire)
        timer.daemon = True
        timer.start()
        return timer


@dataclass(frozen=True, slots=True)
class Invocation:
    """What to run: argument vector, whole environment, working directory."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str


class RunCommand(_Cancellable):
    """Runs a command in a session of its own; what it leaves in its group is killed when it has ended.

    Input and output are files and not pipes: whoever it leaves behind can neither block us nor be blocked.
    """

    def __init__(self, invocation: Invocation, document: bytes) -> None:
        super().__init__()
        self._invocation = invocation
        self._document = document

    def make(self, timeout: float) -> Trouble | None:
        """Run it to its end."""
        import tempfile  # only where there is something to run

        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(self._document)
            given.seek(0)
            try:
                process = self._started(given, said)
            except (OSError, ValueError) as error:  # ValueError: what no environment can hold
                reason = getattr(error, "strerror", None) or error
                return Trouble(f"{self._invocation.argv[0]} cannot be started: {reason}")
            self.end_with(lambda: _kill(process.pid))
            timer = self.within(timeout)
            # Not collected yet: its number is nobody else's until its group has been killed.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            timer.cancel()
            self.end_with(None)
            _kill(process.pid)
            status = process.wait()
            if self.late:
                return Trouble(f"did not end within {timeout:g} s")
            return None if status == 0 else Trouble(_ended(status) + _last_line(said))

    def _started(self, given: IO[bytes], said: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._invocation.argv,
            stdin=given,
            stdout=said,
            stderr=said,
            cwd=self._invocation.directory,
            env=dict(self._invocation.environment),
            start_new_session=True,
        )


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _ended(status: int) -> str:
    return f"exited with {status}" if status > 0 else f"ended by {signal_name(-status)}"


def _last_line(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - TAIL))
    lines = said.read().decode("utf-8", "backslashreplace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {last}" if last else ""


class Post(_Cancellable):
    """Posts JSON; redirects are not followed, since the document would be given to somebody else."""

    def __init__(self, url: str, document: bytes) -> None:
        super().__init__()
        self._url = url
        self._document = document

    def make(self, timeout: float) -> Trouble | None:
        """Post it and look at the status of the answer."""
        from http.client import HTTPException  # only where there is something to post
        from urllib.parse import urlsplit

        parts = urlsplit(self._url)
        connection = _connection(parts, timeout)
        timer = self.within(timeout)
        try:
            connection.connect()
            sock = connection.sock
            self.end_with(lambda: _shut(sock))
            connection.request("POST", _target(parts), self._document, _headers(parts))
            status = connection.getresponse().status
        except (OSError, HTTPException, ValueError) as error:
            if self.late or isinstance(error, TimeoutError):
                return Trouble(f"did not answer within {timeout:g} s")
            return Trouble(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        finally:
            timer.cancel()
            self.end_with(None)
            connection.close()
        if 200 <= status < 300:
            return None
        return Trouble(f"answered {status}", again=status >= 500 or status in PASSING)


def _connection(parts: SplitResult, timeout: float) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection

    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult) -> dict[str, str]:
    from urllib.parse import unquote

    headers = {"Content-Type": "application/json", "User-Agent": f"launcher/{__version__}"}
    if parts.username is not None:
        both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
    return headers


def _shut(sock: object) -> None:
    import socket

    if isinstance(sock, socket.socket):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
