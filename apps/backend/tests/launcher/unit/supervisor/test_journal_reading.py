"""Reading the journal from a point on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launcher.model.events import Transition
from launcher.model.state import Desired, Phase
from launcher.supervisor.journal import KEPT, Entry, Journal


def filled(count: int) -> Journal:
    journal = Journal()
    for number in range(count):
        journal.publish(
            Transition("api", number, Phase.STARTING, Phase.READY, Desired.UP, "BecameReady", 0.0)
        )
    return journal


@given(st.integers(0, KEPT + 50), st.integers(0, KEPT + 100), st.integers(0, 200))
def test_what_comes_after_a_point(count: int, seq: int, most: int) -> None:
    """The kept entries with higher numbers, oldest first, as many as are asked for."""
    journal = filled(count)
    kept = range(max(0, count - KEPT) + 1, count + 1)
    assert journal.last == count
    assert journal.gone == max(0, count - KEPT)
    assert [entry.seq for entry in journal.after(seq, most)] == [n for n in kept if n > seq][:most]


def test_each_run_has_a_name() -> None:
    """Numbers begin anew with each run, so that a number alone is no point to go on from."""
    assert Journal().run != Journal().run
    assert len(Journal().run) == 8


def test_a_reader_that_has_left_is_told_nothing() -> None:
    """Also one that leaves while it is told something."""
    journal, seen = filled(0), list[Entry]()

    def once(entry: Entry) -> None:
        seen.append(entry)
        journal.unsubscribe(once)

    journal.subscribe(once)
    journal.subscribe(seen.append)
    for number in range(2):
        journal.publish(Transition("api", number, Phase.READY, Phase.READY, Desired.UP, "x", 0.0))
    assert [entry.seq for entry in seen] == [1, 1, 2]
