"""PostgreSQL through SQLAlchemy and asyncpg."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.errors import ServiceUnavailable, brief
from services.settings import address, with_driver

CONNECT_TIMEOUT_SECONDS = 5.0
COMMAND_TIMEOUT_SECONDS = 30.0

_UNDEFINED_TABLE = "42P01"
# SQLSTATE classes and codes that say "not now" (PostgreSQL documentation, appendix A): 08 connection exception,
# 53 insufficient resources, 57P operator intervention (shutdown, starting up), 40 rollback (deadlock, serialization).
_TRANSIENT_PREFIXES = ("08", "53", "57P", "40")


class PostgresService:
    """A pool of connections to one database; nothing is opened before `connect`, and nothing is global."""

    def __init__(self, url: str, *, pool_size: int = 5, application: str = "newsdesk") -> None:
        self._url = with_driver(url)
        self._target = address(url)
        self._pool_size = pool_size
        self._application = application
        self._engine: AsyncEngine | None = None

    async def connect(self) -> None:
        """Create the pool; connections are made on first use, so this succeeds even while the server is away."""
        if self._engine is None:
            self._engine = create_async_engine(
                self._url,
                pool_size=self._pool_size,
                max_overflow=self._pool_size,
                pool_pre_ping=True,
                connect_args={
                    "timeout": CONNECT_TIMEOUT_SECONDS,
                    "command_timeout": COMMAND_TIMEOUT_SECONDS,
                    "server_settings": {"application_name": self._application},
                },
            )

    async def disconnect(self) -> None:
        """Close every connection; safe to call twice and without `connect`."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def check_connection(self) -> float:
        """Ask the server for one row and return the seconds it took; raises `ServiceUnavailable`."""
        begun = time.monotonic()
        async with self.begin() as connection:
            await connection.execute(text("SELECT 1"))
        return time.monotonic() - begun

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that commits at the end of the block.

        Raises `ServiceUnavailable` for a lost or refused connection and for a missing schema; RuntimeError
        before `connect`.
        """
        if self._engine is None:
            raise RuntimeError("PostgresService.connect() has not been called")
        try:
            async with self._engine.begin() as connection:
                yield connection
        except DBAPIError as problem:
            if unavailable := self._unavailable(problem.orig or problem, lost=problem.connection_invalidated):
                raise unavailable from problem
            raise
        except (OSError, TimeoutError) as problem:
            raise self._not_now(brief(problem)) from problem
        except Exception as problem:
            # asyncpg's own errors escape unwrapped while a connection is being made (server starting or stopping).
            if unavailable := self._unavailable(problem, lost=False):
                raise unavailable from problem
            raise

    def _unavailable(self, problem: BaseException, *, lost: bool) -> ServiceUnavailable | None:
        state = str(getattr(problem, "sqlstate", None) or "")
        if state == _UNDEFINED_TABLE:
            return ServiceUnavailable(
                "PostgreSQL", self._target, "the tables do not exist yet", "run `python -m services.schema`"
            )
        if lost or state.startswith(_TRANSIENT_PREFIXES) or isinstance(problem, OSError | TimeoutError):
            return self._not_now(brief(problem))
        return None

    def _not_now(self, why: str) -> ServiceUnavailable:
        return ServiceUnavailable("PostgreSQL", self._target, why, "start the server, or set POSTGRES_URL")
