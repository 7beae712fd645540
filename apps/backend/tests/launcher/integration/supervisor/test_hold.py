"""The launcher answers in a component's place: real sockets, and clients of every kind."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from http.client import HTTPResponse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.hold import unserved
from launcher.core.view import View
from launcher.model.events import Event, Exited, Launched, StartAllRequested, Started, StopRequested
from launcher.model.logs import LogLine
from launcher.model.spec import Bind, Kind
from launcher.supervisor import hold
from launcher.supervisor.hold import Holder, Refusal, may_be_http
from launcher.supervisor.sockets import bind_all
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import STOPPED, component, plan_of

PATIENCE = 20.0
GET = b"GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n"
UP = (StartAllRequested(), Launched("api", 1, 1), Started("api", 1))
DOWN = (StopRequested("api"), Exited("api", 1, STOPPED))


class Backend:
    """One component's socket, its state, and a holder that follows it."""

    def __init__(self, seconds: float) -> None:
        plan = plan_of(component("api", kind=Kind.ASGI, bind=Bind(0)), component("other"), hold=seconds)
        self.listening = bind_all(plan)
        self.plan = self.listening.plan
        (self.listener,) = self.listening.sockets["api"]
        self.address: tuple[str, int] = self.listener.getsockname()
        self.lines: list[LogLine] = []
        self.holder = Holder(self.listening.sockets, self.lines.append)
        self._fleet = FleetRunner(self.plan)
        self._unserved = unserved(self.plan, self._fleet.fleet, {}, time.monotonic())

    def tell(self, *events: Event) -> None:
        self._fleet.send(*events)
        now = time.monotonic()
        self._unserved = unserved(self.plan, self._fleet.fleet, self._unserved, now)
        self.holder.follow(View(self.plan, self._fleet.fleet, now, 0.0, 0.0, 1, "0", self._unserved))

    def clients(self) -> int:
        """Return how many clients are in."""
        return len(self.holder._doors["api"]._clients)


@asynccontextmanager
async def backend(seconds: float = 0.0) -> AsyncIterator[Backend]:
    made = Backend(seconds)
    with closing(made.listening):
        try:
            yield made
        finally:
            await made.holder.close()


