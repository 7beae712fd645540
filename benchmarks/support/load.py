"""A bounded open-loop load of HTTP requests, in a process of its own: `python -m benchmarks.support.load --port 8000`.

Open-loop: a request begins when the schedule says so, whether or not earlier ones were answered. A load that waits for answers sends nothing
while a server is away, and so hides what it set out to count ("coordinated omission", Gil Tene).

Every request is written down with when it was planned, sent and over, how it ended, and which process answered. The times are those of
CLOCK_MONOTONIC, which all processes of a machine share. Written with `epoll` and without an event loop on top: two thousand new connections
per second must leave most of a core to the server.
"""

from __future__ import annotations

import argparse
import errno
import json
import re
import resource
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

ROOT = Path(__file__).resolve().parents[2]

AT_ONCE = 4000
"""Most requests that are under way; what the schedule asks for beyond is written down as not sent."""

SAME_MOMENT = 0.001
"""Seconds after a kill within which another core may still run the killed process: the signal has to reach it first."""


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    RESET = "reset"  # the connection broke, or was closed before the whole answer
    TIMEOUT = "timeout"
    STATUS = "status"  # answered, but not with 200
    ERROR = "error"  # the machine could not even try, such as for want of ports
    UNSENT = "unsent"  # as many were under way as are allowed


class Exchange(NamedTuple):
    """One request; times in seconds of CLOCK_MONOTONIC, 0 for what did not happen; `pid` is that of who answered, else 0."""

    planned: float
    sent: float
    ended: float
    outcome: Outcome
    pid: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the requests of one load.

    Attributes:
        failed: those that were sent, or tried to be, and not answered with 200; the refused are among them.
        inside: the failed ones that broke after their bytes had been handed to the server, before it was killed: nobody can save those.
        unsent: not tried, because too many were under way; to be read as "the load was smaller than asked for".
        slowest_ms: the longest time from plan to answer.
    """

    requests: int
    failed: int
    refused: int
    inside: int
    unsent: int
    slowest_ms: float

    @classmethod
    def of(cls, exchanges: Iterable[Exchange], killed_at: float | None = None) -> Tally:
        """Count; `killed_at` is when a server was killed, if one was."""
        everything = list(exchanges)
        counts = Counter(exchange.outcome for exchange in everything)
        inside = sum(
            exchange.outcome is Outcome.RESET and 0 < exchange.sent <= killed_at + SAME_MOMENT
            for exchange in everything
            if killed_at is not None
        )
        answered = [one.ended - one.planned for one in everything if one.outcome is Outcome.ANSWERED]
        tried = len(everything) - counts[Outcome.UNSENT]
        return cls(
            requests=tried,
            failed=tried - len(answered),
            refused=counts[Outcome.REFUSED],
            inside=inside,
            unsent=counts[Outcome.UNSENT],
            slowest_ms=round(1000 * max(answered, default=0.0), 3),
        )


def first_answer(exchanges: Iterable[Exchange], after: float, other_than: set[int]) -> float | None:
    """When the first answer of a new process came after a moment; None when none came."""
    times = [
        exchange.ended
        for exchange in exchanges
        if exchange.outcome is Outcome.ANSWERED
        and exchange.ended > after
        and exchange.pid not in {0, *other_than}
    ]
    return min(times, default=None)


class Load:
    """A load that runs while the context is open, `seconds` at the longest.

    `keep_alive` is the number of connections that are kept and used in turn; 0 means a new connection for every request.
    """

    def __init__(self, port: int, rate: float, *, seconds: float, keep_alive: int = 0) -> None:
        """Nothing is sent yet."""
        self._command = [
            sys.executable,
            "-m",
            "benchmarks.support.load",
            "--port",
            str(port),
        ]
        self._command += [
            "--rate",
            str(rate),
            "--seconds",
            str(seconds),
            "--keep-alive",
            str(keep_alive),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            # Waits for its end and closes the pipes.
            self._process.__exit__(kind, error, trace)

    def stop(self) -> list[Exchange]:
        """End the load, wait for the answers to what is under way, and return every request."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()  # that ends it
        return self.wait()

    def wait(self) -> list[Exchange]:
        """Wait until the load is over by itself; return every request."""
        assert self._process is not None
        assert self._process.stdout is not None
        written = self._process.stdout.read()
        self._process.wait()
        return [
            Exchange(planned, sent, ended, Outcome(outcome), pid)
            for planned, sent, ended, outcome, pid in json.loads(written)
        ]


