"""Both doors over real sockets: whom they let in, logins of browsers, and clients that send anything at all."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.client import Client
from launcher.errors import BindFailed, CommandFailed, RunDirectoryError
from launcher.web.access import Reach
from launcher.web.interface import Interface
from launcher.web.routes import ROUTES
from launcher.web.server import Limits
from launcher.web.static import POLICY, STATIC
from tests.launcher.integration.web.opened import Opened, opened
from tests.launcher.integration.web.scripted import ScriptedControl, eventually


@pytest.fixture
def both() -> Iterator[Opened]:
    with opened() as interface:
        yield interface


LINES = [f"{route.method} {route.path.replace('{name}', 'api')}" for route in ROUTES]
GUARDED = [
    f"{route.method} {route.path.replace('{name}', 'api')}"
    for route in ROUTES
    if route.reach is not Reach.ANYBODY
]


# ---- who is let in -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", GUARDED)
def test_every_route_wants_the_token(both: Opened, line: str) -> None:
    """Without it, or with another, nothing is carried out and nothing is told."""
    for headers in (
        {"authorization": "-"},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {both.token}x"},
        {"authorization": f"Bearer {both.token[:-1]}"},
        {"authorization": f"Basic {both.token}"},
        {"authorization": "-", "cookie": f"launcher-{both.port}=x"},
        {"authorization": "-", "cookie": f"launcher-{both.port}={both.token}"},
    ):
        answer = both.ask(line, headers)
        only_socket = line.endswith("/login-codes")
        assert answer.status == (403 if only_socket else 401), headers
        assert ("www-authenticate" in answer.headers) is not only_socket
        assert answer.document["error"]["hint"]
        assert both.token[:-1] not in answer.body.decode()
    assert both.control.calls == []


@pytest.mark.parametrize("line", [*LINES, "GET /", "GET /nowhere", "PUT /status"])
def test_every_route_wants_its_own_name(both: Opened, line: str) -> None:
    """A request that was meant for another server is refused even with the token: a foreign name may have been made to point here."""
    for host in ("-", "127.0.0.1", "evil.example", f"evil.example:{both.port}", f"127.0.0.1:{both.port + 1}"):
        assert both.ask(line, host=host).status == 421, host
    assert both.control.calls == []


@pytest.mark.parametrize("line", [*LINES, "GET /", "GET /nowhere", "PUT /status"])
def test_no_route_is_for_pages_of_others(both: Opened, line: str) -> None:
    """A page of another server is refused even with the token, and nothing allows a browser to show it an answer."""
    for origin in (
        "http://evil.example",
        "null",
        "",
        f"http://127.0.0.1:{both.port + 1}",
        f"https://{both.host}",
    ):
        answer = both.ask(line, origin=origin)
        assert answer.status == 403, origin
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert both.control.calls == []


def test_who_is_let_in(both: Opened) -> None:
    """With the token everything is as on the control socket, which needs none and takes any name."""
    for headers in ({}, {"host": f"localhost:{both.port}"}, {"origin": f"http://{both.host}"}):
        assert both.ask("GET /status", headers).document["name"] == "newsdesk"
    assert both.ask("POST /components/api/stop").status == 200
    assert both.ask("POST /components/api/stop", tcp=False, authorization="-").status == 200
    assert both.ask("GET /nowhere").status == 404
    assert [call[0] for call in both.control.calls] == ["stop", "stop"]


def test_the_token_is_for_its_owner(both: Opened) -> None:
    """The file is readable for its owner only, holds a new token for each run, and vanishes with the launcher."""
    path = both.run_dir / "api.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = both.token
    assert len(first) >= 43  # 32 bytes in base64
    both.close()
    assert not path.exists()
    both.begin()
    assert both.token != first
    assert both.ask("GET /status", authorization=f"Bearer {first}").status == 401


def test_the_umask_plays_no_part(tmp_path: Path) -> None:
    """With a umask of 0 nobody else can read the token."""
    before = os.umask(0)
    try:
        with opened() as both:
            mode = (both.run_dir / "api.token").stat().st_mode
    finally:
        os.umask(before)
    assert stat.S_IMODE(mode) == 0o600


def test_it_listens_on_loopback_only(both: Opened) -> None:
    """Other machines cannot even connect."""
    assert both.interface.loopback is not None
    (server,) = [one for one in both.interface._servers if one._door is both.interface.loopback]
    assert server._server is not None
    (listener,) = server._server.sockets
    assert listener.getsockname()[0] == "127.0.0.1"


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It is said who has it and what to do; nothing stays open, no socket and no token."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        interface = Interface(ScriptedControl(), tmp_path, port)
        with pytest.raises(BindFailed) as caught:
            await interface.start()
    assert f"port {port} is taken by" in caught.value.message
    assert "--api" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


async def test_a_token_that_cannot_be_written(tmp_path: Path) -> None:
    """Without a token there is no port."""
    (tmp_path / "api.token").mkdir()
    interface = Interface(ScriptedControl(), tmp_path, 0)
    with pytest.raises(RunDirectoryError) as caught:
        await interface.start()
    assert "api.token" in caught.value.message
    assert caught.value.hint


def test_strangers_do_not_keep_the_owner_out() -> None:
    """Whoever takes all connections of the port has none of the control socket."""
    with opened(Limits(connections=2)) as both, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(both.connected(tcp=True))
        eventually(lambda: both.clients() == 2, "both are there")
        assert both.ask("GET /livez").status == 503
        assert Client(both.path).request("GET", "/livez") == {"ok": True}


# ---- browsers ----------------------------------------------------------------------------------------------------------------------


def test_a_browser_logs_in(both: Opened) -> None:
    """A code from the control socket is exchanged once for a cookie that pages cannot read, and that no other page can use."""
    login = Client(both.path).login()
    assert login["url"].startswith(f"http://{both.host}/login?once=")
    assert login["seconds"] == 60
    line = f"GET {login['url'].removeprefix(f'http://{both.host}')}"
    answer = both.ask(line, authorization="-")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(attributes)
    own = f"http://{both.host}"
    for sent, status in [
        ({"line": "GET /status"}, 200),
        ({"line": "GET /status", "origin": own}, 200),
        ({"line": "POST /components/api/stop", "origin": own}, 200),
        ({"line": "POST /components/api/stop"}, 403),
        ({"line": "POST /components/api/stop", "origin": "http://127.0.0.1:8000"}, 403),
    ]:
        asked = {"authorization": "-", "cookie": f"theme=dark; {cookie}", **sent}
        assert both.ask(asked.pop("line"), asked).status == status, sent
    assert [call[0] for call in both.control.calls] == ["stop"]
    again = both.ask(line, authorization="-")
    assert again.status == 403
    assert "launcher dashboard" in again.document["error"]["hint"]
    assert both.ask("GET /login", authorization="-").status == 403
    reading = both.followed("/events", tcp=True, authorization="", cookie=cookie)
    reading.close()


def test_without_a_port_there_is_no_login(tmp_path: Path) -> None:
    """The control socket says how to get one."""
    with opened() as both:
        both.close()
        both.interface = Interface(both.control, both.run_dir)
        both.do(both.interface.start())
        with pytest.raises(CommandFailed) as caught:
            Client(both.path).login()
        assert "--api" in caught.value.hint
        both.close()
        both.begin()


@pytest.mark.parametrize("path", STATIC)
def test_files_need_no_token_and_may_do_little(both: Opened, path: str) -> None:
    """Each comes with its type and a policy that lets it load nothing from elsewhere; it holds nothing of this launcher."""
    answer = both.ask(f"GET {path}", authorization="-")
    assert answer.status == 200
    assert answer.body
    assert answer.headers["content-type"] == STATIC[path][1]
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert both.token.encode() not in answer.body


def test_nothing_else_is_served(both: Opened) -> None:
    """Only what stands in the table is a file."""
    for path in (
        "/../routes.py",
        "/%2e%2e/routes.py",
        "/index.html.bak",
        "//etc/passwd",
        "/static/index.html",
    ):
        assert both.ask(f"GET {path}").status == 404
        assert both.ask(f"GET {path}", authorization="-").status == 401


# ---- clients that behave badly -----------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"/status",
            b"/events",
            b"/logs?n=1",
            b"/login?once=",
            b" HTTP/1.1",
            b" HTTP/1.0",
        ),
        *(
            b"\r\n",
            b"\r\n\r\n",
            b"Host: x",
            b"Host: localhost",
            b"Authorization: Bearer ",
            b"Cookie: ",
            b"Origin: ",
        ),
        *(b"Last-Event-ID: @", b"Content-Length: 5", b"Transfer-Encoding: chunked", b":", b"\x00", b"\xff"),
    ]
)


@pytest.mark.parametrize("tcp", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(pieces=st.lists(PIECES | st.binary(max_size=40)), leaves=st.booleans())
def test_no_bytes_upset_a_door(both: Opened, tcp: bool, pieces: list[bytes], leaves: bool) -> None:
    """Whatever is sent, and however the client leaves, the next one is served and nothing was carried out."""
    with both.connected(tcp=tcp) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(b"".join(pieces))
        if leaves:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # with a reset
        else:
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.2)  # a stream may have begun
            with contextlib.suppress(TimeoutError):
                while connection.recv(4096):
                    pass
    assert both.ask("GET /livez", tcp=tcp).document == {"ok": True}
    assert both.control.calls == []


def sends_slowly(connection: socket.socket, head: bytes) -> None:
    """The beginning of a request, byte by byte, and then nothing."""
    for byte in (b"GET /status HTTP/1.1\r\n" + head)[: random.Random(7).randrange(1, 60)]:
        connection.send(bytes([byte]))
    connection.recv(1)


def says_nothing(connection: socket.socket, _head: bytes) -> None:
    connection.recv(1)


def closes_one_side(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"GET /status HTTP/1.1\r\n" + head)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass


def follows_and_does_not_listen(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"GET /events HTTP/1.1\r\n" + head)
    threading.Event().wait(1.5)


def vanishes(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"GET /logs HTTP/1.1\r\n" + head)


def asks_much_and_reads_nothing(connection: socket.socket, head: bytes) -> None:
    connection.setblocking(False)
    for _ in range(2000):
        connection.send(b"GET /status HTTP/1.1\r\n" + head)


MISBEHAVIOUR = (
    sends_slowly,
    says_nothing,
    closes_one_side,
    follows_and_does_not_listen,
    vanishes,
    asks_much_and_reads_nothing,
)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_crowd_that_misbehaves(tcp: bool) -> None:
    """Slow, silent, half-closed, stalled and vanishing clients all at once: others are answered meanwhile, and all of them are forgotten."""
    with opened(Limits(request_seconds=1.0, idle_seconds=1.0, send_seconds=1.0)) as both:
        both.publish(*range(200))
        head = f"Host: {both.host}\r\nAuthorization: Bearer {both.token}\r\n\r\n".encode()

        def misbehave(number: int) -> None:
            with contextlib.suppress(OSError), both.connected(tcp=tcp) as connection:
                MISBEHAVIOUR[number % len(MISBEHAVIOUR)](connection, head)

        crowd = [threading.Thread(target=misbehave, args=(number,)) for number in range(48)]
        for thread in crowd:
            thread.start()
        answers = [both.ask("GET /livez", tcp=tcp).status for _ in range(50)]
        for thread in crowd:
            thread.join(60)
        assert set(answers) == {200}
        eventually(lambda: both.clients() == 0, "all of them are forgotten")
        eventually(lambda: both.followers() == 0, "nobody follows the journal")
        assert both.ask("GET /livez", tcp=tcp).status == 200
