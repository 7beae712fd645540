"""What is still to be written into the state store, and when.

Transitions have numbers without gaps, so that what waits, what was written and what was lost are ranges. This is arithmetic on them; the
transitions themselves are kept elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from launcher.core.restart import jittered

GATHER = 0.1
"""Seconds between the beginnings of two writes at least: what happens meanwhile is written together."""

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
"""Seconds until the first try after a failed one, and at most; doubled in between, as restarts of components are."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be written next, in this order: the gap, then the numbers from ``first`` to ``last``.

    Attributes:
        gap: first and last of the numbers that are lost; ``None`` for none.
        last: is ``first - 1`` when nothing but a gap is to be written.
    """

    gap: tuple[int, int] | None
    first: int
    last: int

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return self.gap is None and self.last < self.first


@dataclass(frozen=True, slots=True)
class Outbox:
    """The numbers of the transitions of one run.

    Attributes:
        limit: how many may wait; when there are more, the oldest are lost.
        written: the store has everything up to this number, as a transition or as part of a gap.
        first: the first number that still can be written; those between ``written`` and it are lost.
        last: the highest number that was put in.
    """

    limit: int
    written: int = 0
    first: int = 1
    last: int = 0

    @property
    def waiting(self) -> int:
        """How many transitions wait."""
        return self.last - self.first + 1

    @property
    def lost(self) -> int:
        """How many are lost and not yet recorded as a gap."""
        return self.first - self.written - 1

    def put(self) -> Outbox:
        """Take the next number; the oldest one is given up when there is no room."""
        last = self.last + 1
        return replace(self, last=last, first=max(self.first, last - self.limit + 1))

    def batch(self, size: int) -> Batch:
        """Return what is to be written next, with at most ``size`` transitions."""
        gap = (self.written + 1, self.first - 1) if self.lost else None
        return Batch(gap, self.first, min(self.last, self.first + size - 1))

    def wrote(self, last: int) -> Outbox:
        """Note that the store has everything up to ``last``; what was given up while it was being written is not lost."""
        written = max(self.written, min(last, self.last))
        return replace(self, written=written, first=max(self.first, written + 1))


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When the store is written.

    Attributes:
        who: of whom the writes are; two with different names do not come back in step after an outage.
        beat: seconds after which a snapshot is written even when nothing has changed; ``None`` for never.
        failures: writes that have failed since the last one that succeeded.
        tried_at: monotonic seconds of the beginning of the last write; ``None`` before the first.
    """

    who: str
    beat: float | None = None
    failures: int = 0
    tried_at: float | None = None

    def due(self, now: float, *, pending: bool) -> float | None:
        """Return when the next write is due; ``None`` when there is nothing to be written before something happens.

        Args:
            now: monotonic seconds.
            pending: whether something waits.
        """
        if self.tried_at is None:
            return now if pending else None
        if self.failures:
            return self.tried_at + retry_delay(self.failures, self.who)
        if pending:
            return max(now, self.tried_at + GATHER)
        return None if self.beat is None else self.tried_at + self.beat

    def tried(self, at: float, *, ok: bool) -> Rhythm:
        """Note how a write that began at ``at`` has ended."""
        return replace(self, tried_at=at, failures=0 if ok else self.failures + 1)


def really_lost(gap: tuple[int, int], before: int) -> tuple[int, int]:
    """Return the part of a recorded gap that is really lost.

    A write whose answer was lost may have been done all the same. What it has brought is then in the store, and was given up here later on.

    Args:
        gap: first and last number, as recorded.
        before: the number of the record before it; 0 for none.
    """
    return max(gap[0], before + 1), gap[1]


def retry_delay(failures: int, who: str) -> float:
    """Return the seconds from the beginning of a write that failed to the next one.

    Args:
        failures: consecutive failures, this one included.
        who: whose delay it is; different names get different delays.
    """
    # The exponent is bounded so that a year of failures cannot overflow a float.
    return jittered(min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 64)), who, failures)
