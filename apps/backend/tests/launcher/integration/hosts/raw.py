"""A client of HTTP/1.1 that can do what libraries do not: half a request, two at once, bytes after the end."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.launcher.integration.hosts.driver import DEADLINE


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server says that it is the last on its connection."""
        return self.headers.get("connection") == "close"


class Client:
    """One connection. A reset, or an end in the midst of a response, is an exception."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, path: str = "/") -> Response:
        """Send a request and wait for its response."""
        self.send(request(path))
        return self.response()

    def response(self) -> Response:
        """Return the next response."""
        head, _, rest = self.until(b"\r\n\r\n").partition(b"\r\n\r\n")
        self._heard = rest
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = self._chunks() if "chunked" in headers.get("transfer-encoding", "") else self._exactly(headers)
        return Response(int(status.split()[1]), headers, body)

    def until(self, mark: bytes) -> bytes:
        """Read on until something has arrived, and return all of the next response that has."""
        while mark not in self._heard:
            heard = self.socket.recv(65536)
            if not heard:
                raise ConnectionError(f"closed after {self._heard!r}")
            self._heard += heard
        return self._heard

    def rest(self) -> bytes:
        """Return all that comes until the server closes."""
        while heard := self.socket.recv(65536):
            self._heard += heard
        return self._heard

    def is_closed(self, within: float = 0) -> bool:
        """Whether the server closes an idle connection within some seconds; a pool of connections asks that before it uses one again."""
        return bool(select.select([self.socket], [], [], within)[0])

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, headers: dict[str, str]) -> bytes:
        length = int(headers.get("content-length", "0"))
        while len(self._heard) < length:
            heard = self.socket.recv(1 << 20)
            if not heard:
                raise ConnectionError(f"closed after {len(self._heard)} of {length} bytes")
            self._heard += heard
        body, self._heard = self._heard[:length], self._heard[length:]
        return body

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size, _, self._heard = self.until(b"\r\n").partition(b"\r\n")
            chunk = self._exactly({"content-length": str(int(size, 16) + 2)})
            if size == b"0":
                return body
            body += chunk[:-2]


@contextmanager
def clients(port: int, count: int) -> Iterator[list[Client]]:
    """Several connections, closed in the end."""
    made = [Client(port) for _ in range(count)]
    try:
        yield made
    finally:
        for client in made:
            client.close()


def request(path: str = "/", body: bytes = b"", method: str = "") -> bytes:
    """Return the bytes of a request."""
    head = f"{method or ('POST' if body else 'GET')} {path} HTTP/1.1\r\nhost: test\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body if body else f"{head}\r\n".encode()
