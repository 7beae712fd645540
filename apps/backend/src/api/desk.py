"""The services of one running gateway, and the task that gets stored articles onto the stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from fastapi import Depends, Request

from services.article_queue import ArticleQueue
from services.articles import ArticleStore
from services.entity_graph import EntityGraph
from services.errors import ServiceUnavailable
from services.neo4j_graph import Neo4jService
from services.outbox import publish_stored
from services.postgres import PostgresService
from services.redis_streams import RedisService
from services.settings import Settings

_LOG = logging.getLogger("api")

LONGEST_PAUSE_SECONDS = 10.0


class Desk:
    """What the routes work with. The graph is connected on first use, since its driver is slow to import."""

    def __init__(self, settings: Settings) -> None:
        self.postgres = PostgresService(settings.postgres_url, application="newsdesk api")
        self.redis = RedisService(settings.redis_url)
        self.neo4j = Neo4jService(settings.neo4j_url, settings.neo4j_user, settings.neo4j_password)
        self.store = ArticleStore(self.postgres)
        self.queue = ArticleQueue(self.redis, settings.namespace)
        self.graph = EntityGraph(self.neo4j, settings.namespace)
        self._unpublished = asyncio.Event()

    async def publish(self) -> bool:
        """Get everything stored onto the stream; False if Redis is away, in which case it happens later by itself."""
        try:
            await publish_stored(self.store, self.queue)
        except ServiceUnavailable:
            self._unpublished.set()
            return False
        return True

    async def relay(self) -> None:
        """Publish what an earlier process left behind, then whatever `publish` could not; idle otherwise. Never returns."""
        self._unpublished.set()
        pause = 0.5
        while True:
            await self._unpublished.wait()
            self._unpublished.clear()
            if await self.publish():
                pause = 0.5
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """A desk with its services connected, and its relay running, for as long as the block lasts.

    A service that is away does not keep the gateway from starting: requests that need it get 503 until it is
    back.
    """
    desk = Desk(settings)
    await desk.postgres.connect()
    await desk.redis.connect()
    for service in (desk.postgres, desk.redis):
        try:
            await service.check_connection()
        except ServiceUnavailable as problem:
            _LOG.warning("starting without it: %s", problem)
    relay = asyncio.create_task(desk.relay(), name="newsdesk relay")
    try:
        yield desk
    finally:
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
        await desk.neo4j.disconnect()
        await desk.redis.disconnect()
        await desk.postgres.disconnect()


def current_desk(request: Request) -> Desk:
    """The desk of the server that took this request."""
    desk: Desk = request.state.desk
    return desk


UsesDesk = Annotated[Desk, Depends(current_desk)]
