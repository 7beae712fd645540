"""A stop loses nothing that was accepted, in both hosts, on both loops, with both parsers of HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import DEADLINE, Driver, Project, Seen, asgi, listening
from tests.launcher.integration.hosts.raw import Client, clients, request

Run = Callable[[Callable[[Driver, int], None]], None]

APP = """
    import asyncio, threading

    gate = asyncio.Event()

    async def body_of(receive):
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return body
            body += message.get("body", b"")
            if not message.get("more_body"):
                return body

    async def respond(send, body, headers=()):
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length, *headers]})
        await send({"type": "http.response.body", "body": body})

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("lifespan ends")
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await websocket(scope, receive, send)
        else:
            await paths[scope["path"]](scope, receive, send)

    async def root(scope, receive, send):
        await respond(send, b"hello")

    async def held(scope, receive, send):
        print("held begins")
        await gate.wait()
        await respond(send, b"held")

    async def release(scope, receive, send):
        gate.set()
        await respond(send, b"released")

    async def echo(scope, receive, send):
        print("echo begins")
        await respond(send, await body_of(receive))

    async def large(scope, receive, send):
        await respond(send, b"x" * 8_000_000, [(b"connection", b"keep-alive")])

    async def stack(scope, receive, send):
        loop, parser = type(asyncio.get_running_loop()).__module__, type(receive.__self__).__module__
        await respond(send, f"{loop.split('.')[0]}-{parser.split('.')[-1].removesuffix('_impl')}".encode())

    async def begin_events(send):
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})

    async def events(scope, receive, send):
        await body_of(receive)
        await begin_events(send)
        while (await receive())["type"] != "http.disconnect":
            pass
        print("events end")

    async def deaf(scope, receive, send):
        await begin_events(send)
        try:
            await asyncio.Event().wait()
        finally:
            print("deaf ends")

    async def stubborn(scope, receive, send):
        print("stubborn begins")
        await asyncio.Event().wait()

    async def websocket(scope, receive, send):
        await receive()
        # The type is what uvicorn chose, perhaps as one of ours that is derived from it.
        print("websocket by", type(receive.__self__).__mro__[1].__name__)
        if scope["path"] == "/held":
            print("handshake begins")
            await gate.wait()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        message = await receive()
        print("websocket", message["type"], message.get("code"))

    paths = {"/": root, "/held": held, "/release": release, "/echo": echo, "/large": large, "/stack": stack,
        "/events": events, "/deaf": deaf, "/stubborn": stubborn}
"""


@pytest.fixture
def run(project: Project, drive: Callable[..., Seen], stack: str) -> Run:
    """Play a scenario with the application up; it is given the port, and has to stop the application."""
    project.write(web=APP)

    def play(scenario: Callable[[Driver, int], None]) -> None:
        with listening("api") as sockets:
            port = sockets["api"][0].getsockname()[1]

            def whole(driver: Driver) -> None:
                driver.up("api")
                scenario(driver, port)

            drive(project.spec(), [asgi("api", "web:app", stop_grace=DEADLINE)], whole, sockets)

    return play


@contextmanager
def flooded(client: Client, data: bytes) -> Iterator[None]:
    """Send something again and again."""

    def send() -> None:
        with suppress(OSError):
            while not done.is_set():
                client.send(data)

    done = threading.Event()
    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        done.set()
        sending.join()


def settled(port: int) -> None:
    """Return when all connections that were made before are accepted: a later one has been answered."""
    client = Client(port)
    assert client.ask().status == 200
    client.close()


def ask_to_stop(driver: Driver, port: int) -> None:
    """Return when the drain has begun, and has looked at all connections that were made before."""
    with clients(port, 1) as (witness,):
        witness.send(request()[:5])
        settled(port)
        driver.stop("api")
        driver.line("Shutting down")
        witness.send(request()[5:])
        assert witness.response().closes


def ended(driver: Driver) -> None:
    """The component ends in order, and nothing had to be cancelled."""
    assert driver.exited("api").kind is ExitKind.RETURNED
    driver.line("lifespan ends")
    assert not [line for line in driver.seen.lines if line.level in {"ERROR", "WARNING"}]


def test_the_stack_is_what_its_name_says(run: Run, stack: str) -> None:
    """The tests of this file run on the loop and the parser that they are named after."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 1) as (client,):
            assert client.ask("/stack").body.decode() == stack

    run(scenario)


