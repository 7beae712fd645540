"""The ordered record of transitions; readers subscribe and cannot disturb the supervisor or each other."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
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
    """Numbers transitions, keeps the latest and hands each to every subscriber once, in order."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._subscribers: list[Callable[[Entry], None]] = []
        self._seq = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The latest entries, oldest first."""
        return tuple(self._entries)

    def subscribe(self, reader: Callable[[Entry], None]) -> None:
        """Call ``reader`` with every later entry; what it raises is logged and goes no further."""
        self._subscribers.append(reader)

    def publish(self, transition: Transition) -> None:
        """Append a transition and tell every subscriber."""
        self._seq += 1
        entry = Entry(self._seq, self._clock(), transition)
        self._entries.append(entry)
        for reader in self._subscribers:
            try:
                reader(entry)
            except Exception:
                logger.exception("a reader of the journal failed on entry %d", entry.seq)