async def ask(address: tuple[str, int], request: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes and return all that comes until the end."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*address)
        with closing(writer):
            writer.write(request)
            if half_close:
                writer.write_eof()
            return await reader.read()


async def turns(condition: Callable[[], Any]) -> None:
    """Let the loop turn until a condition holds that nothing tells."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def write_until_refused(writer: asyncio.StreamWriter) -> None:
    """Write until our own end notices that nobody is there any more."""
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.005)


def no_descriptors(_listener: socket.socket) -> tuple[socket.socket, Any]:
    """Accept as in a process that has no file descriptor left."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class _Bytes:
    """A socket as http.client wants one."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> Any:
        return io.BytesIO(self._data)


def parsed(data: bytes, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    response = HTTPResponse(_Bytes(data), method=method)  # type: ignore[arg-type]
    response.begin()
    return response, response.read()


# ---- when ----------------------------------------------------------------------------------------------------------------------------


async def test_nobody_serves_so_the_launcher_answers() -> None:
    """503 says who and in which phase, when to ask again, and that the connection ends."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        response, body = parsed(await ask(held.address, GET))
        assert (response.status, response.reason) == (503, "Service Unavailable")
        assert response.headers["Retry-After"] == "30"
        assert response.headers["Connection"] == "close"
        assert response.headers["Cache-Control"] == "no-store"
        assert json.loads(body) == {
            "error": "api is not serving: stopped",
            "component": "api",
            "phase": "stopped",
        }


async def test_who_waits_in_the_queue_already_is_answered() -> None:
    """A connection made and a request sent while nobody serves is answered when the time is over, by the one timer."""
    async with backend(seconds=0.05) as held:
        held.tell(*UP, *DOWN)
        asking = asyncio.create_task(ask(held.address, GET))
        assert (await asking).startswith(b"HTTP/1.1 503 ")
        assert [line.message for line in held.lines] == [
            "not serving for 0.05 s: its clients are answered with 503"
        ]


async def test_nothing_is_accepted_once_it_serves_again() -> None:
    """From the moment the component says that it has started, every connection is left for it."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        await ask(held.address, GET)
        held.tell(StartAllRequested(), Launched("api", 2, 2), Started("api", 2))
        reader, writer = await asyncio.open_connection(*held.address)
        with closing(writer):
            writer.write(GET)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(PATIENCE):
                client, _ = await loop.sock_accept(held.listener)
                with client:
                    assert await loop.sock_recv(client, 100) == GET
                    await loop.sock_sendall(client, b"its own")
            assert await reader.read() == b"its own"
        assert held.lines[-1].message == "its clients are its own again; 1 were answered with 503"


async def test_at_rest_nothing_is_watched() -> None:
    """While a component serves there is no timer and no look at its socket."""
    async with backend(seconds=5.0) as held:
        held.tell(*UP)
        loop = asyncio.get_running_loop()
        assert not loop.remove_reader(held.listener)
        assert held.holder._timer is None


async def test_a_socket_that_somebody_else_empties() -> None:
    """A connection that another process takes first, or whose client has left, is no error."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        with socket.create_connection(held.address, timeout=PATIENCE):
            held.listener.accept()[0].close()  # before the loop can turn
            held.holder._doors["api"]._accept(held.listener)
            assert held.clients() == 0
        assert (await ask(held.address, GET)).startswith(b"HTTP/1.1 503 ")


async def test_without_descriptors_it_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no connection can be accepted it rests instead of spinning, and goes on later."""
    monkeypatch.setattr(hold, "ACCEPT_AGAIN", 0.02)
    tries: list[int] = []

    class Exhausted(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            tries.append(1)
            if len(tries) == 1:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super().accept()

    async with backend() as held:
        with Exhausted(fileno=held.listener.dup().detach()) as listener:
            lines: list[LogLine] = []
            door = Holder({"api": [listener]}, lines.append)
            held.holder = door
            held.tell(*UP, *DOWN)
            assert (await ask(held.address, GET)).startswith(b"HTTP/1.1 503 ")
            await door.close()
    assert len(tries) >= 2


async def test_what_is_due_is_forgotten_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time that was set, or a rest after a failed accept, ends when the component serves again or the launcher ends."""
    async with backend(seconds=60.0) as held:
        held.tell(*UP, *DOWN)
        timer = held.holder._timer
        assert timer is not None
        held.tell(StartAllRequested(), Launched("api", 2, 2), Started("api", 2))
        assert timer.cancelled()
        held.tell(StopRequested("api"))
        timer = held.holder._timer
        assert timer is not None
        await held.holder.close()
        assert timer.cancelled()
    monkeypatch.setattr(socket.socket, "accept", no_descriptors)
    async with backend() as held:
        held.tell(*UP, *DOWN)
        door = held.holder._doors["api"]
        door._accept(held.listener)
        pause = door._pause
        assert pause is not None
        held.tell(StartAllRequested(), Launched("api", 2, 2), Started("api", 2))
        assert pause.cancelled()


# ---- to whom -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n",
        b"BREW /pot HTCPCP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\n\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"what is this?\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * (2 * hold.HEAD_BYTES),
        GET * 50,
    ],
)
async def test_any_request_is_answered(request_: bytes) -> None:
    """Every method, version and size, and text that is no request at all, gets the same whole answer."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        response, body = parsed(await ask(held.address, request_))
        assert response.status == 503
        assert json.loads(body)["component"] == "api"


async def test_head_is_answered_without_a_body() -> None:
    """The answer to HEAD has the length of the body and not the body."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        data = await ask(held.address, GET.replace(b"GET", b"HEAD"))
        assert data.endswith(b"\r\n\r\n")
        response, _ = parsed(data, "HEAD")
        assert int(response.headers["Content-Length"]) > 0


