"""Create the tables and the first few articles: `python -m services.schema [--no-seed]`.

A one-shot job that may be run again, and by several processes at once. Exit status: 0 done, 1 a service does
not answer or refuses, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from importlib import resources

from sqlalchemy import text

from services.article_queue import ArticleQueue
from services.articles import ArticleStore, content_id
from services.errors import ServiceUnavailable
from services.outbox import publish_stored
from services.postgres import PostgresService
from services.redis_streams import RedisService
from services.settings import Settings
from services.tables import METADATA

_LOCK = 0x6E657773
"""Any number unlikely to be used by others of the same database: "news" in ASCII."""


async def create_tables(postgres: PostgresService) -> None:
    """Create what is missing; several callers take turns."""
    async with postgres.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await connection.run_sync(METADATA.create_all)


def seeds() -> list[tuple[str, str]]:
    """Title and body of the articles that come with the newsdesk: old texts in the public domain, sorted by file name."""
    folder = resources.files("services") / "seed"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".txt")), key=lambda file: file.name
    )
    texts = [file.read_text(encoding="utf-8").split("\n\n", 1) for file in files]
    return [(title.strip(), body.strip()) for title, body in texts]


async def plant(postgres: PostgresService, redis: RedisService, namespace: str) -> int:
    """Store the seeds and enqueue those not enqueued before; returns how many articles went onto the stream."""
    store = ArticleStore(postgres)
    for title, body in seeds():
        await store.add(content_id(title, body), title, body)
    return await publish_stored(store, ArticleQueue(redis, namespace))


async def migrate(settings: Settings, *, seed: bool) -> str:
    """Create the tables and, if wanted, plant the seeds; returns one line saying what was done."""
    postgres = PostgresService(settings.postgres_url, pool_size=1, application="newsdesk schema")
    redis = RedisService(settings.redis_url)
    try:
        await postgres.connect()
        await create_tables(postgres)
        if not seed:
            return "the tables are there"
        await redis.connect()
        planted = await plant(postgres, redis, settings.namespace)
        return f"the tables are there; {planted} stored articles put on the stream"
    finally:
        await redis.disconnect()
        await postgres.disconnect()


def main(argv: list[str] | None = None) -> int:
    """Command line entry; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="services.schema", description="Create the tables and the first articles."
    )
    parser.add_argument(
        "--no-seed", action="store_true", help="create the tables only; Redis is not needed then"
    )
    options = parser.parse_args(argv)
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as problem:
        print(f"cannot prepare the newsdesk: {problem}", file=sys.stderr)
        return 2
    try:
        print(asyncio.run(migrate(settings, seed=not options.no_seed)))
    except ServiceUnavailable as problem:
        print(f"cannot prepare the newsdesk: {problem}\nhint: {problem.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
