"""The development servers as processes: what survives, what is refused, and how they stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from neo4j.exceptions import AuthError
from sqlalchemy import text

from services.neo4j_graph import Neo4jService
from services.postgres import PostgresService
from services.redis_streams import RedisService
from services.settings import Settings
from tests.backend_servers import PASSWORD, DevServer, free_port, service_for

Start = Callable[..., DevServer]


@pytest.fixture
def start(servers: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start servers below the test's own folder; all are gone after the test. Skips where the wheels are missing."""
    started: list[DevServer] = []

    def begin(name: str, *flags: str, folder: str = "data", **given: Any) -> DevServer:
        server = DevServer.start(name, tmp_path / folder, *flags, **given)
        started.append(server)
        return server

    yield begin
    for server in started:
        server.stop(signal.SIGKILL)


async def rows(port: int, *statements: str) -> list[Any]:
    """Run statements in one transaction of PostgreSQL on `port`; the rows of the last one."""
    service = PostgresService(f"postgresql://newsdesk@127.0.0.1:{port}/postgres")
    await service.connect()
    try:
        async with service.begin() as connection:
            results = [await connection.execute(text(statement)) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
    finally:
        await service.disconnect()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_postgres_keeps_its_data(start: Start, number: signal.Signals) -> None:
    """What was committed is there after a fast shutdown and after a kill."""
    first = start("postgres")
    await first.ready(service_for("postgres", first.port))
    await rows(first.port, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
    first.stop(number)
    second = start("postgres")
    await second.ready(service_for("postgres", second.port))
    assert await rows(second.port, "SELECT n FROM kept") == [(7,)]


async def test_postgres_ends_open_sessions_on_sigint(start: Start) -> None:
    """The documented stop signal does not wait for clients, and ends with status 0."""
    server = start("postgres", "--ephemeral")
    service = PostgresService(f"postgresql://newsdesk@127.0.0.1:{server.port}/postgres")
    await server.ready(service_for("postgres", server.port))
    await service.connect()
    try:
        await service.check_connection()
        assert server.stop(signal.SIGINT) == 0
    finally:
        await service.disconnect()


async def test_an_interrupted_initdb_is_begun_again(start: Start, tmp_path: Path) -> None:
    """Remains of a creation that never finished are removed; the cluster is created anew."""
    remains = tmp_path / "data" / "cluster.unfinished"
    remains.mkdir(parents=True)
    (remains / "PG_VERSION").write_text("18\n")
    server = start("postgres", "--ephemeral")
    await server.ready(service_for("postgres", server.port))
    assert not remains.exists()


async def test_a_pid_given_to_another_program_does_not_stop_postgres(start: Start, tmp_path: Path) -> None:
    """After a kill the PID in `postmaster.pid` may belong to somebody else, here to a program that does nothing."""
    first = start("postgres")
    await first.ready(service_for("postgres", first.port))
    first.stop(signal.SIGKILL)
    pidfile = tmp_path / "data" / "cluster" / "postmaster.pid"
    lines = pidfile.read_text().split("\n")
    stranger = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    pidfile.write_text("\n".join([str(stranger.pid), *lines[1:]]))
    second = start("postgres")
    await second.ready(service_for("postgres", second.port))
    await stranger.communicate(b"\n")


async def test_redis_keeps_its_data(start: Start) -> None:
    """A restart reads the append-only file."""
    first = start("redis")
    await first.ready(service_for("redis", first.port))
    await _with_redis(first.port, "set")
    assert first.stop() == 0
    second = start("redis")
    await second.ready(service_for("redis", second.port))
    assert await _with_redis(second.port, "get") == "7"


async def test_ephemeral_starts_empty(start: Start) -> None:
    """With the flag nothing of an earlier life is seen."""
    first = start("redis")
    await first.ready(service_for("redis", first.port))
    await _with_redis(first.port, "set")
    first.stop()
    second = start("redis", "--ephemeral")
    await second.ready(service_for("redis", second.port))
    assert await _with_redis(second.port, "get") is None


async def _with_redis(port: int, action: str) -> Any:
    service = RedisService(f"redis://127.0.0.1:{port}/0")
    await service.connect()
    try:
        async with service.client() as client:
            return await client.set("kept", "7") if action == "set" else await client.get("kept")
    finally:
        await service.disconnect()


async def test_bolt_keeps_its_data_and_takes_a_new_password(start: Start) -> None:
    """After a restart with another password the old one is refused, and the graph is as it was."""
    first = start("bolt")
    await first.ready(service_for("bolt", first.port))
    old = Neo4jService(f"bolt://127.0.0.1:{first.port}", "root", PASSWORD)
    await old.connect()
    await old.run("CREATE (:Kept {n: 7})")
    await old.disconnect()
    command = Path(f"/proc/{first.process.pid}/cmdline")
    assert not command.exists() or PASSWORD not in command.read_text()
    first.stop()
    second = start("bolt", NEO4J_PASSWORD="another-one")
    new = Neo4jService(f"bolt://127.0.0.1:{second.port}", "root", "another-one")
    await second.ready(Neo4jService(f"bolt://127.0.0.1:{second.port}", "root", "another-one"))
    stale = Neo4jService(f"bolt://127.0.0.1:{second.port}", "root", PASSWORD)
    await new.connect()
    await stale.connect()
    try:
        assert await new.run("MATCH (k:Kept) RETURN k.n AS n") == [{"n": 7}]
        with pytest.raises(AuthError):
            await stale.check_connection()
    finally:
        await new.disconnect()
        await stale.disconnect()


async def test_a_data_directory_has_one_owner(start: Start) -> None:
    """A second server on the same directory is refused with the PID of the first, and status 2."""
    first = start("redis")
    await first.ready(service_for("redis", first.port))
    second = start("redis")
    assert second.process.wait(60) == 2
    assert f"in use by PID {first.process.pid}" in second.log.read_text()


async def test_a_taken_port_is_refused(start: Start) -> None:
    """Before anything is prepared, with status 2 and what to do."""
    first = start("redis")
    await first.ready(service_for("redis", first.port))
    second = start("postgres", folder="other", port=first.port)
    assert second.process.wait(60) == 2
    said = second.log.read_text()
    assert f"port {first.port}" in said
    assert "hint:" in said
    assert not (second.data / "cluster").exists()


@pytest.mark.parametrize(
    ("name", "port", "given", "said"),
    [
        ("bolt", None, {"NEO4J_PASSWORD": "short"}, "at least 8"),
        ("redis", 70000, {}, "70000"),
    ],
)
def test_an_impossible_request_is_refused(
    start: Start, name: str, port: int | None, given: dict[str, str], said: str
) -> None:
    """Status 2 and one line that says what is wrong."""
    server = start(name, port=port or free_port(), **given)
    assert server.process.wait(60) == 2
    assert said in server.log.read_text()
