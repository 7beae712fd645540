"""Getting every stored article onto the stream, whatever fails in between."""

from __future__ import annotations

from services.article_queue import ArticleQueue
from services.articles import ArticleStore

BATCH = 100


async def publish_stored(store: ArticleStore, queue: ArticleQueue) -> int:
    """Enqueue every stored article that is not yet on the stream; returns how many.

    An article is stored first and marked as enqueued only after Redis has taken it. A failure in between
    leaves it unmarked, and the next call enqueues it; enqueueing one that is on the stream already changes
    nothing. Raises `ServiceUnavailable`.
    """
    published = 0
    while True:
        async with store.to_enqueue(BATCH) as ids:
            for article_id in ids:
                await queue.enqueue(article_id)
        published += len(ids)
        if len(ids) < BATCH:
            return published