def test_a_fresh_connection_is_served(run: Run) -> None:
    """A connection that was accepted may send its first request after the stop was asked for."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 10) as fresh:
            ask_to_stop(driver, port)
            for client in fresh:
                client.send(request())
            for client in fresh:
                response = client.response()
                assert (response.status, response.closes, client.rest()) == (200, True, b"")
            ended(driver)

    run(scenario)


def test_an_idle_connection_is_served_once_more(run: Run) -> None:
    """A kept-alive connection may send another request after the stop was asked for; the response says that it is the last."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 10) as idle:
            assert not [client for client in idle if client.ask().closes]
            ask_to_stop(driver, port)
            for client in idle:
                client.send(request())
            for client in idle:
                response = client.response()
                assert (response.status, response.closes, client.rest()) == (200, True, b"")
            ended(driver)

    run(scenario)


@pytest.mark.parametrize("cut", [1, 7, len(request("/echo", b"0123456789")) - 5])
def test_a_request_that_is_arriving_is_served(run: Run, cut: int) -> None:
    """A request may be half there when the stop is asked for: in its first line, its headers, or its body."""

    def scenario(driver: Driver, port: int) -> None:
        whole = request("/echo", b"0123456789")
        with clients(port, 2) as (fresh, used):
            used.ask()
            for client in (fresh, used):
                client.send(whole[:cut])
            ask_to_stop(driver, port)
            for client in (fresh, used):
                # Longer than an idle connection would be kept: this one is not idle.
                assert not client.is_closed(within=1.5)
                client.send(whole[cut:])
                response = client.response()
                assert (response.body, response.closes, client.rest()) == (b"0123456789", True, b"")
            ended(driver)

    run(scenario)


def test_a_running_request_is_answered(run: Run) -> None:
    """A request that runs when the stop is asked for is answered, and its connection closed."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 2) as (client, other):
            client.send(request("/held"))
            driver.line("held begins")
            ask_to_stop(driver, port)
            assert other.ask("/release").body == b"released"
            response = client.response()
            assert (response.body, response.closes, client.rest()) == (b"held", True, b"")
            ended(driver)

    run(scenario)


def test_pipelined_requests_are_all_answered(run: Run) -> None:
    """Requests that wait behind a running one are answered in order; only the last response closes."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 2) as (client, other):
            late = request("/echo", b"late")
            client.send(request("/held") + request() + request("/echo", b"second") + late[:20])
            driver.line("held begins")
            ask_to_stop(driver, port)
            other.ask("/release")
            bodies = [client.response() for _ in range(3)]
            client.send(late[20:])
            bodies.append(client.response())
            assert [response.body for response in bodies] == [b"held", b"hello", b"second", b"late"]
            assert [response.closes for response in bodies] == [False, False, False, True]
            assert client.rest() == b""
            ended(driver)

    run(scenario)


def test_a_response_survives_what_is_sent_after_it(run: Run) -> None:
    """Bytes that arrive after the last response do not cause a reset that destroys it."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 1) as (client,):
            client.ask()
            ask_to_stop(driver, port)
            client.send(request("/large"))
            client.until(b"\r\n\r\n")
            with flooded(client, request()):
                response = client.response()
            assert (len(response.body), response.closes, client.rest()) == (8_000_000, True, b"")
            ended(driver)

    run(scenario)


def test_silent_connections_are_closed_and_not_reset(run: Run) -> None:
    """Clients that say nothing do not hold up the stop, and read the end of their connections."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 2) as (fresh, idle):
            idle.ask()
            settled(port)
            driver.stop("api")
            ended(driver)
            for client in (fresh, idle):
                assert client.rest() == b""

    run(scenario)


