"""Following the work on an article as it happens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.desk import Desk, UsesDesk
from api.problems import documented, not_found
from api.routes.articles import ArticleIdInPath, detail, enrichment
from services.articles import Dossier

router = APIRouter(prefix="/articles", tags=["articles"])

LONGEST_STREAM_SECONDS = 30.0
"""A stream ends after this time even if the work goes on; an `EventSource` reconnects by itself.

A server that is asked to stop waits for open streams, and stock ASGI servers give the application no sign;
hence the bound.
"""

BLOCK_SECONDS = 1.0
RECONNECT_MS = 1000


async def existing_article(article_id: ArticleIdInPath, desk: UsesDesk) -> str:
    """The id, if there is such an article; refused before the stream begins otherwise."""
    if await desk.store.get(article_id) is None:
        raise not_found(article_id)
    return article_id


@router.get(
    "/{article_id}/events",
    response_class=EventSourceResponse,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def follow_article(
    article_id: Annotated[str, Depends(existing_article)], desk: UsesDesk
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: one `enrichment` per agent, those already there first, then `settled`, which ends the stream.

    After about 30 s without `settled` the stream ends with `pause`; connecting again begins with what is
    there by then.
    """
    seen: set[str] = set()
    async for dossier in _changes(desk, article_id):
        for agent, outcome in dossier.outcomes.items():
            if agent not in seen:
                seen.add(agent)
                data = enrichment(outcome).model_dump(mode="json")
                yield ServerSentEvent(event="enrichment", id=str(len(seen)), data=data, retry=RECONNECT_MS)
        if dossier.settled:
            status = detail(dossier).status
            yield ServerSentEvent(event="settled", data={"id": article_id, "status": status})
            return
    yield ServerSentEvent(event="pause", data={"id": article_id, "status": "enriching"})


async def _changes(desk: Desk, article_id: str) -> AsyncIterator[Dossier]:
    """The article as it is now, and again each time something about it is announced, until the time is up.

    The place in the stream of announcements is taken before the article is read, so no change falls in
    between.
    """
    deadline = time.monotonic() + LONGEST_STREAM_SECONDS
    place = await desk.queue.newest_result()
    concerned = True
    while True:
        if concerned and (dossier := await desk.store.dossier(article_id)):
            yield dossier
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return
        news = await desk.queue.results_after(place, int(min(BLOCK_SECONDS, remaining) * 1000) + 1)
        concerned = any(entry.article == article_id for entry in news)
        place = news[-1].id if news else place
