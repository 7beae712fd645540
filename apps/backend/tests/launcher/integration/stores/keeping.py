"""A writer on a real store, and what can be seen of it from outside."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from launcher.model.spec import StateSpec
from launcher.model.stores import Record, Snapshot, StoreState
from launcher.stores.base import told
from launcher.stores.choose import opened
from launcher.stores.writer import LIMIT, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from launcher.stores.base import Store

ME = "a" * 16
PATIENCE = 60.0
"""Seconds after which something awaited counts as never happening."""


def eventually(what: str, happened: Callable[[], object]) -> None:
    """Ask until the answer is true; fail with ``what`` when it never is."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


class Kept:
    """A launcher as far as a store knows it: transitions with numbers, and a writer.

    Attributes:
        said: what the user was told.
        snapshots: whether each snapshot that was asked for was the last one.
    """

    def __init__(
        self, url: str, *, limit: int = LIMIT, beat: float | None = None, store: Store | None = None
    ) -> None:
        self.spec = StateSpec(url=url)
        self.said: list[str] = []
        self.snapshots: list[bool] = []
        self.count = 0
        opening = partial(opened, self.spec) if store is None else lambda: store
        self.writer = Writer(
            opening, ME, "the store", self._snapshot, self.said.append, beat=beat, limit=limit
        )

    def _snapshot(self, _state: StoreState, ended: bool) -> Snapshot:
        self.snapshots.append(ended)
        return Snapshot({"ended": ended}, 3600.0)

    def put(self, count: int = 1) -> None:
        """Have transitions happen."""
        for _ in range(count):
            self.count += 1
            self.writer.put({"number": self.count})

    def settle(self) -> None:
        """Wait until everything is written."""
        eventually("all is written", lambda: self.writer.state().reachable and self._idle())

    def _idle(self) -> bool:
        state = self.writer.state()
        return state.waiting == 0 and state.lost == 0

    def failing(self) -> None:
        """Wait until the outage is noticed."""
        eventually("the outage is noticed", lambda: self.writer.state().reachable is False)

    def records(self) -> list[Record]:
        """What the store has, oldest first, read as another process would."""
        store = opened(self.spec)
        try:
            return list(told(store.records(ME)))[::-1]
        finally:
            store.close()

    def numbers(self) -> list[object]:
        """The transitions in the store, oldest first; a gap is a pair."""
        return [record.body.get("number") or tuple(record.body["gap"]) for record in self.records()]

    def everything(self) -> list[int]:
        """What the store would have if nothing had ever gone wrong."""
        return list(range(1, self.count + 1))


@contextmanager
def keeping(
    url: str, *, limit: int = LIMIT, beat: float | None = None, store: Store | None = None
) -> Iterator[Kept]:
    """A writer that runs, and is closed afterwards."""
    kept = Kept(url, limit=limit, beat=beat, store=store)
    kept.writer.start()
    try:
        yield kept
    finally:
        kept.writer.close(patience=0.0)
