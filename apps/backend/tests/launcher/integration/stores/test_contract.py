"""What every store does, on the real thing: memory, a file, a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from launcher.model.stores import Record, Snapshot
from launcher.stores.base import Overtaken, Store
from tests.launcher.integration.stores.conftest import KEPT

if TYPE_CHECKING:
    from collections.abc import Callable

ME, OTHER = "a" * 16, "b" * 16
NOW = 1_795_805_673_812


def change(seq: int) -> Record:
    return Record(
        seq, {"time": "2026-11-27T10:00:00+00:00", "component": "api", "number": seq, "text": "é\n→"}
    )


def written(store: Store, launcher: str = ME) -> list[tuple[int, int]]:
    """Run and number of everything that the store has, oldest first."""
    return [record.key for record in store.records(launcher)][::-1]


def test_an_empty_store_is_no_trouble(store: Store) -> None:
    """Nothing was ever written: there is nothing to read, and the first run has the number that it asks for."""
    assert list(store.records(ME)) == []
    assert store.snapshots() == []
    assert store.begin(ME, NOW) == NOW


def test_what_is_written_is_read(store: Store, open_store: Callable[[], Store]) -> None:
    """Another reader gets the records, the latest first, and the last snapshot with its age, as they were written."""
    store.write(ME, NOW, [change(1), change(2)], Snapshot({"state": "starting"}, 100.0))
    store.write(ME, NOW, [change(3)], Snapshot({"state": "up", "text": "é"}, 100.0))
    reader = open_store()
    assert list(reader.records(ME)) == [Record(n, change(n).body, NOW) for n in (3, 2, 1)]
    (seen,) = reader.snapshots()
    assert (seen.launcher, seen.body) == (ME, {"state": "up", "text": "é"})
    assert 0 <= seen.age < 90


def test_a_write_can_be_repeated(store: Store, open_store: Callable[[], Store]) -> None:
    """What is there already is not written again, by this connection or a later one; what is new is."""
    store.write(ME, NOW, [change(1), change(2)], None)
    store.write(ME, NOW, [change(1), change(2), change(3)], None)
    again = open_store()
    again.write(ME, NOW, [change(2), change(3)], None)
    again.write(ME, NOW, [change(3), change(4)], None)
    assert written(store) == [(NOW, number) for number in (1, 2, 3, 4)]


def test_a_late_write_is_refused(store: Store) -> None:
    """What comes after a later record is not put behind it, even when it was never there: the order is kept."""
    store.write(ME, NOW, [change(5)], None)
    store.write(ME, NOW, [change(3)], None)
    assert written(store) == [(NOW, 5)]


def test_a_later_run_has_a_greater_number(store: Store) -> None:
    """A run begins with its time, and behind the last one when the clock was put back."""
    store.write(ME, NOW, [change(7)], None)
    assert store.begin(ME, NOW + 5) == NOW + 5
    assert store.begin(ME, NOW - 5000) == NOW + 1
    store.write(ME, NOW + 1, [change(1)], None)
    assert written(store) == [(NOW, 7), (NOW + 1, 1)]


def test_somebody_else_with_a_later_run_is_told(store: Store) -> None:
    """Two launchers that are taken for one do not lose transitions: the earlier one is told, and what it has written already."""
    store.write(ME, NOW, [change(1), change(2)], None)
    store.write(ME, NOW + 9, [change(1)], None)
    with pytest.raises(Overtaken) as told:
        store.write(ME, NOW, [change(2), change(3)], None)
    assert (told.value.run, told.value.written) == (NOW + 9, 2)
    store.write(ME, NOW, [change(1), change(2)], None)
    assert written(store) == [(NOW, 1), (NOW, 2), (NOW + 9, 1)]


def test_the_length_is_bounded(store: Store) -> None:
    """Only the latest are kept, of each launcher for itself, and also when more than that come at once."""
    store.write(OTHER, NOW, [change(1)], None)
    store.write(ME, NOW, [change(number) for number in range(1, 2 * KEPT)], None)
    assert written(store) == [(NOW, number) for number in range(KEPT, 2 * KEPT)]
    store.write(ME, NOW + 1, [change(1)], None)
    assert written(store)[0] == (NOW, KEPT + 1)
    assert written(store, OTHER) == [(NOW, 1)]


def test_launchers_are_kept_apart(store: Store) -> None:
    """Each has its own records and its own snapshot."""
    store.write(ME, NOW, [change(1)], Snapshot({"name": "me"}, 100.0))
    store.write(OTHER, NOW + 1, [change(1)], Snapshot({"name": "other"}, 100.0))
    assert (written(store, ME), written(store, OTHER)) == ([(NOW, 1)], [(NOW + 1, 1)])
    assert {seen.launcher: seen.body["name"] for seen in store.snapshots()} == {ME: "me", OTHER: "other"}


def test_a_snapshot_without_a_record(store: Store) -> None:
    """A sign of life brings a snapshot alone; records alone leave the last snapshot."""
    store.write(ME, NOW, [], Snapshot({"state": "up"}, 100.0))
    store.write(ME, NOW, [change(1)], None)
    assert written(store) == [(NOW, 1)]
    assert [seen.body for seen in store.snapshots()] == [{"state": "up"}]


def test_a_snapshot_expires(store: Store) -> None:
    """When no other one follows within its lifetime, it is gone; the records stay."""
    store.write(ME, NOW, [change(1)], Snapshot({"state": "up"}, 0.001))
    while store.snapshots():
        pass
    assert written(store) == [(NOW, 1)]
    assert store.begin(ME, NOW) == NOW + 1


def test_what_json_does_not_know(store: Store) -> None:
    """Text that is no text, such as a reason with bytes in it, is kept in some form and holds up nothing."""
    store.write(ME, NOW, [Record(1, {"reason": "\udcff\0", "what": b"bytes"})], None)
    assert [record.body["reason"] for record in store.records(ME)] == ["\udcff\0"]


def test_closing_twice_is_harmless(store: Store) -> None:
    """A store can be closed at any time, and used again."""
    store.close()
    store.close()
    store.write(ME, NOW, [change(1)], None)
    assert written(store) == [(NOW, 1)]
