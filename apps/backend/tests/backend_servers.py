"""Real PostgreSQL, Redis-protocol and Bolt servers for tests, started once per session, and a newsdesk of its own per test.

In a `conftest.py`: `from tests.backend_servers import servers, settings` (the names are fixtures). The variables
`TEST_POSTGRES_DSN`, `TEST_REDIS_URL` and `TEST_NEO4J_URI` (with `TEST_NEO4J_USER`, `TEST_NEO4J_PASSWORD`) name servers to use instead;
the PostgreSQL user must be allowed to create databases.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from services.entity_graph import EntityGraph
from services.errors import ServiceUnavailable
from services.neo4j_graph import Neo4jService
from services.postgres import PostgresService
from services.redis_streams import RedisService
from services.schema import create_tables
from services.settings import Settings, with_driver

__all__ = ["servers", "settings"]

SOURCE = Path(__file__).resolve().parents[1] / "src"
PATIENCE_SECONDS = 60.0
"""How long anything may take before a test gives up; never how long it is expected to take."""

PASSWORD = "only-for-tests"
_PR_SET_PDEATHSIG = 1


class Service(Protocol):
    """What the three services have in common."""

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def check_connection(self) -> float: ...


class ServerMissing(Exception):
    """A server cannot be started on this platform; the text says why."""


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with the backend importable and `variables` set."""
    return {**os.environ, "PYTHONPATH": str(SOURCE), **variables}


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask again and again until `condition` holds; fails the test, naming `what`, if it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        await asyncio.sleep(0.02)


@dataclasses.dataclass(slots=True)
class DevServer:
    """One development server as a process."""

    name: str
    port: int
    data: Path
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, name: str, data: Path, *flags: str, port: int | None = None, **variables: str
    ) -> DevServer:
        """Start `devservers.NAME`; it is not ready yet."""
        data.mkdir(parents=True, exist_ok=True)
        chosen = port or free_port()
        log = data.with_suffix(".log")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"devservers.{name}", "--data", data, "--port", str(chosen), *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(**{"NEO4J_PASSWORD": PASSWORD, **variables}),
                cwd=data,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call
            )
        return cls(name, chosen, data, process, log)

    async def ready(self, service: Service) -> None:
        """Wait until `service` can use it; raises `ServerMissing` if the process ends instead."""

        async def answers() -> bool:
            if self.process.poll() is not None:
                raise ServerMissing(self.log.read_text(errors="replace")[-2000:])
            try:
                await service.check_connection()
            except ServiceUnavailable:
                return False
            return True

        await service.connect()
        try:
            await until(answers, f"{self.name} answers")
        finally:
            await service.disconnect()

    def stop(self, number: signal.Signals | None = None) -> int:
        """Send the stop signal of this server (or `number`) and return its exit status."""
        if self.process.poll() is None:
            gentle = signal.SIGINT if self.name == "postgres" else signal.SIGTERM
            self.process.send_signal(number or gentle)
        return self.process.wait(PATIENCE_SECONDS)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def service_for(name: str, port: int) -> Service:
    """A client of the development server `name` on `port`."""
    if name == "postgres":
        return PostgresService(f"postgresql://newsdesk@127.0.0.1:{port}/postgres")
    if name == "redis":
        return RedisService(f"redis://127.0.0.1:{port}/0")
    return Neo4jService(f"bolt://127.0.0.1:{port}", "root", PASSWORD)


@contextmanager
def running_servers(folder: Path) -> Iterator[Settings]:
    """Settings for three servers: those the environment names, the others started below `folder` and stopped at the end."""
    chosen = {
        "postgres": os.environ.get("TEST_POSTGRES_DSN"),
        "redis": os.environ.get("TEST_REDIS_URL"),
        "bolt": os.environ.get("TEST_NEO4J_URI"),
    }
    started: list[DevServer] = []
    try:
        needed = [name for name, url in chosen.items() if not url]
        started.extend(DevServer.start(name, folder / name, "--ephemeral") for name in needed)
        asyncio.run(_all_ready(started))
        ports = {server.name: server.port for server in started}
        yield Settings(
            postgres_url=chosen["postgres"]
            or f"postgresql://newsdesk@127.0.0.1:{ports['postgres']}/postgres",
            redis_url=chosen["redis"] or f"redis://127.0.0.1:{ports['redis']}/0",
            neo4j_url=chosen["bolt"] or f"bolt://127.0.0.1:{ports['bolt']}",
            neo4j_user=os.environ.get("TEST_NEO4J_USER", "neo4j" if chosen["bolt"] else "root"),
            neo4j_password=os.environ.get("TEST_NEO4J_PASSWORD", PASSWORD),
        )
    finally:
        for server in started:
            server.stop()


