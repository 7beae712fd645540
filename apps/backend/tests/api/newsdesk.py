"""The gateway served in this process, with a client for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import httpx2
from starlette.types import Receive, Scope, Send

from api.main import app, lifespan
from services.settings import Settings
from tests.backend_servers import variables


@asynccontextmanager
async def gateway(settings: Settings, **given: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway whose environment says `settings`, started and stopped as an ASGI server would."""
    with mock.patch.dict(os.environ, {**variables(settings), **given}):
        async with lifespan(app) as state, client_of(state) as client:
            yield client


@asynccontextmanager
async def client_of(state: Mapping[str, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that speaks to the application directly, with the state its lifespan gave."""

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    transport = httpx2.ASGITransport(with_state)
    async with httpx2.AsyncClient(transport=transport, base_url="http://newsdesk") as client:
        yield client