async def test_a_client_that_has_sent_its_last_is_answered() -> None:
    """A half-closed connection still wants its answer, also when the head was not complete."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        assert (await ask(held.address, GET, half_close=True)).startswith(b"HTTP/1.1 503 ")
        assert (await ask(held.address, b"GET / HT", half_close=True)).startswith(b"HTTP/1.1 503 ")


async def test_who_does_not_speak_http_is_left() -> None:
    """TLS and other binary protocols, and who says nothing, get no bytes that they could not read."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        assert await ask(held.address, b"\x16\x03\x01\x02\x00\x01\x00") == b""
        assert await ask(held.address, b"", half_close=True) == b""
        with pytest.raises((ssl.SSLError, OSError)):
            await asyncio.open_connection(*held.address, ssl=ssl.create_default_context())


async def test_slow_clients_are_answered_when_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that does not end is answered, silence is ended; neither waits for the client."""
    monkeypatch.setattr(hold, "HEAD_SECONDS", 0.05)
    async with backend() as held:
        held.tell(*UP, *DOWN)
        assert (await ask(held.address, b"GET / HTTP/1.1\r\nHost:")).startswith(b"HTTP/1.1 503 ")
        assert await ask(held.address, b"") == b""


async def test_an_upload_under_way_does_not_destroy_the_answer() -> None:
    """Closing with unread data would reset the connection and take the answer with it; so the data is read for a while."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        reader, writer = await asyncio.open_connection(*held.address)
        with closing(writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
            async with asyncio.timeout(PATIENCE):
                await writer.drain()
                assert (await reader.read()).startswith(b"HTTP/1.1 503 ")


async def test_who_takes_no_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that neither reads nor leaves is ended after the time to linger."""
    monkeypatch.setattr(hold, "LINGER_SECONDS", 0.05)
    async with backend() as held:
        held.tell(*UP, *DOWN)
        reader, writer = await asyncio.open_connection(*held.address)
        with closing(writer):
            writer.write(GET)
            async with asyncio.timeout(PATIENCE):
                assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
                with pytest.raises(ConnectionError):
                    await write_until_refused(writer)


async def test_many_silent_clients_leave_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many are let in at a time; who comes after them waits in the queue and is answered all the same."""
    monkeypatch.setattr(hold, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(hold, "CLIENTS", 4)
    async with backend() as held:
        held.tell(*UP, *DOWN)
        silent = [await asyncio.open_connection(*held.address) for _ in range(9)]
        asking = asyncio.create_task(ask(held.address, GET))
        most = 0
        while not asking.done():
            most = max(most, held.clients())
            await asyncio.sleep(0.005)
        assert (await asking).startswith(b"HTTP/1.1 503 ")
        assert most == 4
        for _, writer in silent:
            writer.close()


async def test_resets_at_any_moment_do_no_harm() -> None:
    """Clients that reset the connection before, in the middle of, and after their request."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        for sent in (b"", b"GET", GET):
            client = socket.create_connection(held.address, timeout=PATIENCE)
            client.sendall(sent)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close() resets
            client.close()
        assert (await ask(held.address, GET)).startswith(b"HTTP/1.1 503 ")


async def test_closing_lets_go_of_everybody() -> None:
    """At the launcher's end clients in the middle of something do not hold it up."""
    async with backend() as held:
        held.tell(*UP, *DOWN)
        reader, writer = await asyncio.open_connection(*held.address)
        with closing(writer):
            async with asyncio.timeout(PATIENCE):
                await turns(held.clients)
            await held.holder.close()
            assert await reader.read() == b""


@given(st.binary(max_size=200))
def test_the_answer_is_whole_for_any_bytes(head: bytes) -> None:
    """Whatever was sent, the answer is one well-formed response that holds nothing of it."""
    method = "HEAD" if head.lstrip(b"\r\n").startswith(b"HEAD ") else "GET"
    response, body = parsed(Refusal("api", "failed", 30).to(head), method)
    assert (response.status, len(body)) == (
        503,
        0 if method == "HEAD" else int(response.headers["Content-Length"]),
    )


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"", True), (b"\r\n", True), (b"G", True), (b"GET / HTTP/1.1\r", True), (b"A\tB\r\n\x00", True),
        (b"\x16\x03\x01", False), (b"\x00", False), (b"GET\x00", False), (b"\x80\x2e\x01\x03", False), (b"a\x7f", False),
    ],
)  # fmt: skip
def test_what_may_be_http(head: bytes, text: bool) -> None:
    """The first line decides, as far as it has come."""
    assert may_be_http(head) is text
