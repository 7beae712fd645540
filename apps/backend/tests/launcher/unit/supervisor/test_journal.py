"""The ordered record of transitions."""

from __future__ import annotations

from launcher.model.events import Transition
from launcher.model.state import Desired, Phase
from launcher.supervisor.journal import KEPT, Entry, Journal


def change(number: int) -> Transition:
    """Return some transition."""
    return Transition("api", number, Phase.STARTING, Phase.READY, Desired.UP, "Started", float(number))


def test_entries_are_numbered_and_timed() -> None:
    """Numbers begin with 1 and have no gaps; the time is the wall clock's."""
    moments = iter([10.0, 20.0])
    journal = Journal(lambda: next(moments))
    journal.publish(change(1))
    journal.publish(change(2))
    assert journal.entries == (Entry(1, 10.0, change(1)), Entry(2, 20.0, change(2)))


def test_only_the_latest_are_kept() -> None:
    """Memory is bounded; the numbers go on."""
    journal = Journal()
    for number in range(KEPT + 5):
        journal.publish(change(number))
    assert [entry.seq for entry in journal.entries] == list(range(6, KEPT + 6))


def test_readers_get_what_comes_after_them() -> None:
    """A subscriber is told every later entry once and in order, not what was before."""
    journal, first, second = Journal(), list[Entry](), list[Entry]()
    journal.publish(change(1))
    journal.subscribe(first.append)
    journal.publish(change(2))
    journal.subscribe(second.append)
    journal.publish(change(3))
    assert [entry.seq for entry in first] == [2, 3]
    assert [entry.seq for entry in second] == [3]
