"""HTTP as bytes on a socket: requests no client library would send, and answers exactly as they arrived."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import h11

from tests.launcher.acceptance.project import PATIENCE

HOST = "newsdesk.test"
"""What every request gives as its host, so that no answer depends on the port."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it is sent; ``note`` says in a few words what is special about it."""

    method: str
    target: str
    headers: Headers = ()
    body: bytes | None = None
    version: str = "HTTP/1.1"
    chunked: bool = False
    note: str = ""

    @property
    def raw(self) -> bytes:
        """The bytes on the wire."""
        head = [f"{self.method} {self.target} {self.version}"]
        headers = self.headers
        if self.version == "HTTP/1.1" and not any(name.lower() == "host" for name, _ in headers):
            headers = (("Host", HOST), *headers)
        if self.chunked:
            headers = (*headers, ("Transfer-Encoding", "chunked"))
        elif self.body is not None:
            headers = (*headers, ("Content-Length", str(len(self.body))))
        head += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + self._content()

    def _content(self) -> bytes:
        body = self.body or b""
        if not self.chunked:
            return body
        pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])

    def __str__(self) -> str:
        note = f"  ({self.note})" if self.note else ""
        target = self.target if len(self.target) <= 200 else f"{self.target[:200]}… [{len(self.target)}]"
        return f"{self.method} {target} {self.version}{note}"


@dataclass(frozen=True, slots=True)
class Response:
    """One answer: its first line, every header as written, and the body without its framing.

    ``status`` is 0 when the connection was closed without an answer. ``interim`` holds the statuses of what came before, such as 100.
    """

    status: int
    version: str = ""
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    interim: tuple[int, ...] = ()

    def header(self, name: str) -> str:
        """Return the first value of a header; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


def get(target: str, note: str = "", **options: Any) -> Request:
    """Return a GET request."""
    return Request("GET", target, note=note, **options)


def post(target: str, content: object = None, note: str = "", **options: Any) -> Request:
    """Return a POST request with a JSON body, or with none."""
    if content is None:
        return Request("POST", target, body=b"", note=note, **options)
    headers = (("Content-Type", "application/json"),)
    return Request("POST", target, headers, json.dumps(content).encode(), note=note, **options)


class Connection:
    """One TCP connection to a server on loopback, on which any number of requests follow one another."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = b""
        connected.settimeout(PATIENCE)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *requests: Request) -> None:
        """Send requests without waiting for an answer."""
        self._socket.sendall(b"".join(request.raw for request in requests))

    def receive(self, request: Request) -> Response:
        """Return the next answer; raises TimeoutError if it stays away."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1_000_000)
        method = request.method if request.method in ("HEAD", "CONNECT") else "GET"
        parser.send(h11.Request(method=method, target="/", headers=[("Host", HOST)]))
        parser.send(h11.EndOfMessage())
        if self._received:
            parser.receive_data(self._received)  # no data at all would mean the end
        self._received = b""
        answer, body = Response(0), b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                data = self._arrived()
                if not data and not answer.status:
                    return answer
                parser.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                answer = replace(answer, interim=(*answer.interim, event.status_code))
            elif isinstance(event, h11.Response):
                answer = _begun(event, answer.interim)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                self._received = parser.trailing_data[0]
                return replace(answer, body=body)

    def closed(self) -> bool:
        """Whether the server closes the connection instead of answering another request on it."""
        again = get("/health")
        try:
            self.send(again)
            return self.receive(again).status == 0
        except OSError:
            return True

    def _arrived(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except ConnectionResetError:
            return b""


def _begun(event: h11.Response, interim: tuple[int, ...]) -> Response:
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()
    )
    version = f"HTTP/{event.http_version.decode()}"
    return Response(event.status_code, version, bytes(event.reason).decode(), headers, interim=interim)


@contextmanager
def connection(port: int) -> Iterator[Connection]:
    """A connection to a port on loopback."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connected:
        yield Connection(connected)


def ask(port: int, request: Request) -> Response:
    """Send one request on a connection of its own."""
    with connection(port) as line:
        line.send(request)
        return line.receive(request)


def ask_all(port: int, requests: Sequence[Request]) -> list[tuple[Request, Response]]:
    """Send requests one after another, each on a connection of its own."""
    return [(request, ask(port, request)) for request in requests]
