"""Follow a stream of the control interface through lost connections and restarts of the launcher."""

from __future__ import annotations

import json
import time
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.errors import ConnectionLost, NotRunning
from launcher.sse import Parser

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Iterator

AGAIN = 0.2
"""Seconds between two tries to reach a launcher that has gone; short beside what a start takes."""

PATIENCE = 10.0
"""Seconds that a launcher may be away, as while it is restarted."""

SILENCE = 45.0
"""Seconds without a sign of life after which a connection counts as lost: three times what the launcher keeps silent for at most."""


BLOCK = 64 * 1024


class Told(NamedTuple):
    """One event of a stream.

    Attributes:
        kind: ``transition``, ``log``, or ``gap`` where something is missing.
        document: a ``TransitionDocument``, ``LogDocument`` or ``GapDocument``.
        id: from where to go on after it.
    """

    kind: str
    document: dict[str, Any]
    id: str


def followed(
    opened: Callable[[str], Generator[bytes, None, None]], since: str, *, follow: bool, patience: float
) -> Iterator[Told]:
    """Yield what a stream tells, each event once; when it breaks, go on after the last one.

    Args:
        opened: connects, and yields the bytes of the stream after a point until its proper end; raises ``ConnectionLost`` when it breaks.
        since: the point to begin after; may be empty.
        follow: also go on after a proper end, which is how a launcher that is being stopped takes its leave.
        patience: seconds that the launcher may be away; after a proper end the iteration then ends.

    Raises:
        NotRunning: there is no launcher, from the beginning or after it was killed.
        ConnectionLost: nobody answers any more.
    """
    last, ended = since, False
    gone: float | None = -inf  # since when nobody is there; whoever was never there is not waited for
    while True:
        try:
            body = opened(last)
            try:
                parser = Parser(last)
                for data in body:
                    gone = None
                    for event in parser.feed(data):
                        # Before the event is handed out: whoever breaks off then has had it.
                        last = event.id or last
                        yield Told(event.kind, json.loads(event.data), event.id)
                    last = parser.last_id
            finally:
                body.close()
            ended = True
            if not follow:
                return
        except (NotRunning, ConnectionLost) as error:
            ended = ended and isinstance(error, NotRunning)
            if gone is not None and time.monotonic() >= gone + patience:
                if ended:
                    return
                raise
        gone = time.monotonic() if gone is None else gone
        time.sleep(AGAIN)


def streamed(
    connection: socket.socket, request: bytes, refused: Callable[[bytes, bytes], None]
) -> Generator[bytes, None, None]:
    """Send a request and yield the body of its answer as it comes, until its proper end.

    Args:
        connection: to the launcher, with the time in which it has to begin with its answer.
        request: as it is sent.
        refused: called with head and body of an answer that is no stream; raises what it tells.

    Raises:
        ConnectionLost: there is no proper end.
    """

    def receive() -> bytes:
        if data := connection.recv(BLOCK):
            return data
        raise ConnectionResetError("connection closed")

    try:
        connection.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += receive()
        head, _, begin = head.partition(b"\r\n\r\n")
        if b"\r\ntransfer-encoding: chunked" not in head.lower():
            while data := connection.recv(BLOCK):
                begin += data
            refused(head, begin)
            raise ConnectionAbortedError("the answer is no stream")
        connection.settimeout(SILENCE)
        yield from unchunked(receive, begin)
    except (OSError, ValueError) as error:
        raise ConnectionLost(f"the connection to the launcher broke: {error}") from error


def unchunked(receive: Callable[[], bytes], begin: bytes) -> Iterator[bytes]:
    """Yield the content of a chunked body (RFC 9112, section 7.1) until its end.

    Args:
        receive: returns what comes next.
        begin: what has come already.

    Raises:
        ValueError: it is not chunked as it should be.
    """
    data = begin
    while True:
        while b"\r\n" not in data:
            data += receive()
        line, _, data = data.partition(b"\r\n")
        left = int(line.partition(b";")[0], 16)
        if left == 0:
            return
        while left > 0:
            data = data or receive()
            yield data[:left]
            left, data = left - len(data[:left]), data[left:]
        while len(data) < 2:
            data += receive()
        data = data[2:]
