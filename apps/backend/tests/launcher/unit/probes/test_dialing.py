"""Getting connected, and saying precisely why not."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from launcher.probes.checks import FailureCause, check_tcp, check_unix, check_url, dialing
from launcher.probes.checks.dialing import connected_to_itself, resolve
from tests.launcher.unit.probes.peers import answering, closing, peer, silent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.launcher.unit.probes.peers import Script

PONG = answering(b"+PONG\r\n")


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "scheme", ["tcp", "http", "https", "redis", "rediss", "postgresql", "bolt", "neo4j+s"]
)
async def test_refused_is_told_with_the_address(scheme: str, unused_port: int) -> None:
    """Where nobody listens, every check says so in the same words, at once."""
    result = await check_url(f"{scheme}://127.0.0.1:{unused_port}", timeout=30)
    assert (result.ok, result.cause) == (False, FailureCause.REFUSED)
    assert result.reason == f"refused by 127.0.0.1:{unused_port}"
    assert result.hint


async def test_an_open_port_is_ready() -> None:
    """A TCP check wants a connection and nothing more."""
    async with peer(silent) as other:
        assert (await check_tcp("127.0.0.1", other.port, 10)).ok
        assert (await check_url(f"tcp://localhost:{other.port}", 10)).ok
    assert (await check_tcp("127.0.0.1", 70000)).cause is FailureCause.INVALID


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is a matter of DNS (RFC 6761 keeps .invalid unused); so is one that cannot be a name."""
    monkeypatch.setenv("RES_OPTIONS", "timeout:1 attempts:1")
    result = await check_url("redis://no-such-host.invalid", timeout=30)
    assert (result.cause, result.hint != "") == (FailureCause.DNS, True)
    assert result.reason.startswith("cannot resolve no-such-host.invalid")
    assert (await check_tcp("a" * 64 + ".example", 80, 30)).cause is FailureCause.DNS