class _Connection:
    """A socket and the request on it, if there is one."""

    __slots__ = ("connected", "planned", "received", "sent", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.connected = False
        self.planned = self.sent = 0.0
        self.received = b""

    def answer(self) -> re.Match[bytes] | None:
        """Head of the answer, once the whole answer is there."""
        head = _HEAD.match(self.received)
        if head is None or len(self.received) < head.end() + int(head["length"]):
            return None
        return head

    def closed_by_server(self) -> bool:
        """Whether a kept connection must not be used again, as a client finds out that looks first."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


_HEAD = re.compile(
    rb"HTTP/1\.1 (?P<status>\d+).*?\r\ncontent-length: (?P<length>\d+)\r\n.*?\r\n\r\n",
    re.DOTALL | re.IGNORECASE,
)
_LAST = re.compile(rb"\r\nconnection: close\r\n", re.IGNORECASE)
"""The server's word that it sends no further answer on a connection (RFC 9112, section 9.6)."""
_PID = re.compile(rb'"pid":\s*(\d+)')
_STDIN = 0


class _Generator:
    """The loop of the load."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._address = ("127.0.0.1", options.port)
        kept = "keep-alive" if options.keep_alive else "close"
        self._request = (
            f"GET {options.path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: {kept}\r\n\r\n".encode()
        )
        self._epoll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._busy = 0
        self._idle: deque[_Connection] = deque()
        self._over = False
        self.exchanges: list[Exchange] = []

    def run(self) -> None:
        """Send what the schedule says until stdin is closed or the time is over, then wait for what is under way."""
        self._epoll.register(_STDIN, select.EPOLLIN | select.EPOLLHUP)
        begun = due = time.monotonic()
        end = begun + self._options.seconds
        period = 1 / self._options.rate
        swept = begun
        while True:
            now = time.monotonic()
            self._over = self._over or now >= end
            while not self._over and due <= now:
                self._begin(due)
                due += period
            if self._over and not self._busy:
                return
            for descriptor, _ in self._epoll.poll(max(0.0, min(due - now, 0.05)) if not self._over else 0.05):
                self._happened(descriptor)
            if now - swept > 0.1:
                swept = now
                self._sweep(now)

    def _begin(self, planned: float) -> None:
        if self._busy >= self._options.at_once:
            self.exchanges.append(Exchange(planned, 0.0, time.monotonic(), Outcome.UNSENT, 0))
            return
        connection = self._kept() or self._opened(planned)
        if connection is None:
            return
        connection.planned, connection.sent, connection.received = planned, 0.0, b""
        self._busy += 1
        self._send(connection)

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.popleft()
            if not connection.closed_by_server():
                return connection
            self._close(connection)
        return None

    def _opened(self, planned: float) -> _Connection | None:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = made.connect_ex(self._address)
        if code not in {0, errno.EINPROGRESS}:
            made.close()
            outcome = Outcome.REFUSED if code == errno.ECONNREFUSED else Outcome.ERROR
            self.exchanges.append(Exchange(planned, 0.0, time.monotonic(), outcome, 0))
            return None
        connection = _Connection(made)
        self._open[made.fileno()] = connection
        self._epoll.register(made.fileno(), select.EPOLLOUT)
        return connection

    def _send(self, connection: _Connection) -> None:
        """Hand the request over; on loopback a connection is there at once, so that this seldom has to wait."""
        try:
            connection.socket.send(self._request)
        except BlockingIOError:
            return  # `EPOLLOUT` tells when
        except OSError as problem:
            self._failed(connection, problem)
            return
        connection.sent = time.monotonic()
        connection.connected = True
        self._epoll.modify(connection.socket.fileno(), select.EPOLLIN)

    def _happened(self, descriptor: int) -> None:
        if descriptor == _STDIN:
            self._over = True
            self._epoll.unregister(_STDIN)
            return
        connection = self._open.get(descriptor)
        if connection is None:
            return
        if not connection.sent and connection.planned:
            self._send(connection)
            return
        try:
            received = connection.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as problem:
            self._failed(connection, problem)
            return
        if not received:
            self._failed(connection, ConnectionResetError())
            return
        connection.received += received
        if connection.planned and (head := connection.answer()):
            self._answered(connection, head)

    def _answered(self, connection: _Connection, head: re.Match[bytes]) -> None:
        pid = _PID.search(connection.received, head.end())
        outcome = Outcome.ANSWERED if head["status"] == b"200" else Outcome.STATUS
        self._record(connection, outcome, int(pid[1]) if pid else 0)
        if not self._options.keep_alive or _LAST.search(head[0]):
            # The server closes first, so that its end of the connection is the one that lingers. No request may follow meanwhile.
            return
        if len(self._idle) < self._options.keep_alive:
            self._idle.append(connection)
        else:
            self._close(connection)

    def _failed(self, connection: _Connection, problem: OSError) -> None:
        """The connection is over; that is a failure when a request was on it."""
        if connection.planned:
            broken = isinstance(problem, (ConnectionResetError, BrokenPipeError))
            refused = isinstance(problem, ConnectionRefusedError)
            self._record(
                connection,
                Outcome.RESET if broken else Outcome.REFUSED if refused else Outcome.ERROR,
                0,
            )
        with suppress(ValueError):
            self._idle.remove(connection)
        self._close(connection)

    def _record(self, connection: _Connection, outcome: Outcome, pid: int) -> None:
        self.exchanges.append(Exchange(connection.planned, connection.sent, time.monotonic(), outcome, pid))
        connection.planned = 0.0
        self._busy -= 1

    def _sweep(self, now: float) -> None:
        for connection in list(self._open.values()):
            if connection.planned and now - connection.planned > self._options.timeout:
                self._record(connection, Outcome.TIMEOUT, 0)
                self._close(connection)

    def _close(self, connection: _Connection) -> None:
        del self._open[connection.socket.fileno()]
        connection.socket.close()  # which also takes it out of epoll


def main() -> int:
    """Send the load and print every request as JSON."""
    parser = argparse.ArgumentParser(
        prog="load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port",
        type=int,
        required=True,
        help="on 127.0.0.1; nothing else is ever asked",
    )
    parser.add_argument("--path", default="/orders/1", help="what is asked for (default: %(default)s)")
    parser.add_argument(
        "--rate",
        type=float,
        default=200.0,
        help="requests per second (default: %(default)g)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=2.0,
        help="for so long at most (default: %(default)g)",
    )
    parser.add_argument(
        "--keep-alive",
        type=int,
        default=0,
        metavar="N",
        help="keep N connections and use them in turn",
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=AT_ONCE,
        help="most requests under way (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        help="seconds until a request counts as lost (default: %(default)g)",
    )
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    generator = _Generator(options)
    print("begun", flush=True)
    generator.run()
    json.dump(generator.exchanges, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
