"""What the launcher leans on in uvicorn and in the loops, one by one: when a new version breaks us, these say where.

Each test is about one attribute or one behaviour that `components/asgi.py` and `components/drain.py` use, on real sockets.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn import Config, Server
from uvicorn.server import ServerState

from tests.launcher.integration.hosts.driver import DEADLINE

HTTP = ("h11", "httptools")
WS = ("websockets-sansio", "wsproto")
LOOPS = ("asyncio", "uvloop")
SIZE = 16_000_000
"""More bytes than a socket takes at once."""

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class App:
    """An application that shows what it is given, and goes on when it is told to."""

    def __init__(self, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.headers = [*headers]
        self.called = asyncio.Event()
        self.go = asyncio.Event()
        self.cycle: Any = None
        self.heard: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.cycle = getattr(send, "__self__", None)
        self.called.set()
        if scope["type"] == "websocket":
            await receive()
            await self.go.wait()
            await send({"type": "websocket.accept"})
            self.heard.append(str((await receive()).get("code")))
            return
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"hi", "more_body": False})


class Wire:
    """One connection: uvicorn's protocol at one end, bytes at the other."""

    def __init__(self, config: Config, state: ServerState, client: socket.socket) -> None:
        self.config = config
        self.state = state
        self.client = client
        self.protocol: Any = None

    def only(self) -> Any:
        """The protocol that has the connection, in the end that of a WebSocket."""
        (protocol,) = self.state.connections
        return protocol

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.client, data)

    async def until(self, mark: bytes) -> bytes:
        """Read until something has come; an empty mark is the end of the connection."""
        heard = b""
        async with asyncio.timeout(DEADLINE):
            while not mark or mark not in heard:
                more = await asyncio.get_running_loop().sock_recv(self.client, 65536)
                if not more:
                    assert not mark, f"closed after {heard!r}"
                    break
                heard += more
        return heard


@asynccontextmanager
async def wired(app: Any, http: str = "auto", ws: str = "auto") -> AsyncIterator[Wire]:
    """Make a protocol as our server does, on a connection of its own."""
    if ws == "wsproto":
        pytest.importorskip("wsproto", reason="wsproto is not installed")
    config = Config(app, http=http, ws=ws, log_config=None, lifespan="off")
    config.load()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    wire = Wire(config, ServerState(), theirs)
    make: Any = config.http_protocol_class
    transport, wire.protocol = await asyncio.get_running_loop().connect_accepted_socket(
        lambda: make(config=config, server_state=wire.state, app_state={}), ours
    )
    try:
        yield wire
    finally:
        transport.abort()
        theirs.close()


async def eventually(condition: Callable[[], Any]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0)


# -- Config and Server --


def test_config_holds_what_we_replace() -> None:
    """`Config.load` makes `loaded_app`, `http_protocol_class`, `ws_protocol_class` and `encoded_headers`, which we read and replace."""
    config = Config(App, log_config=None)
    config.load()
    for name in ("loaded_app", "http_protocol_class", "ws_protocol_class", "encoded_headers", "date_header"):
        assert hasattr(config, name), name


@pytest.mark.parametrize("http", HTTP)
async def test_protocols_take_the_application_from_the_config(http: str) -> None:
    """A protocol calls `config.loaded_app`, so replacing that puts us in front of every request."""
    first, second = App(), App()
    config = Config(first, http=http, log_config=None)
    config.load()
    config.loaded_app = second
    make: Any = config.http_protocol_class
    assert make(config=config, server_state=ServerState(), app_state={}).app is second


def test_the_state_of_a_server_is_what_it_was() -> None:
    """`ServerState` has `connections`, `tasks` and `default_headers`."""
    state = ServerState()
    assert isinstance(state.connections, set)
    assert isinstance(state.tasks, set)
    assert isinstance(state.default_headers, list)


async def test_a_server_lives_through_the_methods_we_replace() -> None:
    """`serve` calls `startup`, `main_loop` and `shutdown`, once each and in this order, inside `capture_signals`."""
    calls = []

    class Watched(Server):
        def capture_signals(self) -> Any:
            calls.append("capture_signals")
            return super().capture_signals()

        async def startup(self, sockets: Any = None) -> None:
            calls.append("startup")
            await super().startup(sockets=[])
            assert self.started, "startup sets `started`"
            assert self.servers == [], "startup without sockets listens nowhere"
            assert self.lifespan.state == {}, "`lifespan.state` is the state of requests"

        async def main_loop(self) -> None:
            calls.append("main_loop")

        async def shutdown(self, sockets: Any = None) -> None:
            calls.append("shutdown")
            await self.lifespan.shutdown()

    await Watched(Config(App(), log_config=None, lifespan="off")).serve(sockets=[])
    assert calls == ["capture_signals", "startup", "main_loop", "shutdown"]


