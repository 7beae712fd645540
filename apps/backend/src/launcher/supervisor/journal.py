"""The ordered record of transitions; readers subscribe and cannot disturb the supervisor or each other."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.model.events import Transition

KEPT = 1000
"""Number of latest entries that are kept in memory."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition in the journal.

    Attributes:
        seq: counts from 1 without gaps.
        time: wall clock, seconds since the epoch.
    """

    seq: int
    time: float
    transition: Transition


class Journal:
    """Numbers transitions, keeps the latest and hands each to every subscriber once, in order.

    Args:
        clock: seconds since the epoch.
        run: what tells this run of the launcher from all others.

    Attributes:
        last: number of the latest entry; 0 before the first.
    """

    def __init__(self, clock: Callable[[], float] = time.time, run: str = "") -> None:
        self.run = run or secrets.token_hex(4)
        self.last = 0
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._subscribers: list[Callable[[Entry], None]] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The latest entries, oldest first."""
        return tuple(self._entries)

    @property
    def gone(self) -> int:
        """Number of the latest entry that is no longer kept; 0 while all are."""
        return self.last - len(self._entries)

    def after(self, seq: int, count: int) -> tuple[Entry, ...]:
        """Return up to ``count`` kept entries that come after number ``seq``, oldest first."""
        start = max(0, seq - self.gone)
        return tuple(islice(self._entries, start, start + count))

    def subscribe(self, reader: Callable[[Entry], None]) -> None:
        """Call ``reader`` with every later entry; what it raises is logged and goes no further."""
        self._subscribers.append(reader)

    def unsubscribe(self, reader: Callable[[Entry], None]) -> None:
        """Call ``reader`` no more."""
        self._subscribers.remove(reader)

    def publish(self, transition: Transition) -> None:
        """Append a transition and tell every subscriber."""
        self.last += 1
        entry = Entry(self.last, self._clock(), transition)
        self._entries.append(entry)
        for reader in tuple(self._subscribers):
            try:
                reader(entry)
            except Exception:
                logger.exception("a reader of the journal failed on entry %d", entry.seq)
