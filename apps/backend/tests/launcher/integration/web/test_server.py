"""The server against sockets: what it answers, whom it lets in, and clients that behave badly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import tempfile
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.client import Client
from launcher.errors import RunDirectoryError
from launcher.web.messages import Response
from launcher.web.server import ControlServer, Limits
from tests.launcher.integration.web.scripted import Running, ScriptedControl, eventually, running


def connected(server: Running) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(server.path))
    return connection


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer with a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(4096)
        assert piece, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(4096)
    return int(first.split()[1]), headers, body


def exchange(server: Running, data: bytes) -> tuple[int, dict[str, str], bytes]:
    with connected(server) as connection:
        connection.sendall(data)
        return answer(connection)


def test_history_is_what_the_launcher_knows() -> None:
    """The transitions that are kept in memory can be asked for, with the numbers of their run."""
    with running() as server:
        assert Client(server.path).history() == [{"run": 7, "seq": 1, "component": "api"}]


def error(body: bytes) -> str:
    message = json.loads(body)["error"]["message"]
    assert isinstance(message, str)
    return message


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def test_nobody_else_can_open_it(server: Running) -> None:
    """The socket has mode 0600, in a directory with 0700, whatever the umask."""
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.path.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in server.path.parent.iterdir()) == ["control.sock"]


def test_the_umask_plays_no_part() -> None:
    """With a umask of 0 the file is never open to others, and the directory is closed if it was open."""
    before = os.umask(0)
    try:
        with tempfile.TemporaryDirectory(prefix="ctl", dir="/tmp") as directory:
            Path(directory, "run").mkdir(mode=0o777)
            server = Running(Path(directory), Limits())
            mode = server.path.stat().st_mode
            parent = server.path.parent.stat().st_mode
            server.end()
    finally:
        os.umask(before)
    assert (stat.S_IMODE(mode), stat.S_IMODE(parent)) == (0o600, 0o700)


def test_a_leftover_is_replaced_and_only_the_own_file_removed(server: Running) -> None:
    """A socket of a crashed launcher is in nobody's way; what another launcher has put there stays."""
    with tempfile.TemporaryDirectory(prefix="ctl", dir="/tmp") as directory:
        path = Path(directory, "run", "control.sock")
        path.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as leftover:
            leftover.bind(str(path))
        first = Running(Path(directory), Limits())
        assert Client(path).request("GET", "/livez") == {"ok": True}
        second = Running(Path(directory), Limits())
        first.end()
        assert Client(path).request("GET", "/livez") == {"ok": True}
        second.end()
        assert not path.exists()


async def test_places_where_no_socket_can_be() -> None:
    """A file in the way and a path that is too long are errors with a hint."""
    with tempfile.TemporaryDirectory(prefix="ctl", dir="/tmp") as directory:
        Path(directory, "file").write_text("")
        for place in (Path(directory, "file", "control.sock"), Path(directory, "x" * 100, "control.sock")):
            server = ControlServer(ScriptedControl(), place)
            with pytest.raises(RunDirectoryError) as caught:
                await server.start()
            assert "LAUNCHER_RUN_DIR" in caught.value.hint
            await server.close()


