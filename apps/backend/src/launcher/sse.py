"""Server-sent events, as both ends of the control interface write and read them (HTML standard, section 9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT_TYPE = "text/event-stream"

LONGEST = 64 * 1024 * 1024
"""Bytes of one event that are read at most."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        kind: what it tells.
        data: one line of text.
        id: what to ask for in order to go on after it; empty when there is no such point.
    """

    kind: str
    data: str
    id: str = ""


def encode(event: Event) -> bytes:
    """Return the bytes of an event; what is no UTF-8 becomes an escape of JSON, which is what all our data are."""
    lines = [f"id: {event.id}"] if event.id else []
    text = "\n".join([*lines, f"event: {event.kind}", f"data: {event.data}", "", ""])
    return text.encode("utf-8", "backslashreplace")


def encode_mark(identity: str) -> bytes:
    """Return what moves the point from which a reader would go on, and tells it nothing; it also keeps the connection alive."""
    return f": go on from here\nid: {identity}\n\n".encode()


def encode_retry(seconds: float) -> bytes:
    """Return what tells a reader how long to wait before it connects again."""
    return f"retry: {seconds * 1000:.0f}\n\n".encode()


class Parser:
    """Makes events of bytes that arrive in pieces.

    Args:
        last_id: from where the stream goes on.

    Attributes:
        last_id: from where to go on when the stream breaks now; empty when nothing was told.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self._rest = b""
        self._id = last_id
        self._kind = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[Event]:
        """Return the events that the bytes complete.

        Raises:
            ValueError: an event has no end.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            raise ValueError("an event has no end")
        for line in lines:
            yield from self._line(line.removesuffix(b"\r").decode("utf-8", "replace"))

    def _line(self, line: str) -> Iterator[Event]:
        if not line:
            yield from self._dispatch()
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._kind = value
        elif field == "id" and "\x00" not in value:
            self._id = value

    def _dispatch(self) -> Iterator[Event]:
        # Only now: an event that breaks off in the middle was not received.
        self.last_id = self._id
        kind, data = self._kind or "message", "\n".join(self._data)
        arrived = bool(self._data)
        self._kind, self._data = "", []
        if arrived:
            yield Event(kind, data, self._id)