async def test_a_dead_name_server_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging lookup costs the check its own time only, occupies one thread for any number of checks, and is shared."""
    asked, released = threading.Event(), threading.Event()
    lookups = []

    def hanging(host: str, port: int, flags: int) -> list[dialing.SocketAddress]:
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "not numeric")
        lookups.append(host)
        asked.set()
        released.wait(60)
        return [(socket.AF_INET, 6, ("127.0.0.1", port))]

    monkeypatch.setattr(dialing, "_addresses", hanging)
    try:
        results = await asyncio.gather(*(check_url("tcp://db.example:5432", 0.1) for _ in range(20)))
        assert {result.cause for result in results} == {FailureCause.TIMEOUT}
        assert {result.reason for result in results} == {"the name db.example was not resolved within 0.1 s"}
        waiting = asyncio.create_task(resolve("db.example", 5432))
        assert await asyncio.to_thread(asked.wait, 30)
        assert lookups == ["db.example"]
    finally:
        released.set()
    assert await waiting == [(socket.AF_INET, 6, ("127.0.0.1", 5432))]
    async with asyncio.timeout(10):
        while dialing._lookups:  # noqa: ASYNC110 (a thread cannot set an asyncio event)
            await asyncio.sleep(0.01)


async def test_several_hosts_are_tried_in_turn(unused_port: int) -> None:
    """The first host of a PostgreSQL URL that accepts is asked; the last failure is told when none does."""
    async with peer(closing) as other:
        url = f"postgresql://app@127.0.0.1:{unused_port},127.0.0.1:{other.port}/x"
        assert (await check_url(url, 10)).cause is FailureCause.CLOSED
    url = f"postgresql://app@/x?port={unused_port}&host=no-such-host.invalid,/nowhere,127.0.0.1"
    assert (await check_url(url, 30)).reason == f"refused by 127.0.0.1:{unused_port}"


async def test_one_unreachable_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose first address swallows connections is still reached by its second one."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        _fill_queue(full, waiting)
        async with peer(PONG) as other:
            addresses = [
                (socket.AF_INET, 6, address) for address in (full.getsockname(), ("127.0.0.1", other.port))
            ]
            monkeypatch.setattr(dialing, "_addresses", lambda host, port, flags: addresses)
            result = await check_url("redis://cache.example", timeout=2)
            assert result.ok, result
        only = [(socket.AF_INET, 6, full.getsockname())]
        monkeypatch.setattr(dialing, "_addresses", lambda host, port, flags: only)
        result = await check_url("redis://cache.example", timeout=0.2)
    assert (result.cause, result.reason) == (
        FailureCause.TIMEOUT,
        "no connection to cache.example:6379 within 0.2 s",
    )


def _fill_queue(listening: socket.socket, keep: ExitStack) -> None:
    """Connect until the listen queue takes no more."""
    for _ in range(64):
        client = keep.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listening.getsockname())


def test_a_connection_to_itself_is_recognised() -> None:
    """TCP can connect a socket to itself; that is no server."""
    with socket.socket() as lonely:
        lonely.bind(("127.0.0.1", 0))
        lonely.connect(lonely.getsockname())
        assert connected_to_itself(lonely)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert not connected_to_itself(client)


async def test_unix_sockets(tmp_path: Path) -> None:
    """A missing socket, a dead one, a full one and a living one are told apart."""
    path = tmp_path / "s"
    result = await check_unix(str(path))
    assert (result.cause, result.reason) == (FailureCause.REFUSED, f"there is no socket {path}")
    with socket.socket(socket.AF_UNIX) as server, ExitStack() as waiting:
        server.bind(str(path))
        assert (await check_unix(str(path))).cause is FailureCause.REFUSED
        server.listen(0)
        assert (await check_unix(str(path))).ok
        for _ in range(8):
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect_ex(str(path))
        result = await check_unix(str(path))
    assert (result.cause, result.reason) == (FailureCause.NOT_READY, f"the listen queue of {path} is full")
    assert (await check_unix("/tmp/" + "x" * 200)).cause is FailureCause.UNREACHABLE
    assert (await check_unix("/tmp/a\0b")).cause is FailureCause.INVALID


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate to test TLS with")
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "chain.pem"
    request = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*request, *subject, "-keyout", key, "-out", chain], check=True, capture_output=True)
    chain.write_text(chain.read_text() + key.read_text())
    return chain


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize(
    ("url", "cause", "reason"),
    [
        ("rediss://localhost:{port}?ssl_ca_certs={ca}", None, ""),
        ("rediss://localhost:{port}?ssl_cert_reqs=none", None, ""),
        ("rediss://127.0.0.1:{port}?ssl_cert_reqs=none", None, ""),
        ("rediss://127.0.0.1:{port}?ssl_ca_certs={ca}&ssl_check_hostname=false", None, ""),
        ("rediss://127.0.0.1:{port}?ssl_ca_certs={ca}", FailureCause.TLS, "is not trusted"),
        ("rediss://localhost:{port}", FailureCause.TLS, "is not trusted"),
        ("rediss://localhost:{port}?ssl_ca_certs=/nowhere.pem", FailureCause.TLS, "/nowhere.pem"),
    ],
)
async def test_tls(
    url: str, cause: FailureCause | None, reason: str, certificate: Path, server_tls: ssl.SSLContext
) -> None:
    """Certificates are verified as far as the URL says, and what is wrong with TLS is told as such."""
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: None
    )  # the peer's failed handshakes
    async with peer(PONG, server_tls) as other:
        result = await check_url(url.format(port=other.port, ca=certificate), timeout=20)
    assert result.cause is cause, result
    assert reason in result.reason
    assert (result.hint == "") == result.ok


@pytest.mark.parametrize("scheme", ["rediss", "https", "bolt+s"])
@pytest.mark.parametrize(
    ("script", "cause", "words"),
    [
        (closing, FailureCause.TLS, "during the TLS handshake"),
        (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), FailureCause.TLS, "does not speak TLS"),
        (silent, FailureCause.TIMEOUT, "no end of the TLS handshake within 0.5 s"),
    ],
    ids=["close", "plain", "silence"],
)
async def test_a_peer_without_tls(scheme: str, script: Script, cause: FailureCause, words: str) -> None:
    """A peer that does not speak TLS is told so, with the remedy, whatever it does instead."""
    timeout = 0.5 if script is silent else 20
    async with peer(script) as other:
        result = await check_url(f"{scheme}://127.0.0.1:{other.port}", timeout=timeout)
        await asyncio.wait_for(other.gone.wait(), 10)
    assert result.cause is cause, result
    assert words in result.reason
    assert "TLS" in result.hint


async def test_postgres_over_tls(certificate: Path, server_tls: ssl.SSLContext) -> None:
    """TLS is agreed on in the clear first; only the encrypted conversation carries user name and password."""
    login = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
    seen = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == bytes.fromhex("0000000804d2162f")
        writer.write(b"S")
        await writer.start_tls(server_tls)
        while data := await reader.read(4096):
            seen.extend(data)
            writer.write(login if b"user" in data else b"Z\0\0\0\x05I")

    async with peer(script) as other:
        url = f"postgresql://app@localhost:{other.port}/news?sslmode=verify-full&sslrootcert={certificate}"
        result = await check_url(url, timeout=20)
    assert result.ok, result
    assert b"user\0app\0" in seen
    assert seen.endswith(b"X\0\0\0\x04")


def test_it_all_works_on_uvloop(certificate: Path, server_tls: ssl.SSLContext) -> None:
    """The checks use nothing that only the loop of the standard library has."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def ask() -> None:
        async with peer(PONG) as plain, peer(PONG, server_tls) as encrypted, peer(silent) as mute:
            assert (await check_url(f"redis://localhost:{plain.port}", 20)).ok
            assert (await check_url(f"rediss://localhost:{encrypted.port}?ssl_ca_certs={certificate}", 20)).ok
            assert (await check_url(f"postgresql://127.0.0.1:{mute.port}", 0.1)).cause is FailureCause.TIMEOUT
            assert (await check_url(f"bolt+ssc://127.0.0.1:{mute.port}", 0.1)).cause is FailureCause.TIMEOUT
            await asyncio.wait_for(mute.gone.wait(), 10)
        assert (await check_url(f"redis://127.0.0.1:{plain.port}", 20)).cause is FailureCause.REFUSED

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())