async def _all_ready(started: Sequence[DevServer]) -> None:
    await asyncio.gather(*(server.ready(service_for(server.name, server.port)) for server in started))


_SERVERS = pytest.StashKey[Settings | str]()


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Settings:
    """The servers of this session, started by the first test that asks; skips where there is no server to be had."""
    if _SERVERS not in pytestconfig.stash:
        folder = Path(tempfile.mkdtemp(prefix="newsdesk-servers-"))
        pytestconfig.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        stack = contextlib.ExitStack()
        pytestconfig.add_cleanup(stack.close)
        try:
            pytestconfig.stash[_SERVERS] = stack.enter_context(running_servers(folder))
        except ServerMissing as problem:
            pytestconfig.stash[_SERVERS] = str(problem)
    found = pytestconfig.stash[_SERVERS]
    if isinstance(found, str):
        pytest.skip(f"no servers here: {found}")
    return found


@pytest.fixture
async def settings(servers: Settings) -> AsyncIterator[Settings]:
    """A newsdesk of its own: an empty database with tables, and a namespace in Redis and in the graph."""
    async with own_newsdesk(servers) as own:
        yield own


@asynccontextmanager
async def own_newsdesk(servers: Settings, *, tables: bool = True) -> AsyncIterator[Settings]:
    """Create a database and a namespace on `servers`, and remove them at the end."""
    name = f"newsdesk_{uuid.uuid4().hex[:12]}"
    url = make_url(with_driver(servers.postgres_url)).set(database=name).render_as_string(hide_password=False)
    own = dataclasses.replace(servers, postgres_url=url, namespace=name)
    await _administer(servers, f"CREATE DATABASE {name}")
    try:
        if tables:
            async with postgres_of(own) as postgres:
                await create_tables(postgres)
        yield own
    finally:
        await _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")
        await _erase(own)


async def _administer(servers: Settings, statement: str) -> None:
    engine = create_async_engine(with_driver(servers.postgres_url), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()


async def _erase(own: Settings) -> None:
    async with redis_of(own) as redis, redis.client() as client:
        async for key in client.scan_iter(match=f"{own.namespace}:*"):
            await client.delete(key)
    async with neo4j_of(own) as neo4j:
        await EntityGraph(neo4j, own.namespace).erase()


@asynccontextmanager
async def postgres_of(own: Settings) -> AsyncIterator[PostgresService]:
    """PostgreSQL, connected for the block."""
    service = PostgresService(own.postgres_url)
    await service.connect()
    try:
        yield service
    finally:
        await service.disconnect()


@asynccontextmanager
async def redis_of(own: Settings) -> AsyncIterator[RedisService]:
    """Redis, connected for the block."""
    service = RedisService(own.redis_url)
    await service.connect()
    try:
        yield service
    finally:
        await service.disconnect()


@asynccontextmanager
async def neo4j_of(own: Settings) -> AsyncIterator[Neo4jService]:
    """The graph, connected for the block."""
    service = Neo4jService(own.neo4j_url, own.neo4j_user, own.neo4j_password)
    await service.connect()
    try:
        yield service
    finally:
        await service.disconnect()


def variables(own: Settings) -> dict[str, str]:
    """The environment variables that stand for `own`."""
    return {
        "POSTGRES_URL": own.postgres_url,
        "REDIS_URL": own.redis_url,
        "NEO4J_URL": own.neo4j_url,
        "NEO4J_USER": own.neo4j_user,
        "NEO4J_PASSWORD": own.neo4j_password,
        "NEWSDESK_NAMESPACE": own.namespace,
        "NEWSDESK_CONSUMER": own.consumer,
    }
