"""Connecting, checking and disconnecting the three services."""

from __future__ import annotations

import dataclasses

import pytest
from neo4j.exceptions import AuthError

from services.articles import ArticleStore
from services.errors import ServiceUnavailable
from services.settings import Settings
from tests.backend_servers import (
    Service,
    free_port,
    neo4j_of,
    own_newsdesk,
    postgres_of,
    redis_of,
    service_for,
)

NAMES = ["postgres", "redis", "bolt"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_that_is_away_is_unavailable(name: str) -> None:
    """`connect` succeeds while the server is away; the check then says where nothing answers, and what to do."""
    service = service_for(name, free_port())
    await service.connect()
    try:
        with pytest.raises(ServiceUnavailable) as caught:
            await service.check_connection()
    finally:
        await service.disconnect()
    assert "127.0.0.1" in str(caught.value)
    assert "set " in caught.value.hint


@pytest.mark.parametrize("name", NAMES)
async def test_disconnecting_is_safe_at_any_time(name: str) -> None:
    """Before connecting, and twice after."""
    service = service_for(name, free_port())
    await service.disconnect()
    await service.connect()
    await service.disconnect()
    await service.disconnect()
    with pytest.raises(RuntimeError, match="connect"):
        await service.check_connection()


async def test_a_server_that_is_there_answers(settings: Settings) -> None:
    """Each check returns the seconds it took, and a service can be connected again after it was disconnected."""
    async with postgres_of(settings) as postgres, redis_of(settings) as redis, neo4j_of(settings) as neo4j:
        services: list[Service] = [postgres, redis, neo4j]
        for service in services:
            assert await service.check_connection() > 0
            await service.disconnect()
            await service.connect()
            assert await service.check_connection() > 0


async def test_a_wrong_password_is_not_unavailability(settings: Settings) -> None:
    """Waiting would not mend it, so the driver's own error comes through."""
    async with neo4j_of(dataclasses.replace(settings, neo4j_password="not this one")) as neo4j:
        with pytest.raises(AuthError):
            await neo4j.check_connection()


async def test_missing_tables_are_unavailability(servers: Settings) -> None:
    """A backend that starts before the migration waits for it, and says what to run."""
    async with own_newsdesk(servers, tables=False) as own, postgres_of(own) as postgres:
        await postgres.check_connection()
        with pytest.raises(ServiceUnavailable) as caught:
            await ArticleStore(postgres).get("any")
    assert "services.schema" in caught.value.hint
