"""Neo4j, or any server that speaks Bolt and Cypher, through the official driver.

The driver is imported on `connect`, not with this module: it costs about 0.14 s and 40 MB, which only the
users of the graph should pay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, LiteralString

from services.errors import ServiceUnavailable, brief
from services.settings import address

if TYPE_CHECKING:
    from neo4j import AsyncDriver

CONNECT_TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 5.0
"""How long the driver itself repeats a transaction that met a deadlock or a lost leader."""

MERGE_ATTEMPTS = 8
MERGE_PAUSE_SECONDS = 0.02
"""Pause after the first lost MERGE; it grows by the same amount with each attempt."""


class Neo4jService:
    """A driver for one graph; nothing is opened before `connect`, and nothing is global."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._credentials = (user, password)
        self._target = address(url)
        self._driver: AsyncDriver | None = None

    async def connect(self) -> None:
        """Create the driver; connections are made on first use, so this succeeds even while the server is away."""
        if self._driver is None:
            from neo4j import AsyncGraphDatabase

            self._driver = AsyncGraphDatabase.driver(
                self._url,
                auth=self._credentials,
                connection_timeout=CONNECT_TIMEOUT_SECONDS,
                connection_acquisition_timeout=CONNECT_TIMEOUT_SECONDS,
                max_transaction_retry_time=RETRY_SECONDS,
                user_agent="newsdesk",
                notifications_min_severity="OFF",
            )

    async def disconnect(self) -> None:
        """Close every connection; safe to call twice and without `connect`."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    async def check_connection(self) -> float:
        """Speak to the server once, without retries, and return the seconds it took; raises `ServiceUnavailable`."""
        begun = time.monotonic()
        async with self._answering() as driver:
            await driver.verify_connectivity()
        return time.monotonic() - begun

    async def run(
        self, query: LiteralString, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, object]]:
        """Run one query in a transaction that the driver repeats on transient errors, and return its rows.

        Raises `ServiceUnavailable` when the server cannot be reached or asks to come back later; RuntimeError
        before `connect`.
        """
        async with self._answering() as driver:
            answer = await driver.execute_query(query, dict(parameters or {}))
        return [record.data() for record in answer.records]

    async def merge(self, query: LiteralString, parameters: Mapping[str, object]) -> list[dict[str, object]]:
        """Like `run`, for a MERGE that may race with another: one that lost to a unique constraint is tried again.

        Neo4j locks what a MERGE would create; other servers of the protocol let both try and fail the second,
        whose repetition then finds what the first has made. Raises `ServiceUnavailable` if it still loses
        after several attempts.
        """
        from neo4j.exceptions import ConstraintError

        for attempt in range(MERGE_ATTEMPTS):
            try:
                return await self.run(query, parameters)
            except ConstraintError:
                await asyncio.sleep(MERGE_PAUSE_SECONDS * (attempt + 1))
        raise self._not_now(f"{MERGE_ATTEMPTS} attempts to write lost to other writers")

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[AsyncDriver]:
        if self._driver is None:
            raise RuntimeError("Neo4jService.connect() has not been called")
        from neo4j.exceptions import DriverError, Neo4jError

        try:
            yield self._driver
        except (DriverError, Neo4jError) as problem:
            if problem.is_retryable():
                raise self._not_now(brief(problem).partition(":Transaction failed")[0]) from problem
            raise
        except OSError as problem:
            raise self._not_now(brief(problem)) from problem

    def _not_now(self, why: str) -> ServiceUnavailable:
        return ServiceUnavailable("Neo4j", self._target, why, "start the server, or set NEO4J_URL")
