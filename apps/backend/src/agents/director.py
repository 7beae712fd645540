"""The agent that declares an article settled when every other agent has delivered or given up."""

from __future__ import annotations

from agents.base import Agent, Pace
from services.article_queue import ArticleQueue, Entry, Seat
from services.articles import ArticleStore
from services.outbox import publish_stored
from services.pipeline import DIRECTOR, enricher_names
from services.postgres import PostgresService
from services.redis_streams import RedisService
from services.settings import Settings


class Directing:
    """Follows the results, and looks from time to time for articles that something has passed by.

    A settled article leaves the stream, so the stream's length is the work outstanding.
    """

    def __init__(self, postgres: PostgresService, queue: ArticleQueue, needed: frozenset[str]) -> None:
        self._postgres = postgres
        self._store = ArticleStore(postgres)
        self._queue = queue
        self._needed = needed

    async def open(self) -> None:
        """Connect to PostgreSQL."""
        await self._postgres.connect()
        await self._postgres.check_connection()

    async def handle(self, entry: Entry) -> bool:
        """Settle the article if this result was the last one missing."""
        if entry.fields.get("agent") != DIRECTOR.name:
            await self._settle(entry.article)
        return False

    async def give_up(self, entry: Entry, reason: str) -> None:
        """Nothing to record: the next sweep looks at the article again."""

    async def sweep(self) -> None:
        """Enqueue what was stored but never enqueued, settle what is done, and restore what the stream has lost."""
        await publish_stored(self._store, self._queue)
        for article_id in await self._store.to_settle(self._needed):
            await self._settle(article_id)
        outstanding = await self._store.unsettled()
        if len(outstanding) > await self._queue.waiting():
            for article_id in outstanding:
                await self._queue.enqueue(article_id)

    async def close(self) -> None:
        """Disconnect."""
        await self._postgres.disconnect()

    async def _settle(self, article_id: str) -> None:
        if await self._store.settle(article_id, self._needed):
            await self._queue.forget(article_id)
            await self._queue.announce(article_id, DIRECTOR.name)


def create(settings: Settings, pace: Pace | None = None) -> Agent:
    """The agent, not yet started."""
    redis = RedisService(settings.redis_url)
    queue = ArticleQueue(redis, settings.namespace)
    postgres = PostgresService(settings.postgres_url, pool_size=1, application=f"newsdesk {DIRECTOR.name}")
    seat = Seat(queue.results, DIRECTOR.name, settings.consumer)
    return Agent(seat, redis, queue, Directing(postgres, queue, enricher_names()), pace)
