"""A small HTTP/1.1 server: h11 for the protocol, asyncio for the bytes, bounds on everything.

No client can hurt another: each has its own task, a bounded amount of memory, and deadlines for sending its request and for taking its
answer. There is no framework below it, so that the supervisor stays small.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

import h11

from launcher.errors import LauncherError
from launcher.web.doors import SocketFile
from launcher.web.messages import Refusal, Request, Response, error_response
from launcher.web.routes import dispatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from launcher.web.doors import Door
    from launcher.web.port import ControlPort

logger = logging.getLogger(__name__)

T = TypeVar("T")

ACCEPT_STEPS = 5
"""Turns of the loop from an accepted connection to the first step of its task, with some to spare."""


CROWD = 2
"""How many times as many clients as are served there may be, while those who are turned away are told so; more are not answered."""

ALWAYS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Headers of every answer: it is kept nowhere, is what it says it is, and is for no page of others."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take.

    Attributes:
        connections: clients at a time; more are turned away with 503.
        headers: bytes of request line and headers, give or take one reading of as many.
        body: bytes of a request body.
        request_seconds: from the first byte of a request to its last.
        idle_seconds: between two requests on one connection.
        send_seconds: for taking one piece of the answer.
        close_seconds: for answers under way when the server closes.
    """

    connections: int = 128
    headers: int = 16 * 1024
    body: int = 64 * 1024
    request_seconds: float = 10.0
    idle_seconds: float = 60.0
    send_seconds: float = 10.0
    close_seconds: float = 2.0


class Server:
    """Serves the routes behind one door, from ``start`` to ``close``.

    Args:
        port: the supervisor.
        door: where clients come in.
        limits: what one client may take.
    """

    def __init__(self, port: ControlPort, door: Door, limits: Limits = Limits()) -> None:
        self._port = port
        self._door = door
        self._limits = limits
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], _Client] = {}

    async def start(self) -> None:
        """Open the door and serve.

        Raises:
            LauncherError: the door cannot be opened.
        """
        listener = self._door.open()
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=self._limits.headers)

    async def close(self) -> None:
        """Take no more requests, let answers under way be finished for a moment, then end all connections."""
        if self._server is None:
            return
        self._door.close()
        server, self._server = self._server, None
        server.close()
        for _ in range(ACCEPT_STEPS):
            await asyncio.sleep(0)
        for client in self._clients.values():
            client.finish_soon()
        if self._clients:
            await asyncio.wait(self._clients, timeout=self._limits.close_seconds)
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(self._port, self._door, reader, writer, self._limits)
        task = asyncio.current_task()
        if task is None or self._server is None or len(self._clients) >= CROWD * self._limits.connections:
            writer.transport.abort()
            return
        self._clients[task] = client
        try:
            await client.serve(busy=len(self._clients) > self._limits.connections)
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # the client went away, or was too slow: its loss alone
        except asyncio.CancelledError:
            pass  # the server closes; ending quietly keeps the streams' callback from reporting it
        except Exception:
            logger.exception("a control connection failed")
        finally:
            del self._clients[task]
            writer.transport.abort()


class ControlServer(Server):
    """The server of the control socket alone.

    Args:
        port: the supervisor.
        path: of the socket file, see ``SocketFile``.
        limits: what one client may take.
    """

    def __init__(self, port: ControlPort, path: str | os.PathLike[str], limits: Limits = Limits()) -> None:
        super().__init__(port, SocketFile(path), limits)


