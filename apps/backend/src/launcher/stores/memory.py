"""The store that lives and dies with the launcher."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from launcher.model.stores import Record, Seen, Snapshot
from launcher.stores.base import decoded, encoded, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class MemoryStore:
    """Keeps everything in memory.

    Args:
        kept: how many records of a launcher are kept.
        clock: monotonic seconds.
    """

    remote = False

    def __init__(self, kept: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept = kept
        self._clock = clock
        self._records: dict[str, deque[tuple[int, int, str]]] = {}
        self._snapshots: dict[str, tuple[float, float, str]] = {}

    def begin(self, launcher: str, at: int) -> int:
        """Return the number of a new run; see ``Store``."""
        rows = self._records.get(launcher)
        return max(at, rows[-1][0] + 1) if rows else at

    def write(self, launcher: str, run: int, records: Sequence[Record], snapshot: Snapshot | None) -> None:
        """Append and replace; see ``Store``."""
        rows = self._records.setdefault(launcher, deque(maxlen=self._kept))
        top = rows[-1][:2] if rows else None
        written = next((seq for number, seq, _ in reversed(rows) if number == run), 0)
        rows.extend((run, record.seq, encoded(record.body)) for record in missing(records, run, top, written))
        if snapshot is not None:
            now = self._clock()
            self._snapshots[launcher] = (now, now + snapshot.lifetime, encoded(snapshot.body))

    def records(self, launcher: str) -> Iterator[Record]:
        """Return the records, the latest first."""
        # A copy: the supervisor may go on writing while somebody reads.
        for run, seq, text in reversed(tuple(self._records.get(launcher, ()))):
            yield Record(seq, decoded(text), run)

    def snapshots(self) -> list[Seen]:
        """Return the last snapshot of every launcher."""
        now = self._clock()
        return [
            Seen(launcher, now - at, decoded(text))
            for launcher, (at, until, text) in self._snapshots.items()
            if now < until
        ]

    def close(self) -> None:
        """Do nothing: what is in memory goes with it."""
