"""``/events``: every transition, in order and without gaps, or with gaps that are told."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from launcher.core.names import stands_for
from launcher.web.documents import GapDocument, transition_document
from launcher.web.messages import Refusal, Response
from launcher.web.parameters import COMPONENTS, FOLLOW, Parameter, chosen, flag
from launcher.web.streams import Source, Stream, encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.supervisor.journal import Entry, Journal
    from launcher.web.messages import Request
    from launcher.web.port import ControlPort

BATCH = 100
"""Entries of the journal that are sent in one piece."""

NOW = "now"

SINCE = Parameter(
    "since",
    {"type": "string", "pattern": f"^({NOW}|[0-9a-f]{{8}}-[0-9]{{1,15}})$"},
    "The id of the last event that was received, or `now`; without it everything that is kept. The header `Last-Event-ID` wins.",
)
QUERY = (COMPONENTS, SINCE, FOLLOW)

_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")


class JournalSource:
    """Entries of the journal after a point.

    Args:
        journal: of this run.
        asked: the point: ``RUN-SEQ``, ``now``, or empty for everything that is kept.
        wanted: components; empty for all.
    """

    def __init__(self, journal: Journal, asked: str, wanted: Sequence[str]) -> None:
        self._journal = journal
        self._wanted = wanted
        self._asked = asked
        self._reason = ""
        self._seq = self._begin()
        self._end: int | None = None
        self._news = asyncio.Event()
        journal.subscribe(self._wake)

    def _begin(self) -> int:
        """Return the number of the entry to go on after, and remember why it is not the one that was asked for."""
        journal = self._journal
        if not self._asked:
            return journal.gone
        if self._asked == NOW:
            return journal.last
        found = _ID.fullmatch(self._asked)
        if found is None or found[1] != journal.run:
            self._reason = f"the launcher was started anew: this is run {journal.run}"
        elif int(found[2]) > journal.last:
            self._reason = "this has not happened yet"
        else:
            return int(found[2])
        return journal.gone

    @property
    def position(self) -> str:
        """The last entry that was read, wanted or not."""
        return f"{self._journal.run}-{self._seq}"

    async def read(self) -> bytes:
        """Return the next entries that are wanted."""
        pieces = [self._gap()]
        self._news.clear()
        # What is not wanted is passed over here, so that nothing to send means that there is nothing.
        while not any(pieces) and (entries := self._next()):
            pieces += [self._encoded(entry) for entry in entries if self._wants(entry)]
            self._seq = entries[-1].seq
        return b"".join(pieces)

    async def news(self) -> None:
        """Wait for the next entry."""
        await self._news.wait()

    async def end(self) -> None:
        """Read to the latest entry and no further."""
        self._end = self._journal.last

    def close(self) -> None:
        """Wait for nothing more."""
        self._journal.unsubscribe(self._wake)

    def _wake(self, _entry: Entry) -> None:
        self._news.set()

    def _gap(self) -> bytes:
        """Return what tells that something is missing before the next entry; empty when nothing is."""
        missing = max(0, self._journal.gone - self._seq)
        if not missing and not self._reason:
            return b""
        document: GapDocument = {
            "asked": self.position if missing else self._asked,
            "reason": self._reason or "the journal keeps no more entries",
            "missing": missing or None,
        }
        self._seq, self._reason = max(self._seq, self._journal.gone), ""
        return encoded("gap", document, self.position)

    def _next(self) -> tuple[Entry, ...]:
        left = BATCH if self._end is None else min(BATCH, self._end - self._seq)
        return self._journal.after(self._seq, max(0, left))

    def _wants(self, entry: Entry) -> bool:
        return not self._wanted or any(stands_for(text, entry.transition.component) for text in self._wanted)

    def _encoded(self, entry: Entry) -> bytes:
        document = transition_document(self._journal.run, entry)
        return encoded("transition", document, document["id"])


async def stream_events(port: ControlPort, request: Request) -> Response:
    """Tell every transition as it happens, after those that are kept; each has a point to go on from."""
    journal = port.journal
    known = {*port.view().plan.components, *(entry.transition.component for entry in journal.entries)}
    wanted = chosen(request, known)
    since = request.query.get("since")
    if since not in {None, NOW} and not _ID.fullmatch(since or ""):
        raise Refusal(400, f'"{since}" is no point to go on from', hint="give the id of an event, or now")
    asked = request.headers.get("last-event-id", "") or since or ""

    async def source() -> Source:
        return JournalSource(journal, asked, wanted)

    return Stream(source, follow=flag(request, FOLLOW.name, default=True)).response()