async def test_a_failed_lifespan_is_a_system_exit() -> None:
    """`Server.startup` leaves with SystemExit when the lifespan says that it failed."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": ""})

    server = Server(Config(app, log_config=None, lifespan="on"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    with pytest.raises(SystemExit):
        await server.startup(sockets=[])


# -- HTTP --


@pytest.mark.parametrize("http", HTTP)
async def test_connections_hold_what_is_open(http: str) -> None:
    """A protocol stands in `connections` from `connection_made` to `connection_lost`."""
    async with wired(App(), http) as wire:
        assert wire.state.connections == {wire.protocol}
        wire.protocol.transport.abort()
        await eventually(lambda: not wire.state.connections)


@pytest.mark.parametrize("http", HTTP)
async def test_the_cycle_tells_whether_a_request_runs(http: str) -> None:
    """`cycle` is nothing before the first request, and then says in `response_complete` whether it runs."""
    app = App()
    async with wired(app, http) as wire:
        assert vars(wire.protocol)["cycle"] is None
        await wire.send(GET)
        await app.called.wait()
        assert wire.protocol.cycle.response_complete is False
        app.go.set()
        await wire.until(b"hi")
        assert wire.protocol.cycle.response_complete is True


@pytest.mark.parametrize("http", HTTP)
async def test_send_belongs_to_the_cycle(http: str) -> None:
    """`send` is a method of the cycle, which knows its transport, and has an access log that can be switched off."""
    app = App()
    async with wired(app, http) as wire:
        await wire.send(GET)
        await app.called.wait()
        assert app.cycle is wire.protocol.cycle
        assert app.cycle.transport is wire.protocol.transport
        assert app.cycle.transport.get_protocol() is wire.protocol
        assert isinstance(app.cycle.access_log, bool)


@pytest.mark.parametrize("http", HTTP)
async def test_requests_are_tasks_of_the_server(http: str) -> None:
    """The task of a request stands in `tasks` until it is over."""
    app = App()
    async with wired(app, http) as wire:
        await wire.send(GET)
        await app.called.wait()
        assert len(wire.state.tasks) == 1
        app.go.set()
        await eventually(lambda: not wire.state.tasks)


@pytest.mark.parametrize("http", HTTP)
async def test_a_closing_header_closes(http: str) -> None:
    """A response with `connection: close` is sent with that header once, and the connection is closed after it."""
    app = App(headers=((b"content-length", b"2"), (b"connection", b"close")))
    app.go.set()
    async with wired(app, http) as wire:
        await wire.send(GET)
        heard = await wire.until(b"")
        assert heard.lower().count(b"connection: close") == 1
        assert heard.endswith(b"hi")


@pytest.mark.parametrize("http", HTTP)
async def test_shutdown_closes_what_is_idle(http: str) -> None:
    """`shutdown` of a protocol closes a fresh and an idle connection."""
    app = App()
    app.go.set()
    async with wired(app, http) as fresh, wired(app, http) as idle:
        await idle.send(GET)
        await idle.until(b"hi")
        for wire in (fresh, idle):
            wire.protocol.shutdown()
            assert wire.protocol.transport.is_closing()
            await wire.until(b"")


@pytest.mark.parametrize("http", HTTP)
@pytest.mark.parametrize("cut", [1, len(GET) - 1])
async def test_a_part_of_a_request_can_be_seen(http: str, cut: int) -> None:
    """h11 keeps what it has not parsed in `conn.trailing_data`; with httptools a request has a `scope` of its own from its first byte on."""
    app = App()
    app.go.set()

    def unparsed(protocol: Any) -> bool:
        if http == "h11":
            return bool(protocol.conn.trailing_data[0])
        assert not protocol.pipeline
        return protocol.scope is not None and (
            protocol.cycle is None or protocol.cycle.scope is not protocol.scope
        )

    async with wired(app, http) as wire:
        for _ in range(2):
            assert not unparsed(wire.protocol)
            await wire.send(GET[:cut])
            await eventually(lambda: unparsed(wire.protocol))
            await wire.send(GET[cut:])
            await wire.until(b"hi")
        assert not unparsed(wire.protocol)


@pytest.mark.parametrize("http", HTTP)
async def test_a_pipelined_request_can_be_seen(http: str) -> None:
    """A request behind the running one is in `conn.trailing_data` (h11) or in `pipeline` (httptools)."""
    app = App()
    async with wired(app, http) as wire:
        await wire.send(GET + GET)
        await app.called.wait()
        protocol = wire.protocol
        assert protocol.conn.trailing_data[0] == GET if http == "h11" else len(protocol.pipeline) == 1


@pytest.mark.parametrize("http", HTTP)
async def test_a_cycle_believes_that_its_client_has_gone(http: str) -> None:
    """With `disconnected` and `message_event` set, receive says so and send does nothing; taken back, the response can be ended."""
    told = asyncio.Event()

    class Stream(App):
        async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
            self.cycle = send.__self__
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            self.called.set()
            assert (await receive())["type"] == "http.disconnect"
            await send({"type": "http.response.body", "body": b"lost", "more_body": True})
            self.cycle.disconnected = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            told.set()

    app = Stream()
    async with wired(app, http) as wire:
        await wire.send(GET)
        await app.called.wait()
        app.cycle.disconnected = True
        app.cycle.message_event.set()
        async with asyncio.timeout(DEADLINE):
            await told.wait()
        assert (await wire.until(b"0\r\n\r\n")).endswith(b"3\r\none\r\n0\r\n\r\n")


# -- WebSockets --


def test_what_auto_may_choose_is_what_we_know() -> None:
    """`auto` chooses one of the protocols of these tests, and no other."""
    import uvicorn.protocols.http.auto as http
    import uvicorn.protocols.websockets.auto as ws

    for module, names in (
        (http, ("H11Protocol", "HttpToolsProtocol")),
        (ws, ("WebSocketsSansIOProtocol", "WSProtocol")),
    ):
        source = inspect.getsource(module)
        chosen = {
            line.split("=")[1].strip() for line in source.splitlines() if " = " in line and "Auto" in line
        }
        assert chosen - {"None"} == set(names)


@pytest.mark.parametrize("ws", WS)
@pytest.mark.parametrize("http", HTTP)
async def test_a_websocket_says_when_its_handshake_is_over(http: str, ws: str) -> None:
    """After the upgrade the WebSocket's protocol stands in `connections`; it has no `cycle`, and `handshake_complete` turns true."""
    app = App()
    async with wired(app, http, ws) as wire:
        await wire.send(UPGRADE)
        await app.called.wait()
        assert type(wire.only()) is wire.config.ws_protocol_class
        assert not hasattr(wire.only(), "cycle")
        assert wire.only().handshake_complete is False
        app.go.set()
        await wire.until(b"\r\n\r\n")
        assert wire.only().handshake_complete is True


