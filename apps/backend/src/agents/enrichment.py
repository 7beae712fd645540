"""The work of an agent that adds one result to each article."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from agents.base import Agent, Pace
from services.article_queue import ArticleQueue, Entry, Seat
from services.articles import Article, ArticleStore
from services.postgres import PostgresService
from services.redis_streams import RedisService
from services.settings import Settings


class Enricher(Protocol):
    """Finds something out about an article; the same text gives the same result."""

    async def open(self) -> None:
        """Connect to what it needs besides PostgreSQL and Redis."""

    async def enrich(self, article: Article) -> Mapping[str, Any]:
        """The result, as JSON values; repeatable, and with only repeatable effects elsewhere."""

    async def close(self) -> None:
        """Undo `open`; safe without it."""


class TextEnricher:
    """An enricher that is a pure function of the text.

    It runs on the event loop, not in a thread: the longest article the gateway accepts takes some tens of
    milliseconds.
    """

    def __init__(self, function: Callable[[str], Mapping[str, Any]]) -> None:
        self._function = function

    async def open(self) -> None:
        """Nothing is needed."""

    async def enrich(self, article: Article) -> Mapping[str, Any]:
        """The function's result for the article's body."""
        return self._function(article.body)

    async def close(self) -> None:
        """Nothing was opened."""


class Enrichment:
    """Reads the article, enriches it, writes the result; a result that is already there is only announced again."""

    def __init__(self, name: str, postgres: PostgresService, enricher: Enricher) -> None:
        self._name = name
        self._postgres = postgres
        self._store = ArticleStore(postgres)
        self._enricher = enricher

    async def open(self) -> None:
        """Connect to PostgreSQL and whatever the enricher needs."""
        await self._postgres.connect()
        await self._postgres.check_connection()
        await self._enricher.open()

    async def handle(self, entry: Entry) -> bool:
        """Deliver the result for the entry's article; False if the article no longer exists."""
        article = await self._store.get(entry.article)
        if article is None:
            return False
        if not await self._store.has_result(article.id, self._name):
            await self._store.deliver(article.id, self._name, await self._enricher.enrich(article))
        return True

    async def give_up(self, entry: Entry, reason: str) -> None:
        """Record the reason in place of a result."""
        await self._store.give_up(entry.article, self._name, reason)

    async def sweep(self) -> None:
        """Nothing is missed: the consumer group keeps what is outstanding."""

    async def close(self) -> None:
        """Disconnect."""
        try:
            await self._enricher.close()
        finally:
            await self._postgres.disconnect()


def enriching_agent(settings: Settings, name: str, enricher: Enricher, pace: Pace | None = None) -> Agent:
    """An agent called `name` that reads the articles' stream and adds what `enricher` finds out."""
    redis = RedisService(settings.redis_url)
    queue = ArticleQueue(redis, settings.namespace)
    postgres = PostgresService(settings.postgres_url, pool_size=1, application=f"newsdesk {name}")
    seat = Seat(queue.articles, name, settings.consumer)
    return Agent(seat, redis, queue, Enrichment(name, postgres, enricher), pace)
