"""``/logs``: the last lines of the logs, and those that follow."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from launcher import sse
from launcher.observe.read import LEVELS, POLL, logged_components, make_filter
from launcher.web.documents import GapDocument
from launcher.web.messages import Refusal, Response
from launcher.web.parameters import COMPONENTS, FOLLOW, Parameter, chosen, flag, whole
from launcher.web.streams import Source, Stream, encoded

if TYPE_CHECKING:
    from launcher.observe.stream import LogReader, Place
    from launcher.web.messages import Request
    from launcher.web.port import ControlPort

SEARCH = 1.0
"""Seconds for which lines that nobody wants are passed over before the reader is told how far the search has come."""

DEFAULT_LINES = 100

MOST = 10_000
"""Lines of the past that may be asked for at a time; their places are held in memory until they are sent."""

LINES = Parameter(
    "n",
    {"type": "integer", "minimum": 0, "maximum": MOST, "default": DEFAULT_LINES},
    "How many lines of the past, of all components together; means nothing when the stream goes on from an id.",
)
LEVEL = Parameter(
    "level",
    {"type": "string", "enum": [level.lower() for level in LEVELS]},
    "Lowest level; lines without one count as info.",
)
GREP = Parameter(
    "grep",
    {"type": "string"},
    "Text that the message contains. No regular expression: one that takes for ever would stop the launcher.",
)
_PLACE = "[^:,]+:[0-9a-f]{8}:[0-9]{1,15}"

SINCE = Parameter(
    "since",
    {
        "type": "string",
        "anyOf": [
            {"pattern": f"^@({_PLACE}(,{_PLACE})*)?$"},
            {"format": "date-time"},
            {"pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?$"},
        ],
    },
    "The id of the last event that was received, or the earliest time: ISO 8601, or seconds since the epoch. `Last-Event-ID` wins.",
)
QUERY = (COMPONENTS, LINES, LEVEL, GREP, SINCE, FOLLOW)


class LogSource:
    """Lines of the log files after a point, read on threads, since files may be slow."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    @property
    def position(self) -> str:
        """How far the files were read."""
        return self._reader.position

    async def read(self) -> bytes:
        """Return the next lines that are wanted; while there are none, a long search shows that it goes on."""
        patience = time.monotonic() + SEARCH
        while True:
            before = self._reader.position
            portion = await asyncio.to_thread(self._reader.read)
            pieces = [self._gap(name, before) for name in portion.lost]
            pieces += [
                sse.encode(sse.Event("log", found.text.decode("utf-8", "replace"), found.position))
                for found in portion.lines
            ]
            # What is not wanted is passed over here, so that nothing to send means that there is nothing.
            if pieces or self._reader.position == before:
                return b"".join(pieces)
            if time.monotonic() >= patience:
                return sse.encode_mark(self.position)

    async def news(self) -> None:
        """Wait until a file has grown."""
        while not self._reader.changed():  # noqa: ASYNC110 (a file tells nobody that it has grown)
            await asyncio.sleep(POLL)

    async def end(self) -> None:
        """Read to where the files end now."""
        await asyncio.to_thread(self._reader.end)

    def close(self) -> None:
        """Nothing is held open between two readings."""

    def _gap(self, name: str, before: str) -> bytes:
        document: GapDocument = {
            "asked": before,
            "reason": f"the log of {name} does not go back as far as that",
            "missing": None,
        }
        return encoded("gap", document)


async def stream_logs(port: ControlPort, request: Request) -> Response:
    """Send the last lines of the logs, and those that follow; each has a point to go on from."""
    from launcher.observe.stream import LogReader  # each start would wait for it

    directory = Path(port.view().plan.spec.log_dir)
    wanted = chosen(request, {*port.view().plan.components, *logged_components(directory)})
    count = whole(request, LINES.name, DEFAULT_LINES, MOST)
    since, places = _since(request)
    accepts = make_filter(request.query.get("level", ""), since=since)
    text = request.query.get("grep", "")
    reader = LogReader(directory, wanted, lambda line: text in line.message and accepts(line), places=places)

    async def source() -> Source:
        if places is None:
            await asyncio.to_thread(reader.begin, count, since)
        return LogSource(reader)

    return Stream(source, follow=flag(request, FOLLOW.name, default=True)).response()


def _since(request: Request) -> tuple[float, dict[str, Place] | None]:
    """Return the moment and the position that a request begins at.

    Raises:
        Refusal: it is neither.
    """
    from launcher.observe.stream import decode_position

    text = request.headers.get("last-event-id", "") or request.query.get("since")
    if text is None:
        return 0.0, None
    try:
        return (0.0, decode_position(text)) if text.startswith("@") else (moment(text), None)
    except ValueError:
        hint = "give the id of an event, a time such as 2026-01-31T14:30:00Z, or seconds since the epoch"
        raise Refusal(400, f'"{text}" is no point to go on from', hint=hint) from None


def moment(text: str) -> float:
    """Return seconds since the epoch from such, or from a date and time of ISO 8601; without a zone it is that of this machine.

    Raises:
        ValueError: it is neither.
    """
    if text.isascii() and text.replace(".", "", 1).isdecimal():
        return float(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (OverflowError, OSError) as error:
        raise ValueError(text) from error
