"""Answers the clients of components that nobody serves, so that they neither wait for ever nor are refused.

Who they are is decided by ``launcher.core.hold``. While a component is served, nothing here runs: the listening sockets are not looked at,
and there is no timer.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from launcher.core.hold import held, retry_after
from launcher.model.logs import LogLine, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from launcher.core.view import View

CLIENTS = 64
"""Clients of one component that are answered at a time; more wait in the listen queue."""

HEAD_BYTES = 16 * 1024
"""Longest request head that is read; whoever sends more is answered without it."""

HEAD_SECONDS = 1.0
"""Time in which a client has to send its request head; whoever has begun is answered then, whoever is silent is left."""

LINGER_SECONDS = 1.0
"""Time in which a client may take its answer; closing before it has done so could destroy the answer with a reset."""

ACCEPT_AGAIN = 1.0
"""Seconds until the next try when a connection could not be accepted, as when file descriptors are used up (asyncio's own pause)."""

_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the clients of one component are told.

    Attributes:
        retry_after: seconds after which they may ask again.
    """

    component: str
    phase: str
    retry_after: int

    def to(self, head: bytes) -> bytes:
        """Return the answer to a request of which this is the head, or as much of it as has come."""
        error = f"{self.component} is not serving: {self.phase}"
        body = json.dumps({"error": error, "component": self.component, "phase": self.phase}).encode()
        status = HTTPStatus.SERVICE_UNAVAILABLE
        lines = (
            f"HTTP/1.1 {status} {status.phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            f"Retry-After: {self.retry_after}",
            "Cache-Control: no-store",
            "Connection: close",
            "",
            "",
        )
        return "\r\n".join(lines).encode() + (b"" if head.lstrip(b"\r\n").startswith(b"HEAD ") else body)


def may_be_http(head: bytes) -> bool:
    """Whether the first line has no control characters. A TLS client, for one, could not read an answer."""
    first = head.lstrip(b"\r\n").partition(b"\n")[0]
    return _CONTROL.search(first.removesuffix(b"\r")) is None


class Holder:
    """Holds the ports of components while nobody serves them; to be used on the supervisor's loop.

    Args:
        sockets: listening sockets by component.
        log: told when a component's clients begin to be answered, and when that is over.
    """

    def __init__(
        self, sockets: Mapping[str, Sequence[socket.socket]], log: Callable[[LogLine], None]
    ) -> None:
        self._log = log
        self._view: View | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._doors = {name: _Door(group, partial(self._refusal, name)) for name, group in sockets.items()}

    def follow(self, view: View) -> None:
        """Begin or end to answer, as the state of the backend now asks for."""
        self._view = view
        self._look(view, view.now)

    async def close(self) -> None:
        """Let go of everybody."""
        if self._timer is not None:
            self._timer.cancel()
        for door in self._doors.values():
            await door.close()

    def _look(self, view: View, now: float) -> None:
        decided = held(view.plan, view.fleet, view.unserved, now)
        for name, door in self._doors.items():
            if name in decided.names and not door.opened:
                door.open()
                self._say(
                    view,
                    name,
                    f"not serving for {view.plan.spec.hold:g} s: its clients are answered with 503",
                )
            elif name not in decided.names and door.opened:
                self._say(view, name, f"its clients are its own again; {door.shut()} were answered with 503")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if decided.due is not None:
            # The loop's clock is the supervisor's: time.monotonic().
            self._timer = asyncio.get_running_loop().call_at(decided.due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._view is not None:
            self._look(self._view, time.monotonic())

    def _refusal(self, name: str) -> Refusal:
        assert self._view is not None  # noqa: S101 (no door is open before the first view)
        state = self._view.fleet.components[name]
        return Refusal(name, state.phase, retry_after(state, time.monotonic()))

    def _say(self, view: View, name: str, message: str) -> None:
        incarnation = view.fleet.components[name].incarnation
        self._log(LogLine(time.time(), name, Stream.LAUNCHER, message, incarnation, level="WARNING"))


class _Door:
    """The listening sockets of one component, and the clients that have come in."""

    def __init__(self, listeners: Sequence[socket.socket], refusal: Callable[[], Refusal]) -> None:
        self._listeners = listeners
        self._refusal = refusal
        self._clients: set[asyncio.Task[None]] = set()
        self._answered = 0
        self._accepting = False
        self._pause: asyncio.TimerHandle | None = None
        self.opened = False

    def open(self) -> None:
        """Begin to accept."""
        self.opened = True
        self._answered = 0
        self._accept_more()

    def shut(self) -> int:
        """Accept no more, from this moment on; return how many clients were answered. Who is in is still answered."""
        self.opened = False
        self._accept_no_more()
        return self._answered

    async def close(self) -> None:
        """Shut, and let go of who is in."""
        self.shut()
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    def _accept_more(self) -> None:
        self._pause = None
        if self._accepting or not self.opened or len(self._clients) >= CLIENTS:
            return
        self._accepting = True
        for listener in self._listeners:
            # Nobody else is at it: an incarnation that needs it otherwise sets it again before it starts.
            os.set_blocking(listener.fileno(), False)
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept_no_more(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._accepting:
            self._accepting = False
            for listener in self._listeners:
                asyncio.get_running_loop().remove_reader(listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take in one client; the loop calls again while there are more."""
        loop = asyncio.get_running_loop()
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # it has left, or somebody else has taken it
        except OSError:
            self._accept_no_more()
            self._pause = loop.call_later(ACCEPT_AGAIN, self._accept_more)
            return
        client.setblocking(False)
        task = loop.create_task(self._serve(client))
        self._clients.add(task)
        task.add_done_callback(self._gone)
        if len(self._clients) >= CLIENTS:
            self._accept_no_more()

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        if self._pause is None:
            self._accept_more()

    async def _serve(self, client: socket.socket) -> None:
        """Read a request head, answer, and wait until the client has its answer; whatever it does, it is over soon."""
        loop = asyncio.get_running_loop()
        with client, suppress(OSError, TimeoutError):
            head = await _head(client)
            if not head or not may_be_http(head):
                return
            async with asyncio.timeout(LINGER_SECONDS):
                await loop.sock_sendall(client, self._refusal().to(head))
                self._answered += 1
                client.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(client, HEAD_BYTES):
                    pass


async def _head(client: socket.socket) -> bytes:
    """Return the head of a request, or what has come of it when its time is over."""
    loop = asyncio.get_running_loop()
    head = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(HEAD_SECONDS):
            while not _complete(head) and (data := await loop.sock_recv(client, HEAD_BYTES)):
                head += data
    return head


def _complete(head: bytes) -> bool:
    """Whether nothing more needs to be read: the head has ended, is too long, or is none."""
    if not may_be_http(head):
        return True
    begun = head.lstrip(b"\r\n")
    return b"\r\n\r\n" in begun or b"\n\n" in begun or len(head) > HEAD_BYTES
