"""What is still to be written into the state store, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.outbox import GATHER, LONGEST_DELAY, Batch, Outbox, Rhythm, really_lost, retry_delay


def filled(limit: int, count: int) -> Outbox:
    """Return an outbox that ``count`` transitions were put into."""
    outbox = Outbox(limit)
    for _ in range(count):
        outbox = outbox.put()
    return outbox


@pytest.mark.parametrize(
    ("outbox", "waiting", "lost", "batch"),
    [
        pytest.param(Outbox(5), 0, 0, Batch(None, 1, 0), id="nothing was put"),
        pytest.param(filled(5, 3), 3, 0, Batch(None, 1, 3), id="all of it"),
        pytest.param(filled(9, 7), 7, 0, Batch(None, 1, 4), id="no more than the size"),
        pytest.param(filled(2, 5), 2, 3, Batch((1, 3), 4, 5), id="the oldest are lost"),
        pytest.param(filled(9, 7).wrote(4), 3, 0, Batch(None, 5, 7), id="what is left after a write"),
        pytest.param(filled(3, 7).wrote(7), 0, 0, Batch(None, 8, 7), id="a gap is written, too"),
        pytest.param(
            filled(2, 9).wrote(5), 2, 2, Batch((6, 7), 8, 9), id="a write ended while more were lost"
        ),
        pytest.param(
            filled(5, 3).wrote(3).wrote(2), 0, 0, Batch(None, 4, 3), id="an earlier write is no news"
        ),
    ],
)
def test_what_is_written_next(outbox: Outbox, waiting: int, lost: int, batch: Batch) -> None:
    """The gap comes first, then the oldest that wait; what was lost while it was being written is not lost."""
    assert (outbox.waiting, outbox.lost, outbox.batch(4)) == (waiting, lost, batch)
    assert batch.empty == (waiting == lost == 0)


@dataclass
class ModelStore:
    """A store as the contract has it: it takes what is greater than its last number, and all of a write or nothing."""

    rows: list[tuple[int, tuple[int, int] | None]] = field(default_factory=list)

    def write(self, batch: Batch) -> None:
        top = self.rows[-1][0] if self.rows else 0
        rows: list[tuple[int, tuple[int, int] | None]] = [(batch.gap[1], batch.gap)] if batch.gap else []
        rows += [(number, None) for number in range(batch.first, batch.last + 1)]
        self.rows += [row for row in rows if row[0] > top]

    def covered(self) -> list[int]:
        """Every number that is told of, in the order of the rows."""
        numbers: list[int] = []
        before = 0
        for row, gap in self.rows:
            first, last = really_lost(gap, before) if gap is not None else (row, row)
            numbers += range(first, last + 1)
            before = row
        return numbers


@given(
    limit=st.integers(1, 8),
    size=st.integers(1, 6),
    steps=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from(["ok", "lost", "answer lost"]))
    ),
    late=st.booleans(),
)
def test_every_number_is_told_of_once_and_in_order(
    limit: int, size: int, steps: list[tuple[int, int, str]], late: bool
) -> None:
    """Whatever is lost on the way, answers too: each transition is in the store once, or in one gap, and the order is kept.

    A write whose answer was lost is done at once, or ``late``: after the next one.
    """
    outbox, store, delayed = Outbox(limit), ModelStore(), list[Batch]()
    for before, meanwhile, outcome in [*steps, *[(0, 0, "ok")] * 30]:
        for _ in range(before):
            outbox = outbox.put()
        batch = outbox.batch(size)
        for _ in range(meanwhile):
            outbox = outbox.put()
        if outcome == "answer lost" and late:
            delayed.append(batch)
        elif outcome != "lost":
            store.write(batch)
        if outcome == "ok":
            outbox = outbox.wrote(batch.last)
            for forgotten in delayed:
                store.write(forgotten)
            delayed.clear()
    put = sum(before + meanwhile for before, meanwhile, _ in steps)
    assert store.covered() == list(range(1, put + 1))
    assert outbox.batch(size).empty


@given(limit=st.integers(1, 20), counts=st.lists(st.integers(0, 30)))
def test_what_waits_is_bounded(limit: int, counts: list[int]) -> None:
    """However much comes and whatever is written, no more than the limit waits."""
    outbox = Outbox(limit)
    for count in counts:
        for _ in range(count):
            outbox = outbox.put()
            assert 0 <= outbox.waiting <= limit
        outbox = outbox.wrote(outbox.batch(3).last)
        assert outbox.lost >= 0


NEW = Rhythm("me")
BEATING = Rhythm("me", beat=20.0)


@pytest.mark.parametrize(
    ("rhythm", "pending", "due"),
    [
        pytest.param(NEW, True, 100.0, id="at once, at first"),
        pytest.param(NEW, False, None, id="nothing to write"),
        pytest.param(NEW.tried(99.98, ok=True), True, 99.98 + GATHER, id="what comes in a burst is gathered"),
        pytest.param(NEW.tried(50.0, ok=True), True, 100.0, id="at once after a rest"),
        pytest.param(NEW.tried(50.0, ok=True), False, None, id="at rest nothing wakes up"),
        pytest.param(BEATING.tried(90.0, ok=True), False, 110.0, id="but for signs of life"),
        pytest.param(
            NEW.tried(99.0, ok=False), True, 99.0 + retry_delay(1, "me"), id="a failed write is tried again"
        ),
        pytest.param(
            NEW.tried(9.0, ok=False).tried(99.0, ok=False),
            True,
            99.0 + retry_delay(2, "me"),
            id="later each time",
        ),
        pytest.param(
            NEW.tried(9.0, ok=False).tried(99.98, ok=True),
            True,
            99.98 + GATHER,
            id="success forgets failures",
        ),
    ],
)
def test_when_to_write(rhythm: Rhythm, pending: bool, due: float | None) -> None:
    """A write comes at once, in a burst a little later, after failures much later, and at rest only to give a sign of life."""
    assert rhythm.due(100.0, pending=pending) == due


@given(failures=st.integers(1, 10_000), who=st.text(max_size=20))
def test_delays_grow_to_a_bound(failures: int, who: str) -> None:
    """A store that is back is noticed soon, and one that stays away is asked seldom, for however long that is."""
    assert 0.1 < retry_delay(failures, who) <= LONGEST_DELAY * 1.2
    assert retry_delay(failures + 3, who) >= min(retry_delay(failures, who), LONGEST_DELAY * 0.8)


def test_two_launchers_do_not_come_back_in_step() -> None:
    """Launchers that have lost the same store try it again at different times."""
    assert len({retry_delay(5, f"launcher {number}") for number in range(20)}) == 20
