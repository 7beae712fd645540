"""Streams that can be broken off and gone on with.

A follower has a position and no queue. What it has not been sent yet stays where it is anyway, in the journal or in the log files, which are
bounded; so a follower that stalls costs nothing, and one that comes back after its connection was lost goes on from the position it was told
last. What has left the journal or the files meanwhile is lost to it, and it is told so by an event of the kind ``gap``.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Protocol

from launcher import sse
from launcher.web.messages import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

KEEP_ALIVE = 15.0
"""Seconds of silence after which a stream shows that it lives; proxies commonly end what is silent for 30 to 60."""

RETRY = 1.0
"""Seconds after which browsers are asked to connect again."""


def encoded(kind: str, document: Mapping[str, object], identity: str = "") -> bytes:
    """Return a document as one event; see ``sse.Event``."""
    return sse.encode(sse.Event(kind, json.dumps(document, ensure_ascii=False), identity))


class Source(Protocol):
    """Where the events of one stream come from."""

    @property
    def position(self) -> str:
        """From where to go on after what was read."""
        ...

    async def read(self) -> bytes:
        """Return the next events, a bounded number of them; empty when there are none just now."""
        ...

    async def news(self) -> None:
        """Wait until there may be something to read."""
        ...

    async def end(self) -> None:
        """Have nothing beyond what there is now."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Stream:
    """Sends what a source has, and goes on as long as it is followed.

    Args:
        open_source: makes the source; called when the first piece is asked for.
        follow: whether to go on after what there is.
    """

    def __init__(self, open_source: Callable[[], Awaitable[Source]], *, follow: bool) -> None:
        self._open = open_source
        self._over = asyncio.Event()
        if not follow:
            self._over.set()

    def response(self) -> Response:
        """Return the stream as a response."""
        return Response(200, self._pieces(), content_type=sse.CONTENT_TYPE, finish=self._over.set)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        source = await self._open()
        try:
            begin = await source.read()
            # Whoever is told nothing yet is told at least from where to go on.
            yield sse.encode_retry(RETRY) + (begin or sse.encode_mark(source.position))
            spoken = time.monotonic()
            while True:
                # Looked at first: what has happened until the stream was to end is still sent, and nothing later.
                over = self._over.is_set()
                if over:
                    await source.end()
                while piece := await source.read():
                    yield piece
                    spoken = time.monotonic()
                if over:
                    return
                if not await self._happens(source, spoken + KEEP_ALIVE - time.monotonic()):
                    yield sse.encode_mark(source.position)
                    spoken = time.monotonic()
        finally:
            source.close()

    async def _happens(self, source: Source, patience: float) -> bool:
        """Wait for news, or for the end; false when there is neither for so many seconds."""
        tasks = [asyncio.ensure_future(source.news()), asyncio.ensure_future(self._over.wait())]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=max(0.0, patience), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in tasks:
                task.cancel()
        return bool(done)
