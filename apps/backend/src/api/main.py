"""The application: `uvicorn api.main:app`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import problems
from api.desk import Desk, open_desk
from api.models import LARGEST_REQUEST, Problem
from api.routes import articles, events, operations
from services.settings import Settings

TAGS = [
    {"name": "articles", "description": "Post texts and read what the agents found out about them."},
    {"name": "operations", "description": "The pipeline, its figures, and the health of this process."},
]


class LifespanState(TypedDict):
    """What one server keeps while it runs.

    It belongs to the server, not to the application object: two servers may serve the application at the same
    time, for instance while one replaces the other.
    """

    desk: Desk


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[LifespanState]:
    """Read the environment, connect the services, and disconnect them at the end."""
    async with open_desk(Settings.from_environment(os.environ)) as desk:
        yield {"desk": desk}


def create_app() -> FastAPI:
    """Build the application; nothing is read or connected before it is started."""
    application = FastAPI(
        title="Newsdesk",
        summary="Articles in, summaries, keywords and connections out.",
        version="1.0.0",
        lifespan=lifespan,
        openapi_tags=TAGS,
        generate_unique_id_function=_operation_id,
        responses={422: {"model": Problem, "description": "The request is not valid"}},
        max_body_size=LARGEST_REQUEST,
    )
    problems.install(application)
    for module in (articles, events, operations):
        application.include_router(module.router)
    return application


def _operation_id(route: APIRoute) -> str:
    return route.name


app = create_app()
