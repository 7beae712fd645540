"""Articles and what the agents found out about them, in PostgreSQL."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, case, delete, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.postgres import PostgresService
from services.tables import ARTICLES, OUTCOMES


@dataclass(frozen=True, slots=True)
class Article:
    """A text and how far it has come; `seq` numbers the articles in the order of arrival."""

    id: str
    seq: int
    title: str
    body: str
    created_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one agent delivered: a `result`, or the `error` it gave up with."""

    agent: str
    result: Mapping[str, Any] | None
    error: str | None
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Dossier:
    """An article with the outcome of every agent that has delivered, by name."""

    article: Article
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Nothing more is to come: every agent has delivered or given up."""
        return self.article.settled_at is not None

    @property
    def complete(self) -> bool:
        """Settled, and no agent gave up."""
        return self.settled and all(outcome.error is None for outcome in self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Counts:
    """How many articles there are, and how many of them are settled with all results, or without."""

    articles: int
    complete: int
    failed: int
    outcomes: int


def content_id(title: str, body: str) -> str:
    """The id of an article that came without one: the same text always gets the same id."""
    return hashlib.sha256(f"{title}\0{body}".encode()).hexdigest()[:32]


class ArticleStore:
    """Reads and writes articles; every method is one transaction and may be repeated safely."""

    def __init__(self, postgres: PostgresService) -> None:
        self._postgres = postgres

    async def check(self) -> float:
        """Read from the tables and return the seconds it took; raises `ServiceUnavailable`, also if they are missing."""
        begun = time.monotonic()
        async with self._postgres.begin() as connection:
            await connection.execute(select(OUTCOMES.c.agent).limit(1))
        return time.monotonic() - begun

    async def add(self, article_id: str, title: str, body: str) -> tuple[Article, bool]:
        """Store an article unless its id is taken; returns what is stored, and whether this call stored it."""
        async with self._postgres.begin() as connection:
            stored = await connection.execute(
                insert(ARTICLES)
                .values(id=article_id, title=title, body=body)
                .on_conflict_do_nothing(index_elements=[ARTICLES.c.id])
                .returning(ARTICLES)
            )
            if row := stored.one_or_none():
                return _article(row), True
            existing = await connection.execute(select(ARTICLES).where(ARTICLES.c.id == article_id))
            return _article(existing.one()), False

    async def get(self, article_id: str) -> Article | None:
        """The article, or None."""
        async with self._postgres.begin() as connection:
            row = (
                await connection.execute(select(ARTICLES).where(ARTICLES.c.id == article_id))
            ).one_or_none()
            return None if row is None else _article(row)

    async def dossier(self, article_id: str) -> Dossier | None:
        """The article with its outcomes, or None."""
        async with self._postgres.begin() as connection:
            row = (
                await connection.execute(select(ARTICLES).where(ARTICLES.c.id == article_id))
            ).one_or_none()
            if row is None:
                return None
            outcomes = await connection.execute(
                select(OUTCOMES).where(OUTCOMES.c.article_id == article_id).order_by(OUTCOMES.c.agent)
            )
            return Dossier(_article(row), {outcome.agent: _outcome(outcome) for outcome in outcomes})

    async def page(self, limit: int, before: int | None = None) -> list[tuple[Article, bool]]:
        """The newest articles older than the one numbered `before`, each with whether it is complete."""
        failed = (
            select(OUTCOMES.c.agent)
            .where(OUTCOMES.c.article_id == ARTICLES.c.id, OUTCOMES.c.error.is_not(None))
            .correlate(ARTICLES)
            .exists()
        )
        complete = and_(ARTICLES.c.settled_at.is_not(None), ~failed).label("complete")
        older = ARTICLES.c.seq < before if before is not None else true()
        async with self._postgres.begin() as connection:
            rows = await connection.execute(
                select(ARTICLES, complete).where(older).order_by(ARTICLES.c.seq.desc()).limit(limit)
            )
            return [(_article(row), bool(row.complete)) for row in rows]

    async def has_result(self, article_id: str, agent: str) -> bool:
        """Whether this agent has already delivered a result for the article."""
        async with self._postgres.begin() as connection:
            found = await connection.execute(
                select(OUTCOMES.c.agent).where(
                    OUTCOMES.c.article_id == article_id, OUTCOMES.c.agent == agent, OUTCOMES.c.error.is_(None)
                )
            )
            return found.one_or_none() is not None

    async def deliver(self, article_id: str, agent: str, result: Mapping[str, Any]) -> None:
        """Write an agent's result, in place of whatever it delivered before."""
        values = {"result": dict(result), "error": None}
        statement = insert(OUTCOMES).values(article_id=article_id, agent=agent, **values)
        async with self._postgres.begin() as connection:
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[OUTCOMES.c.article_id, OUTCOMES.c.agent],
                    set_={**values, "delivered_at": func.now()},
                )
            )

    async def give_up(self, article_id: str, agent: str, error: str) -> None:
        """Write why an agent gave up; a result that is already there is kept. Nothing if there is no such article."""
        async with self._postgres.begin() as connection:
            if (
                await connection.execute(select(ARTICLES.c.id).where(ARTICLES.c.id == article_id))
            ).one_or_none():
                await connection.execute(
                    insert(OUTCOMES)
                    .values(article_id=article_id, agent=agent, error=error)
                    .on_conflict_do_nothing(index_elements=[OUTCOMES.c.article_id, OUTCOMES.c.agent])
                )

    async def settle(self, article_id: str, needed: frozenset[str]) -> bool:
        """Declare the article settled if every agent in `needed` has an outcome; returns whether it is settled."""
        async with self._postgres.begin() as connection:
            await _lock(connection, article_id)
            delivered = await connection.execute(
                select(OUTCOMES.c.agent).where(OUTCOMES.c.article_id == article_id)
            )
            if not needed <= {row.agent for row in delivered}:
                return False
            await connection.execute(
                update(ARTICLES)
                .where(ARTICLES.c.id == article_id, ARTICLES.c.settled_at.is_(None))
                .values(settled_at=func.now(), enqueued_at=func.coalesce(ARTICLES.c.enqueued_at, func.now()))
            )
            return True

    async def reopen(self, article_id: str) -> bool:
        """Forget the errors of a settled article and let it be enqueued again; False if it has none."""
        async with self._postgres.begin() as connection:
            await _lock(connection, article_id)
            errors = await connection.execute(
                delete(OUTCOMES).where(OUTCOMES.c.article_id == article_id, OUTCOMES.c.error.is_not(None))
            )
            if errors.rowcount == 0:
                return False
            await connection.execute(
                update(ARTICLES).where(ARTICLES.c.id == article_id).values(settled_at=None, enqueued_at=None)
            )
            return True

    async def unsettled(self) -> list[str]:
        """Ids of the enqueued articles on which work is outstanding, oldest first."""
        async with self._postgres.begin() as connection:
            rows = await connection.execute(
                select(ARTICLES.c.id)
                .where(ARTICLES.c.settled_at.is_(None), ARTICLES.c.enqueued_at.is_not(None))
                .order_by(ARTICLES.c.seq)
            )
            return [str(row.id) for row in rows]

    async def to_settle(self, needed: frozenset[str]) -> list[str]:
        """Ids of unsettled articles for which every agent in `needed` has delivered."""
        delivered = func.count(OUTCOMES.c.agent)
        async with self._postgres.begin() as connection:
            rows = await connection.execute(
                select(ARTICLES.c.id)
                .join(OUTCOMES)
                .where(ARTICLES.c.settled_at.is_(None), OUTCOMES.c.agent.in_(needed))
                .group_by(ARTICLES.c.id)
                .having(delivered == len(needed))
            )
            return [str(row.id) for row in rows]

    @asynccontextmanager
    async def to_enqueue(self, limit: int) -> AsyncIterator[Sequence[str]]:
        """Ids of stored articles not yet on the stream; they count as enqueued once the block ends without an error.

        The rows are locked meanwhile, and rows somebody else has locked are left to them. The lock lets
        agents insert rows that refer to the article (FOR NO KEY UPDATE).
        """
        async with self._postgres.begin() as connection:
            rows = await connection.execute(
                select(ARTICLES.c.id)
                .where(ARTICLES.c.enqueued_at.is_(None), ARTICLES.c.settled_at.is_(None))
                .order_by(ARTICLES.c.seq)
                .limit(limit)
                .with_for_update(key_share=True, skip_locked=True)
            )
            ids = [str(row.id) for row in rows]
            yield ids
            await _mark_enqueued(connection, ids)

    async def counts(self) -> Counts:
        """Totals over all articles."""
        failed = func.count(func.distinct(case((OUTCOMES.c.error.is_not(None), OUTCOMES.c.article_id))))
        async with self._postgres.begin() as connection:
            articles = (
                await connection.execute(
                    select(func.count(), func.count(ARTICLES.c.settled_at)).select_from(ARTICLES)
                )
            ).one()
            outcomes = (
                await connection.execute(
                    select(func.count(), failed)
                    .select_from(OUTCOMES.join(ARTICLES))
                    .where(ARTICLES.c.settled_at.is_not(None))
                )
            ).one()
            return Counts(articles[0], articles[1] - outcomes[1], outcomes[1], outcomes[0])


async def _lock(connection: AsyncConnection, article_id: str) -> None:
    """Keep settling and reopening the same article apart, while agents may still write their outcomes."""
    await connection.execute(
        select(ARTICLES.c.id).where(ARTICLES.c.id == article_id).with_for_update(key_share=True)
    )


async def _mark_enqueued(connection: AsyncConnection, ids: Sequence[str]) -> None:
    if ids:
        await connection.execute(
            update(ARTICLES).where(ARTICLES.c.id.in_(ids)).values(enqueued_at=func.now())
        )


def _article(row: Row[Any]) -> Article:
    return Article(row.id, row.seq, row.title, row.body, row.created_at, row.settled_at)


def _outcome(row: Row[Any]) -> Outcome:
    return Outcome(row.agent, row.result, row.error, row.delivered_at)