def test_a_client_that_pipelines_for_ever_is_told_to_stop(run: Run) -> None:
    """There is always a next request behind the one being answered, and yet the stop comes to its end."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 1) as (client,), flooded(client, request() * 100):
            assert not client.response().closes
            driver.stop("api")
            while not client.response().closes:
                pass
        ended(driver)

    run(scenario)


def test_what_waits_in_the_queue_is_left_to_the_next(run: Run) -> None:
    """A server that stops accepts no more, while it still answers what it has; the next incarnation does."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 1) as (held,):
            held.send(request("/held"))
            driver.line("held begins")
            ask_to_stop(driver, port)
            with clients(port, 1) as (late,):
                late.send(request("/echo", b"late"))
                driver.up("api", 2)
                assert late.response().body == b"late"
                assert driver.line("echo begins").incarnation == 2
                assert not driver.is_over("api")
            driver.kill("api")
            driver.down("api", 2)

    run(scenario)


def test_an_event_stream_gets_a_proper_end(run: Run) -> None:
    """An event stream ends as if its client had gone, but with the last chunk; its client can come back on the same connection."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 1) as (client,):
            client.send(request("/events"))
            client.until(b"data: 1\n\n")
            ask_to_stop(driver, port)
            assert client.response().body == b"data: 1\n\n"
            driver.line("events end")
            again = client.ask("/events")
            assert (again.body, again.closes, client.rest()) == (b"data: 1\n\n", True, b"")
            ended(driver)

    run(scenario)


def test_an_event_stream_that_does_not_listen_is_cut(run: Run) -> None:
    """An application that never asks whether its client is there is cancelled, and its response still ends properly."""

    def scenario(driver: Driver, port: int) -> None:
        with clients(port, 1) as (client,):
            client.send(request("/deaf"))
            client.until(b"data: 1\n\n")
            driver.stop("api")
            assert client.response().body == b"data: 1\n\n"
            driver.line("deaf ends")
            ended(driver)

    run(scenario)


@pytest.mark.parametrize("ws", ["websockets", "wsproto"])
def test_a_websocket_is_told_that_the_service_restarts(
    run: Run, ws: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Open WebSockets are closed with 1012; one whose handshake is under way is let through it first."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    if ws == "wsproto":
        use_wsproto(monkeypatch, tmp_path_factory.mktemp("no-websockets"))

    def scenario(driver: Driver, port: int) -> None:
        def late() -> None:
            with connect(f"ws://127.0.0.1:{port}/held", close_timeout=DEADLINE) as socket:
                codes.append(socket.recv())
                with pytest.raises(ConnectionClosed) as caught:
                    socket.recv()
                codes.append(caught.value.rcvd.code if caught.value.rcvd else None)

        codes: list[object] = []
        shaking = threading.Thread(target=late)
        with (
            connect(f"ws://127.0.0.1:{port}/", close_timeout=DEADLINE) as open_one,
            clients(port, 1) as (other,),
        ):
            assert open_one.recv() == "hello"
            driver.line(
                "websocket by " + {"websockets": "WebSocketsSansIO", "wsproto": "WS"}[ws] + "Protocol"
            )
            shaking.start()
            driver.line("handshake begins")
            ask_to_stop(driver, port)
            with pytest.raises(ConnectionClosed) as caught:
                open_one.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
            driver.line("websocket websocket.disconnect 1012")
            other.ask("/release")
        shaking.join()
        assert codes == ["hello", 1012]
        ended(driver)

    run(scenario)


def use_wsproto(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Have uvicorn take wsproto, as it does where websockets is not installed."""
    import uvicorn.protocols.websockets.auto as chosen

    pytest.importorskip("wsproto", reason="wsproto is not installed")
    from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

    monkeypatch.setattr(chosen, "AutoWebSocketsProtocol", WSProtocol)
    (directory / "websockets.py").write_text("raise ImportError('hidden')")
    monkeypatch.setenv("PYTHONPATH", str(directory), prepend=":")


def test_what_does_not_end_is_cancelled(project: Project, drive: Callable[..., Seen]) -> None:
    """A request that outlasts its share of stop_grace is answered with an error, and the stop goes on."""
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        with clients(sockets["api"][0].getsockname()[1], 1) as (client,):
            client.send(request("/stubborn"))
            driver.line("stubborn begins")
            driver.stop("api")
            response = client.response()
            assert (response.status, response.closes) == (500, True)
            assert driver.exited("api").kind is ExitKind.RETURNED
            driver.line("cancelled 1 requests")
            driver.line("lifespan ends")

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app", stop_grace=1.0)], scenario, sockets)
