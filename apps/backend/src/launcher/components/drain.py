"""Closes the connections of a server without losing a request that it has accepted.

The listening socket stays open in the supervisor, so stopping means: accept no more, answer what was accepted, and close connections only
where no client can be hurt by it. HTTP/1.1 (RFC 9112, sections 9.3.2, 9.5 and 9.6) sets the bounds of what can be promised.

Promised to every client:

* A connection that was accepted is served, whether its request was read, is arriving, or has not been sent yet.
* The last response on a connection says ``connection: close``. A client that waits for a response before it sends the next request never
  sends one in vain.
* Requests that were pipelined and have arrived when a response begins are answered after it; the last of them says ``connection: close``.
* A connection is half-closed first: we send the end of our data and read on until the client has closed as well. A connection closed
  while bytes arrive is reset, and a reset may destroy a response that the client has not read yet.

Not to be promised, by any server:

* An idle connection may be closed just while the client sends its next request; the two cross on the wire. So an idle one gets
  `PATIENCE` for a next request, is looked at once more, and half-closed in the same instant. The client then reads the end of the
  connection without a byte of a response, and may repeat an idempotent request (section 9.3.1). No status is sent: 408 on a silent
  connection would be taken for the answer of the next request.
* A request that a client pipelines after a response that says ``connection: close`` is not read. The client is told so by that very header.

What never ends by itself is ended: an event stream as if its client had gone, but with the proper end of a response; a WebSocket with code
1012, service restart (RFC 6455, registry of close codes).
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import socket
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[..., Any]

PATIENCE = 0.7
"""Seconds in which an idle connection may still send a request. Each client that asks more often than that loses nothing; together with
`LINGER` it keeps a stop with idle connections below a second."""

LINGER = 0.25
"""Seconds without a byte after which a half-closed connection is let go: enough for what is on its way between continents."""

TICK = 0.05
"""Seconds between two looks at what is still open; that nothing is open any more is noticed at once."""

_CLOSE = (b"connection", b"close")


class Drain:
    """Watches the connections of one server, and ends them in order when `run` is called.

    Args:
        connections: uvicorn's own set of the open ones.
    """

    def __init__(self, connections: set[Any]) -> None:
        self._connections = connections
        self._asked: float | None = None
        self._over = False
        self._empty = asyncio.Event()
        self._quiet_since: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._half_closed: WeakSet[Any] = WeakSet()
        self._lingering: set[_Lingering] = set()
        self._streams: dict[Any, _Stream] = {}

    def watched(self, protocol: Any) -> Any:
        """Return the protocol such that connections are half-closed where the protocol would close them."""
        drain = self

        class Watched(protocol):  # type: ignore[misc]  # the base is chosen at run time
            def connection_lost(self, error: Exception | None) -> None:
                drain._on_lost(self, error)
                super().connection_lost(error)
                drain._on_gone()

        return Watched

    # -- one request --

    async def answer(self, app: App, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application for one request; in a drain its response may be the last on its connection."""
        # `send` is a method of uvicorn's cycle of one request and response.
        cycle = send.__self__  # type: ignore[attr-defined]
        task = cast(asyncio.Task[Any], asyncio.current_task())

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                if self._asked is not None and self._is_last(cycle):
                    message = _closing(message)
                await send(message)
                if _is_event_stream(message):
                    self._streams[cycle] = _Stream(cycle, task, asyncio.get_running_loop().time())
            else:
                await send(message)

        try:
            await app(scope, receive, watched)
        except asyncio.CancelledError:
            stream = self._streams.get(cycle)
            if stream is None or not stream.cut:
                raise
            stream.task.uncancel()
        finally:
            stream = self._streams.pop(cycle, None)
            if stream is not None and stream.ended is not None:
                await stream.conclude(send)

    def _is_last(self, cycle: Any) -> bool:
        """Whether no further request has arrived on the connection, or one too many: a client may pipeline for ever."""
        transport = cycle.transport
        return self._is_out_of_patience(self._asked) or not (
            _has_unparsed(transport.get_protocol()) or _unread(transport)
        )

    def _is_out_of_patience(self, since: float | None) -> bool:
        return since is not None and asyncio.get_running_loop().time() - since >= PATIENCE

    # -- the end --

    async def run(self, deadline: float) -> None:
        """End all connections; return when none is open, or at a time of the loop's clock at the latest.

        What is still open then is as uvicorn's own ``shutdown`` leaves it: idle ones closed, running ones about to be closed after their response.
        """
        loop = asyncio.get_running_loop()
        self._asked = loop.time()
        for stream in self._streams.values():
            stream.end()
        while self._connections and (left := deadline - loop.time()) > 0:
            self._look_around(loop.time())
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(TICK, left)):
                    await self._empty.wait()
        for connection in list(self._connections):
            if not connection.transport.is_closing():
                connection.shutdown()

    async def settle(self) -> None:
        """Return when every half-closed connection is closed by its client, or silent for `LINGER`."""
        while self._lingering:
            await asyncio.wait([each.closed for each in self._lingering])

    def abort(self) -> None:
        """Cut everything that is still open, half-closed or not."""
        self._over = True
        for connection in list(self._connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        for each in list(self._lingering):
            each.close()

    def _look_around(self, now: float) -> None:
        for connection in list(self._connections):
            if not connection.transport.is_closing():
                self._look_at(connection, now)
        for stream in self._streams.values():
            if self._is_out_of_patience(stream.ended):
                stream.cut_off()
            elif self._is_out_of_patience(stream.began):  # in answer to a request that came during the drain
                stream.end()

    def _look_at(self, connection: Any, now: float) -> None:
        if not hasattr(
            connection, "cycle"
        ):  # a WebSocket; one whose handshake is under way is let through it
            if connection.handshake_complete:
                connection.shutdown()
        elif _is_owed(connection):
            self._quiet_since.pop(connection, None)
        elif now - self._quiet_since.setdefault(connection, now) >= PATIENCE and not _unread(
            connection.transport
        ):
            self._half_close(connection)
            connection.shutdown()

    # -- connections --

    def _on_lost(self, connection: Any, error: Exception | None) -> None:
        """The transport has sent everything and is about to close its descriptor."""
        if self._asked is not None and not self._over and error is None:
            self._half_close(connection)

    def _on_gone(self) -> None:
        if not self._connections:
            self._empty.set()

    def _half_close(self, connection: Any) -> None:
        if connection in self._half_closed:
            return
        self._half_closed.add(connection)
        with contextlib.suppress(
            OSError
        ):  # no descriptor is left, or the client has closed: a plain close is all there is
            lingering = _Lingering(connection.transport)
            self._lingering.add(lingering)
            lingering.closed.add_done_callback(lambda _: self._lingering.discard(lingering))


@dataclass(slots=True, eq=False)
class _Stream:
    """A response of events, which ends only when its client goes.

    Attributes:
        cycle: uvicorn's cycle of this request and response.
        task: the request's.
        began: when, on the loop's clock.
        ended: when it was told that its client has gone.
        cut: whether it had to be cancelled, because it does not listen to that.
    """

    cycle: Any
    task: asyncio.Task[Any]
    began: float
    ended: float | None = None
    cut: bool = False

    def end(self) -> None:
        """Have the application believe that its client has gone."""
        if not self.cycle.response_complete and not self.cycle.disconnected:
            self.ended = asyncio.get_running_loop().time()
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def cut_off(self) -> None:
        """Cancel the request, once."""
        if not self.cut:
            self.cut = True
            self.task.cancel()

    async def conclude(self, send: Send) -> None:
        """Send the end of the response; the client is there after all."""
        if not self.cycle.response_complete and not self.cycle.transport.is_closing():
            self.cycle.disconnected = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Lingering:
    """A connection that we have closed and the client perhaps not yet.

    It works on a duplicate of the transport's descriptor, so it outlives the transport, which may be closed in the same instant.
    """

    def __init__(self, transport: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        try:
            self._socket.setblocking(False)
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._timer = self._loop.call_later(LINGER, self.close)

    def _read(self) -> None:
        """Throw away what arrives, until the client has closed or is silent."""
        try:
            heard = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        self._timer.cancel()
        if heard:
            self._timer = self._loop.call_later(LINGER, self.close)
        else:
            self.close()

    def close(self) -> None:
        if not self.closed.done():
            self._timer.cancel()
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self.closed.set_result(None)


# -- what uvicorn's protocols of HTTP know of a connection --


def _is_owed(connection: Any) -> bool:
    """Whether a request is being answered or arriving, or a response is still being sent."""
    cycle = connection.cycle
    return (
        (cycle is not None and not cycle.response_complete)
        or _has_unparsed(connection)
        or connection.transport.get_write_buffer_size() > 0
    )


def _has_unparsed(connection: Any) -> bool:
    """Whether more was read from a connection than the request that is answered: a pipelined request, or a part of one."""
    if hasattr(connection, "conn"):  # h11
        return bool(connection.conn.trailing_data[0])
    # httptools: each request has a scope from its first byte on, and a cycle from the end of its headers on.
    scope, cycle = connection.scope, connection.cycle
    begun = scope is not None and (cycle is None or cycle.scope is not scope)
    return begun or bool(connection.pipeline)


def _unread(transport: Any) -> int:
    """Return how many bytes have arrived that nobody has read."""
    count = array.array("i", [0])
    with contextlib.suppress(OSError, ValueError):  # closed already
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, count)
    return count[0]


# -- responses --


def _closing(message: Message) -> Message:
    """Return the start of a response such that no other follows it on its connection."""
    headers = [header for header in message.get("headers", ()) if header[0].lower() != b"connection"]
    return {**message, "headers": [*headers, _CLOSE]}


def _is_event_stream(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message.get("headers", ())
    )
