"""The whole pipeline as real processes: nothing lost, nothing twice, whatever is killed."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select, text

from agents.launcher import AgentLauncher
from services.article_queue import ArticleQueue
from services.articles import ArticleStore
from services.entity_graph import EntityGraph
from services.outbox import publish_stored
from services.pipeline import PIPELINE, enricher_names
from services.postgres import PostgresService
from services.settings import Settings
from services.tables import OUTCOMES
from tests.backend_servers import environment, neo4j_of, postgres_of, redis_of, until, variables

ARTICLES = 60
STAGES = [stage.name for stage in PIPELINE]


@asynccontextmanager
async def agents_process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """All agents in a process of their own, ready; killed at the end if the test has not done so."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agents.launcher"),
        env=environment(**variables(settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        assert line.startswith(b"ready: "), line
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def outcomes(postgres: PostgresService) -> int:
    """How many rows there are, over all articles and agents."""
    async with postgres.begin() as connection:
        return (await connection.execute(select(func.count()).select_from(OUTCOMES))).scalar_one()


def body(number: int) -> str:
    """An article that names a person of its own and a place it shares with others."""
    return f"Mr. Walker{chr(65 + number % 26)} came to Rivertown. He found it a good and peaceful place. Rivertown was glad."


async def test_killed_agents_lose_nothing_and_do_nothing_twice(settings: Settings) -> None:
    """SIGKILL in the middle of the work, then new agents: every article complete, one outcome per agent, streams empty."""
    async with postgres_of(settings) as postgres, redis_of(settings) as redis, neo4j_of(settings) as neo4j:
        store, queue = ArticleStore(postgres), ArticleQueue(redis, settings.namespace)
        for number in range(ARTICLES):
            await store.add(f"a{number:03}", f"Title {number}", body(number))

        async def begun() -> bool:
            return await outcomes(postgres) > 0

        async def done() -> bool:
            return (await store.counts()).complete == ARTICLES

        async with agents_process(settings) as first:
            await publish_stored(store, queue)
            await until(begun, "some work was done")
            first.send_signal(signal.SIGKILL)
            await first.wait()
        assert not await done(), "the agents were killed too late for this test to say anything"

        async with agents_process(settings):
            await until(done, "every article is complete")
            await until(lambda: _nothing_outstanding(queue), "nothing is on the streams")
        assert await outcomes(postgres) == ARTICLES * len(enricher_names())
        state = await queue.state(STAGES)
        assert (state.waiting, state.dead) == (0, 0)
        (people,) = await neo4j.run(
            "MATCH (e:Entity) WHERE e.namespace = $n RETURN count(e) AS entities", {"n": settings.namespace}
        )
        assert people["entities"] == 27
        related = await EntityGraph(neo4j, settings.namespace).related("a000", 100)
        assert len(related) == ARTICLES - 1


async def _nothing_outstanding(queue: ArticleQueue) -> bool:
    state = await queue.state(STAGES)
    return state.waiting == 0 and not any(state.pending.values())


@pytest.mark.parametrize("loss", ["before enqueueing", "the whole stream", "only the announcements"])
async def test_the_director_finds_what_was_missed(settings: Settings, loss: str) -> None:
    """An article stored but never enqueued, a stream that was lost, and results nobody announced still end complete."""
    async with postgres_of(settings) as postgres, redis_of(settings) as redis:
        store, queue = ArticleStore(postgres), ArticleQueue(redis, settings.namespace)
        await store.add("a", "Title", body(1))
        if loss != "before enqueueing":
            await publish_stored(store, queue)
        if loss == "only the announcements":
            for name in enricher_names():
                await store.deliver("a", name, {})
        if loss != "before enqueueing":
            async with redis.client() as client:
                keys = [key async for key in client.scan_iter(match=f"{settings.namespace}:*")]
                await client.delete(*keys)
        launcher = AgentLauncher(settings)
        launcher.load_agents()
        await launcher.start_all()
        try:
            await until(lambda: _complete(store, "a"), "the article is complete")
        finally:
            await launcher.stop_all()


async def _complete(store: ArticleStore, article_id: str) -> bool:
    dossier = await store.dossier(article_id)
    return dossier is not None and dossier.complete


async def test_agents_survive_the_loss_of_their_connections(settings: Settings) -> None:
    """Every session of PostgreSQL and Redis is cut while the agents run; the next article is still completed."""
    launcher = AgentLauncher(settings)
    launcher.load_agents()
    await launcher.start_all()
    try:
        async with postgres_of(settings) as postgres, redis_of(settings) as redis:
            store, queue = ArticleStore(postgres), ArticleQueue(redis, settings.namespace)
            async with postgres.begin() as connection:
                await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            async with redis.client() as client:
                await client.client_kill_filter(_type="normal", skipme=True)
            await store.add("a", "Title", body(1))
            await publish_stored(store, queue)
            await until(lambda: _complete(store, "a"), "the article is complete")
    finally:
        await launcher.stop_all()
