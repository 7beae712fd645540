"""The database servers of the reference backend, outside of what is measured."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.support.ports import free_port
from services.errors import ServiceUnavailable
from services.neo4j_graph import Neo4jService
from services.postgres import PostgresService
from services.redis_streams import RedisService

BACKEND = Path(__file__).resolve().parents[2] / "apps" / "backend"
"""The reference backend: its declaration and its sources."""

USER = "root"
PASSWORD = "newsdesk-local"

PATIENCE = 60.0
"""Seconds that a server may take to start or to stop."""


class Service(Protocol):
    """A client of a server."""

    async def connect(self) -> None:
        """Get ready to ask."""

    async def disconnect(self) -> None:
        """Let go of the server."""

    async def check_connection(self) -> float:
        """Ask once; return seconds, or raise `ServiceUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the three servers are."""

    postgres: int
    redis: int
    bolt: int

    @property
    def redis_url(self) -> str:
        """The address of the streams."""
        return f"redis://127.0.0.1:{self.redis}/0"

    def environment(self) -> dict[str, str]:
        """The variables that tell a backend, so that it starts no servers of its own."""
        return {
            "POSTGRES_URL": f"postgresql+asyncpg://newsdesk@127.0.0.1:{self.postgres}/postgres",
            "REDIS_URL": self.redis_url,
            "NEO4J_URL": f"bolt://127.0.0.1:{self.bolt}",
            "NEO4J_USER": USER,
            "NEO4J_PASSWORD": PASSWORD,
        }

    def clients(self) -> dict[str, Service]:
        """A client of each server, not yet connected."""
        where = self.environment()
        return {
            "postgres": PostgresService(where["POSTGRES_URL"]),
            "redis": RedisService(self.redis_url),
            "bolt": Neo4jService(where["NEO4J_URL"], USER, PASSWORD),
        }


@contextmanager
def servers(directory: Path, environment: Mapping[str, str]) -> Iterator[Servers]:
    """Three servers on free ports with their data below `directory`, stopped at the end."""
    where = Servers(free_port(), free_port(), free_port())
    ports = {"postgres": where.postgres, "redis": where.redis, "bolt": where.bolt}
    with ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(_server(name, port, directory / name, environment))
        asyncio.run(_answering(where))
        yield where


@contextmanager
def _server(name: str, port: int, data: Path, environment: Mapping[str, str]) -> Iterator[None]:
    data.mkdir(parents=True)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            f"devservers.{name}",
            "--data",
            data,
            "--port",
            str(port),
            "--ephemeral",
        ],
        cwd=data,
        env={
            **environment,
            "PYTHONPATH": str(BACKEND / "src"),
            "NEO4J_PASSWORD": PASSWORD,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the benchmark, which stops them when it has cleared up
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        process.wait(PATIENCE)


async def _answering(where: Servers) -> None:
    deadline = time.monotonic() + PATIENCE
    for name, client in where.clients().items():
        await client.connect()
        try:
            while not await _answers(client):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the {name} server does not answer")
                await asyncio.sleep(0.1)
        finally:
            await client.disconnect()


async def _answers(client: Service) -> bool:
    try:
        await client.check_connection()
    except ServiceUnavailable:
        return False
    return True