def test_one_connection_takes_many_requests(server: Running) -> None:
    """Keep-alive, and requests that are sent before the answer to the one before."""
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(LIVEZ)
            assert answer(connection)[0] == 200
        connection.sendall(LIVEZ * 3 + b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := connection.recv(4096):
            data += piece
        assert data.count(b"HTTP/1.1 200") == 4


def test_http_1_0_and_half_closed_clients(server: Running) -> None:
    """Old clients and those that close their sending side get their answer, even if it takes time."""
    assert exchange(server, b"GET /livez HTTP/1.0\r\n\r\n")[0] == 200
    server.control.blocked = True
    with connected(server) as connection:
        connection.sendall(b"GET /wait?component=api HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert server.control.begun.wait(30)
        server.release()
        assert answer(connection)[0] == 200


@pytest.mark.parametrize(
    ("request_line", "status", "message"),
    [
        (b"GET /nowhere", 404, "there is no /nowhere"),
        (b"GET /components/api/start", 405, "does not take GET"),
        (b"PUT /status", 405, "does not take PUT"),
        (b"GET /components/apy", 404, 'no component called "apy"'),
        (b"POST /components/a%2Fi/stop", 404, 'no component called "a/i"'),
        (b"POST /components/api/start?timeout=soon", 400, '"soon" is no time'),
        (b"POST /components/api/start?timeout=-1", 400, "no time"),
        (b"POST /components/api/start?timeout=nan", 400, "no time"),
        (b"POST /components/api/start?timeout=inf", 400, "no time"),
        (b"POST /components/api/scale", 400, '"" is no number of replicas'),
        (b"POST /components/api/scale?replicas=many", 400, '"many" is no number of replicas'),
        (b"POST /components/api/scale?replicas=2&timeout=soon", 400, "no time"),
        (b"GET /components/api/scale?replicas=2", 405, "does not take GET"),
        (b"GET /wait?component=api&for=happy", 400, 'cannot wait for "happy"'),
        (b"GET /status?x=1", 400, '/status takes no parameter "x"'),
        (b"POST /components/api/start?timeuot=5", 400, 'takes no parameter "timeuot"'),
        (b"POST /components/api/start?timeout=", 400, "no time"),
        (b"POST /components/api/start?timeout=1&timeout=2", 400, '"timeout" is given 2 times'),
        (b"GET /readyz?component=apy", 404, 'no component called "apy"'),
        (b"GET /wait?for=ready", 404, 'no component called ""'),
    ],
)
def test_requests_that_are_refused(server: Running, request_line: bytes, status: int, message: str) -> None:
    """Each with its status, a message and a hint, as JSON."""
    code, headers, body = exchange(server, request_line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert code == status
    assert message in error(body)
    assert json.loads(body)["error"]["hint"]
    assert headers["content-type"] == "application/json"
    assert ("allow" in headers) is (status == 405)
    assert server.control.calls == []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"POST /shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, 413),
        (b"POST /shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /shutdown HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_what_is_not_http_as_it_should_be(server: Running, data: bytes, status: int) -> None:
    """It is answered and the connection closed; nothing is carried out."""
    with connected(server) as connection:
        connection.sendall(data)
        code, headers, _ = answer(connection)
        assert code == status
        assert headers["connection"] == "close"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""
    assert server.control.calls == []
    assert exchange(server, LIVEZ)[0] == 200


def test_a_body_that_is_announced_is_asked_for(server: Running) -> None:
    """Expect: 100-continue, as curl sends it for larger bodies."""
    with connected(server) as connection:
        connection.sendall(
            b"POST /shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{}")
        assert answer(connection)[0] == 202


def test_a_handler_that_fails_inside(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of ours is a 500 with its name, and the server goes on."""
    server.control.error = ZeroDivisionError("division by zero")
    code, _, body = exchange(server, b"POST /components/api/stop HTTP/1.1\r\nHost: x\r\n\r\n")
    assert code == 500
    assert "ZeroDivisionError" in error(body)
    assert "POST /components/api/stop failed" in caplog.text
    assert exchange(server, LIVEZ)[0] == 200


def test_a_slow_client_is_ended_and_hurts_nobody() -> None:
    """A request that trickles in is cut off by its deadline; others are answered meanwhile."""
    with running(Limits(request_seconds=0.3, idle_seconds=0.3)) as server:
        with connected(server) as slow, connected(server) as silent:
            slow.sendall(b"GET /livez HT")
            assert exchange(server, LIVEZ)[0] == 200
            code, _, body = answer(slow)
            assert code == 408
            assert "too long" in error(body)
            assert silent.recv(10) == b""
        eventually(lambda: server.clients() == 0, "all clients are forgotten")


def test_a_client_that_does_not_read_is_ended() -> None:
    """An answer that nobody takes does not stay in memory."""
    with running(Limits(send_seconds=0.3)) as server, connected(server) as connection:
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while True:
                connection.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: server.served, "the client was accepted")
        eventually(lambda: server.clients() == 0, "the client is forgotten")


def test_there_is_a_limit_to_clients() -> None:
    """One too many is told so; when others leave there is room again."""
    with running(Limits(connections=2)) as server:
        with connected(server) as one, connected(server) as two:
            for connection in (one, two):
                connection.sendall(LIVEZ)
                assert answer(connection)[0] == 200
            with connected(server) as three:
                assert answer(three)[0] == 503
        eventually(lambda: server.clients() == 0, "all clients have left")
        assert exchange(server, LIVEZ)[0] == 200


def test_a_command_whose_client_leaves_is_no_longer_waited_for(server: Running) -> None:
    """Ctrl-C in `launcher restart` leaves nothing behind in the launcher."""
    server.control.blocked = True
    connection = connected(server)
    connection.sendall(b"POST /components/api/restart HTTP/1.1\r\nHost: x\r\n\r\n")
    assert server.control.begun.wait(30)
    connection.close()
    assert server.control.cancelled.wait(30)
    eventually(lambda: server.clients() == 0, "the client is forgotten")


def test_closing_lets_answers_under_way_be_finished() -> None:
    """A command that ends in time is answered; idle clients do not hold the end up."""
    with running(Limits(close_seconds=30)) as server:
        server.control.blocked = True
        with connected(server) as busy, connected(server) as idle:
            busy.sendall(b"GET /wait?component=api HTTP/1.1\r\nHost: x\r\n\r\n")
            assert server.control.begun.wait(30)
            closing = asyncio.run_coroutine_threadsafe(server.server.close(), server.loop)
            assert idle.recv(10) == b""
            server.release()
            code, headers, _ = answer(busy)
            assert (code, headers["connection"]) == (200, "close")
            closing.result(30)
        assert not server.path.exists()


def test_closing_does_not_wait_for_ever() -> None:
    """What is not finished within the limit is cancelled."""
    with running(Limits(close_seconds=0.1)) as server, connected(server) as busy:
        server.control.blocked = True
        busy.sendall(b"GET /wait?component=api HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server.control.begun.wait(30)
        server.do(server.server.close())
        assert server.control.cancelled.is_set()
        assert busy.recv(10) == b""


def test_an_answer_in_pieces(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler may answer with an iterator: the pieces go out as they come."""
    gate = threading.Event()

    async def dispatch(_port: object, _request: object) -> Response:
        async def pieces() -> AsyncGenerator[bytes, None]:
            yield b"one"
            await asyncio.to_thread(gate.wait, 30)
            yield b"two"

        return Response(200, pieces(), content_type="text/event-stream")

    monkeypatch.setattr("launcher.web.server.dispatch", dispatch)
    with connected(server) as connection:
        connection.sendall(LIVEZ)
        data = b""
        while b"one" not in data:
            data += connection.recv(4096)
        assert b"two" not in data
        gate.set()
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(4096)
        assert b"two" in data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(
        st.sampled_from([b"GET ", b"/status", b" HTTP/1.1", b"\r\n", b"Host: x", b":", b"\x00", b"\xff"])
        | st.binary(max_size=40)
    )
)
def test_no_bytes_upset_the_server(server: Running, pieces: list[bytes]) -> None:
    """Whatever is sent, the next client is served."""
    with connected(server) as connection:
        try:
            connection.sendall(b"".join(pieces))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert exchange(server, LIVEZ)[0] == 200
