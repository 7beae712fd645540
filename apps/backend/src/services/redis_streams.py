"""Redis through redis-py."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.errors import ServiceUnavailable, brief
from services.settings import address

CONNECT_TIMEOUT_SECONDS = 5.0
ANSWER_TIMEOUT_SECONDS = 15.0
"""Longest wait for an answer; longer than any blocking read the newsdesk asks for."""


class RedisService:
    """A pool of connections to one server; nothing is opened before `connect`, and nothing is global."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._target = address(url)
        self._client: Redis | None = None

    async def connect(self) -> None:
        """Create the client; connections are made on first use, so this succeeds even while the server is away."""
        if self._client is None:
            self._client = Redis.from_url(
                self._url,
                decode_responses=True,
                socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
                socket_timeout=ANSWER_TIMEOUT_SECONDS,
                # One immediate second try covers a connection the server closed while idle; waiting is the caller's matter.
                retry=Retry(NoBackoff(), 1),
            )

    async def disconnect(self) -> None:
        """Close every connection; safe to call twice and without `connect`."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def check_connection(self) -> float:
        """Ping the server and return the seconds it took; raises `ServiceUnavailable`."""
        begun = time.monotonic()
        async with self.client() as client:
            await client.ping()
        return time.monotonic() - begun

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """The client, with lost connections reported as `ServiceUnavailable`; RuntimeError before `connect`."""
        if self._client is None:
            raise RuntimeError("RedisService.connect() has not been called")
        try:
            yield self._client
        except AuthenticationError:
            raise
        except (RedisConnectionError, RedisTimeoutError, BusyLoadingError, OSError) as problem:
            raise ServiceUnavailable(
                "Redis", self._target, brief(problem), "start the server, or set REDIS_URL"
            ) from problem