@pytest.mark.parametrize("ws", WS)
async def test_shutdown_of_a_websocket_says_service_restart(ws: str) -> None:
    """`shutdown` sends the close code 1012, tells the application the same, and closes."""
    app = App()
    app.go.set()
    async with wired(app, "auto", ws) as wire:
        await wire.send(UPGRADE)
        await wire.until(b"\r\n\r\n")
        protocol = wire.only()
        protocol.shutdown()
        assert await wire.until(b"") == bytes((0x88, 2)) + (1012).to_bytes(2, "big")
        await eventually(lambda: app.heard)
        assert app.heard == ["1012"]


# -- loops --


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("family", ["inet", "unix"])
def test_the_descriptor_is_open_when_the_connection_is_lost(loop: str, family: str) -> None:
    """In `connection_lost` all data is sent and the socket is not closed yet, so that it can be duplicated and half-closed."""
    factory = (
        pytest.importorskip("uvloop", reason="uvloop is not installed").new_event_loop
        if loop == "uvloop"
        else None
    )
    seen: list[os.stat_result] = []

    class Closing(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.transport.write(b"x" * SIZE)
            self.transport.close()

        def connection_lost(self, _error: Exception | None) -> None:
            assert self.transport.get_write_buffer_size() == 0
            seen.append(os.fstat(self.transport.get_extra_info("socket").fileno()))

    async def main() -> None:
        ours, theirs = pair(family)
        expected = os.fstat(ours.fileno())
        await asyncio.get_running_loop().connect_accepted_socket(Closing, ours)
        with theirs:
            theirs.settimeout(DEADLINE)
            received = 0
            while heard := await asyncio.to_thread(theirs.recv, 1 << 20):
                received += len(heard)
        assert received == SIZE
        await eventually(lambda: seen)
        assert (seen[0].st_ino, seen[0].st_dev) == (expected.st_ino, expected.st_dev)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def pair(family: str) -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets."""
    if family == "unix":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        return listener.accept()[0], theirs