class _Client:
    """One connection."""

    def __init__(
        self,
        port: ControlPort,
        door: Door,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: Limits,
    ) -> None:
        self._port = port
        self._door = door
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.headers)
        self._idle: asyncio.Timeout | None = None
        self._last = False
        self._finish: Callable[[], None] = lambda: None

    async def serve(self, *, busy: bool) -> None:
        """Answer requests until either side has enough."""
        if busy:
            await self._send(error_response(Refusal(503, "too many clients", hint="try again")), head=False)
            await self._close()
            return
        while not self._last and await self._await_request():
            await self._exchange()
            if self._connection.our_state is not h11.DONE or self._connection.their_state is not h11.DONE:
                break
            self._connection.start_next_cycle()
        await self._close()

    def finish_soon(self) -> None:
        """End after the answer under way, or now when there is none."""
        self._last = True
        self._finish()
        if self._idle is not None:
            self._idle.reschedule(asyncio.get_running_loop().time())

    # -- requests --

    async def _await_request(self) -> bool:
        """Wait for the first byte of a request; false when the client has gone or stays silent."""
        if self._connection.trailing_data[0]:
            return True
        try:
            async with asyncio.timeout(self._limits.idle_seconds) as self._idle:
                data = await self._reader.read(self._limits.headers)
        except TimeoutError:
            return False
        finally:
            self._idle = None
        self._connection.receive_data(data)
        return bool(data)

    async def _exchange(self) -> None:
        """Read one request and answer it."""
        head = False
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                request = await self._read()
            if request is None:
                return
            head = request.method == "HEAD"
            response = await self._answer(request)
        except TimeoutError:
            response = error_response(Refusal(408, "the request took too long to arrive"))
        except h11.RemoteProtocolError as error:
            response = error_response(
                Refusal(error.error_status_hint, f"this is not HTTP as it should be: {error}")
            )
        except LauncherError as error:
            response = error_response(error)
        await self._send(response, head=head)

    async def _read(self) -> Request | None:
        """Read one whole request; ``None`` when the client left in the middle."""
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._limits.body:
                    raise Refusal(413, f"the body is larger than {self._limits.body} bytes")
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                target = request.target.decode("ascii", "replace")
                path, _, query = target.partition("?")
                return Request(
                    request.method.decode("ascii"),
                    path,
                    dict(pairs := parse_qsl(query, keep_blank_values=True)),
                    bytes(body),
                    headers=_headers(request.headers),
                    pairs=tuple(pairs),
                )
            else:
                return None

    async def _next_event(self) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
        while (event := self._connection.next_event()) is h11.NEED_DATA:
            if self._connection.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                self._writer.write(self._connection.send(go_on) or b"")
            self._connection.receive_data(await self._reader.read(self._limits.headers))
        return event

    # -- answers --

    async def _answer(self, request: Request) -> Response:
        """Run the handler."""
        try:
            return await self._while_there(
                asyncio.ensure_future(dispatch(self._port, self._door.admit(request)))
            )
        except (LauncherError, ConnectionResetError):
            raise
        except Exception as error:
            logger.exception("%s %s failed", request.method, request.path)
            answer = error_response(
                LauncherError(f"the launcher failed inside: {type(error).__name__}: {error}")
            )
            return Response(500, answer.body)

    async def _departure(self) -> None:
        """Return when the client has closed the connection; on the control socket, one that only sends no more still wants its answer."""
        received = 0
        while data := await self._reader.read(self._limits.headers):
            self._connection.receive_data(data)  # the next request, sent early
            received += len(data)
            if received > self._limits.headers + self._limits.body:
                return
        connection = self._writer.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:
            return  # TCP does not tell the two apart; hardly any client closes one side only
        poll = select.poll()
        poll.register(connection.fileno(), 0)
        if not any(flags & (select.POLLHUP | select.POLLERR) for _, flags in poll.poll(0)):
            await asyncio.get_running_loop().create_future()

    async def _send(self, response: Response, *, head: bool) -> None:
        if self._connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [("Content-Type", response.content_type), *ALWAYS, *response.headers]
        if isinstance(response.body, bytes):
            headers.append(("Content-Length", str(len(response.body))))
        if self._last or self._connection.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        begin = h11.Response(status_code=response.status, headers=headers)
        data = self._connection.send(begin) or b""
        if isinstance(response.body, bytes):
            if not head:
                data += self._connection.send(h11.Data(data=response.body)) or b""
            await self._write(data + (self._connection.send(h11.EndOfMessage()) or b""))
            return
        await self._write(data)
        if not head:
            await self._stream(response.body, response.finish)
        await self._write(self._connection.send(h11.EndOfMessage()) or b"")

    async def _stream(self, body: AsyncGenerator[bytes, None], finish: Callable[[], None]) -> None:
        """Send a body piece by piece, for as long as the client is there."""

        async def send() -> None:
            async with contextlib.aclosing(body) as pieces:
                async for piece in pieces:
                    await self._write(self._connection.send(h11.Data(data=piece)) or b"")

        self._finish = finish
        if self._last:
            finish()
        await self._while_there(asyncio.ensure_future(send()))

    async def _while_there(self, work: asyncio.Future[T]) -> T:
        """Return what the work results in, unless the client leaves before.

        Raises:
            ConnectionResetError: it did; nobody is there to be told.
        """
        leaving = asyncio.ensure_future(self._departure())
        try:
            await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ConnectionResetError("the client has left")
            return work.result()
        finally:
            for task in (work, leaving):
                task.cancel()
            await asyncio.gather(work, leaving, return_exceptions=True)

    async def _write(self, data: bytes) -> None:
        """Send; a client that does not take it is left."""
        self._writer.write(data)
        async with asyncio.timeout(self._limits.send_seconds):
            await self._writer.drain()

    async def _close(self) -> None:
        """Say that nothing more comes, and read what is still on its way, so that the answer is not lost with a reset."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(min(1.0, self._limits.send_seconds)):
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                while await self._reader.read(65536):
                    pass


def _headers(received: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw, value in received:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers
