"""The checks against the real servers: ready, not ready, denied, and mistaken for one another."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from launcher.probes.checks import FailureCause, check_http, check_tcp, check_unix, check_url
from tests.launcher.integration.probes.servers import bolt, free_port, postgres, valkey, web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCESS = """\
local all all trust
host all trusted 127.0.0.1/32 trust
host all app 127.0.0.1/32 scram-sha-256
host all plain 127.0.0.1/32 password
host all old 127.0.0.1/32 md5
"""
SETUP = """\
CREATE ROLE trusted LOGIN;
CREATE ROLE app LOGIN PASSWORD 'p@ss:w/rd? é';
CREATE ROLE plain LOGIN PASSWORD 'in the clear';
CREATE ROLE full_up LOGIN CONNECTION LIMIT 0;
SET password_encryption = 'md5';
CREATE ROLE old LOGIN PASSWORD 'old fashioned';
"""
DENIED, NOT_READY, TIMEOUT = FailureCause.AUTHENTICATION, FailureCause.NOT_READY, FailureCause.TIMEOUT
ENOUGH = 20.0


@dataclass(frozen=True)
class Place:
    """Where a server is reached."""

    port: int
    path: str = ""

    def url(self, form: str) -> str:
        """Fill the place into a URL."""
        return form.format(h=f"127.0.0.1:{self.port}", port=self.port, path=self.path)


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """PostgreSQL with a role for each way of authentication."""
    folder, port = tmp_path_factory.mktemp("pg"), free_port()
    with postgres(folder, port, ACCESS, SETUP):
        yield Place(port, str(folder))


@pytest.fixture(scope="module")
def open_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Valkey that lets everybody in."""
    port = free_port()
    with valkey(tmp_path_factory.mktemp("vk"), port) as path:
        yield Place(port, str(path))


@pytest.fixture(scope="module")
def guarded_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Valkey with a password, and with a user who may log in but not PING."""
    port = free_port()
    users = ["--requirepass", "sesame", "--user", "limited", "on", ">hush", "~*", "-@all"]
    with valkey(tmp_path_factory.mktemp("vk"), port, *users) as path:
        yield Place(port, str(path))


@pytest.fixture(scope="module")
def bolt_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server of the Bolt protocol; user root, password "gr@ph password"."""
    port = free_port()
    with bolt(tmp_path_factory.mktemp("bolt"), port, "gr@ph password"):
        yield Place(port)


@pytest.fixture(scope="module")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A web server with one page."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "health").write_text("ok")
    with web(folder) as port:
        yield Place(port)


@pytest.mark.parametrize(
    ("form", "cause", "reason"),
    [
        ("postgresql://trusted@{h}/postgres", None, ""),
        ("postgres://trusted@localhost:{port}/postgres", None, ""),
        ("postgresql://admin@/postgres?host={path}&port={port}", None, ""),
        ("postgresql+asyncpg://app:p%40ss%3Aw%2Frd%3F%20%C3%A9@{h}/postgres", None, ""),
        ("postgresql+psycopg://plain:in%20the%20clear@{h}/postgres?sslmode=disable", None, ""),
        ("postgresql://old:old%20fashioned@{h}/postgres", None, ""),
        ("postgresql://app:wrong@{h}/postgres", DENIED, 'password authentication failed for user "app"'),
        ("postgresql://plain:wrong@{h}/postgres", DENIED, 'password authentication failed for user "plain"'),
        ("postgresql://old:wrong@{h}/postgres", DENIED, 'password authentication failed for user "old"'),
        ("postgresql://app@{h}/postgres", DENIED, 'asks for the password of user "app"'),
        ("postgresql://stranger:x@{h}/postgres", DENIED, "no pg_hba.conf entry"),
        ("postgresql://trusted@{h}/nowhere", NOT_READY, 'database "nowhere" does not exist'),
        ("postgresql://full_up@/postgres?host={path}&port={port}", NOT_READY, "too many connections"),
        ("postgresql://trusted@{h}/postgres?sslmode=require", FailureCause.TLS, "does not offer TLS"),
        ("postgresql://127.0.0.1:1,{h}/postgres?user=trusted", None, ""),
    ],
)
async def test_postgresql(postgres_server: Place, form: str, cause: FailureCause | None, reason: str) -> None:
    """Every way of authentication works, and every refusal is told in the server's own words."""
    result = await check_url(postgres_server.url(form), timeout=ENOUGH)
    assert result.cause is cause, result
    assert result.ok == (cause is None)
    assert reason in result.reason
    assert result.ok or result.hint


@pytest.mark.parametrize(
    ("form", "cause", "reason"),
    [
        ("redis://{h}", None, ""),
        ("valkey://localhost:{port}/3", None, ""),
        ("unix://{path}?db=1", None, ""),
        ("redis://{h}/99", NOT_READY, "out of range"),
        ("redis://:pw@{h}", DENIED, "without any password"),
        ("redis://stranger:secret@{h}", DENIED, "WRONGPASS"),
    ],
)
async def test_open_valkey(open_valkey: Place, form: str, cause: FailureCause | None, reason: str) -> None:
    """A server without a password is ready over TCP and over its Unix socket."""
    result = await check_url(open_valkey.url(form), timeout=ENOUGH)
    assert result.cause is cause, result
    assert reason in result.reason


@pytest.mark.parametrize(
    ("form", "cause", "reason"),
    [
        ("redis://:sesame@{h}/2", None, ""),
        ("redis://default:sesame@{h}", None, ""),
        ("unix://:sesame@{path}", None, ""),
        ("redis://{h}?password=sesame", None, ""),
        ("redis://limited:hush@{h}", None, ""),
        ("redis://{h}", DENIED, "NOAUTH"),
        ("redis://:wrong@{h}", DENIED, "WRONGPASS"),
        ("unix://{path}", DENIED, "NOAUTH"),
    ],
)
async def test_guarded_valkey(
    guarded_valkey: Place, form: str, cause: FailureCause | None, reason: str
) -> None:
    """A server with a password is ready for those who know it, even for a user who may not PING."""
    result = await check_url(guarded_valkey.url(form), timeout=ENOUGH)
    assert result.cause is cause, result
    assert reason in result.reason
    assert "sesame" not in repr(result)


@pytest.mark.parametrize(
    ("form", "cause"),
    [
        ("bolt://root:gr%40ph%20password@{h}", None),
        ("neo4j://root:gr%40ph%20password@localhost:{port}", None),
        ("neo4j://{h}?user=root&password=gr%40ph%20password", None),
        ("bolt://root:wrong@{h}", DENIED),
        ("bolt://{h}", None),
        ("bolt+s://root:gr%40ph%20password@{h}", FailureCause.TLS),
    ],
)
async def test_bolt(bolt_server: Place, form: str, cause: FailureCause | None) -> None:
    """A Bolt server is ready for those it lets in."""
    result = await check_url(bolt_server.url(form), timeout=ENOUGH)
    assert result.cause is cause, result
    assert result.ok or result.hint


async def test_web(web_server: Place) -> None:
    """A page that is there is ready, one that is not says its status; ports and statuses can be asked for too."""
    assert (await check_url(web_server.url("http://{h}/health"), timeout=ENOUGH)).ok
    missing = await check_url(web_server.url("http://{h}/nope"), timeout=ENOUGH)
    assert (missing.cause, "answered 404" in missing.reason) == (FailureCause.STATUS, True)
    assert (await check_http(web_server.url("http://{h}/nope"), expect=[404], timeout=ENOUGH)).ok
    assert (await check_tcp("127.0.0.1", web_server.port, ENOUGH)).ok
    encrypted = await check_url(web_server.url("https://{h}/health"), timeout=ENOUGH)
    assert (encrypted.cause, "does not speak TLS" in encrypted.reason) == (FailureCause.TLS, True)


async def test_one_server_for_another(
    postgres_server: Place, open_valkey: Place, bolt_server: Place, web_server: Place
) -> None:
    """A URL that points at another kind of server is never ready, and the reason is not that it is down."""
    schemes = {
        "postgresql://u:password1@{h}/x": postgres_server,
        "redis://:password1@{h}": open_valkey,
        "bolt://u:password1@{h}": bolt_server,
        "http://u:password1@{h}/": web_server,
    }
    acceptable = {FailureCause.WRONG_PROTOCOL, FailureCause.CLOSED, FailureCause.TIMEOUT, FailureCause.STATUS}
    pairs = [(form, place) for form, own in schemes.items() for place in schemes.values() if place is not own]
    for result in await asyncio.gather(*(check_url(place.url(form), timeout=1) for form, place in pairs)):
        assert result.cause in acceptable, result
        assert result.reason
        assert "password1" not in repr(result)


async def test_a_unix_socket_of_a_server(open_valkey: Place, tmp_path: Path) -> None:
    """A Unix socket can be checked by its path alone."""
    assert (await check_unix(open_valkey.path, ENOUGH)).ok
    assert (await check_unix(str(tmp_path / "none"), ENOUGH)).cause is FailureCause.REFUSED


async def test_from_down_to_up_to_down(tmp_path: Path) -> None:
    """The same URL tells a server that is not there, then there, then gone again."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    assert (await check_url(url, ENOUGH)).cause is FailureCause.REFUSED
    with ExitStack() as server:
        await asyncio.to_thread(server.enter_context, valkey(tmp_path, port))
        assert (await check_url(url, ENOUGH)).ok
        await asyncio.to_thread(server.close)
    assert (await check_url(url, ENOUGH)).cause is FailureCause.REFUSED


async def test_two_hundred_checks_at_once(open_valkey: Place) -> None:
    """Many checks at the same time do not disturb one another."""
    url = open_valkey.url("redis://localhost:{port}/1")
    results = await asyncio.gather(*(check_url(url, 30) for _ in range(200)))
    assert all(result.ok for result in results), next(result for result in results if not result.ok)
