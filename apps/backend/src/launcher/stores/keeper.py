"""What the launcher leaves its state with: straight into memory, or with the writer of a store."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from launcher.model.stores import Record, Snapshot, StoreState
from launcher.stores.choose import kind_of, opened
from launcher.stores.memory import MemoryStore
from launcher.stores.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from launcher.model.spec import StateSpec

IN_MEMORY = 1000
"""Transitions that a launcher keeps in its own memory at most; whoever wants more names a file or a server."""

BEATS = 3
"""Signs of life within the expiry of a snapshot, so that one that comes late or is lost makes nobody look lost."""

LOST_FOR = 10
"""For how many expiries a launcher that is not heard of is shown as lost, before it is forgotten."""


class Keeper(Protocol):
    """Takes transitions, and is told when the snapshot is out of date; nothing of it waits or fails."""

    def start(self) -> None:
        """Begin to write; called once, when no process will be forked any more that must have one thread."""
        ...

    def put(self, body: Mapping[str, Any]) -> None:
        """Keep a transition."""
        ...

    def touch(self) -> None:
        """Keep a new snapshot."""
        ...

    def state(self) -> StoreState:
        """Return how the store is doing."""
        ...

    def records(self) -> tuple[Record, ...]:
        """Return the transitions that nobody but the launcher can tell, oldest first."""
        ...

    def close(self) -> None:
        """Write the rest, within a bounded time."""
        ...


class MemoryKeeper:
    """Keeps the latest transitions of this run; the snapshot is what the launcher answers when it is asked.

    Args:
        kept: how many.
        url: of the store.
    """

    def __init__(self, kept: int, url: str) -> None:
        self._store = MemoryStore(kept)
        self._run = self._store.begin("", int(time.time() * 1000))
        self._seq = 0
        self._state = StoreState(url, reachable=True, since=time.monotonic())

    def start(self) -> None:
        """Do nothing."""

    def put(self, body: Mapping[str, Any]) -> None:
        """Keep a transition."""
        self._seq += 1
        self._store.write("", self._run, [Record(self._seq, body)], None)

    def touch(self) -> None:
        """Do nothing."""

    def state(self) -> StoreState:
        """Return how the store is doing: always well."""
        return self._state

    def records(self) -> tuple[Record, ...]:
        """Return the transitions, oldest first."""
        return tuple(self._store.records(""))[::-1]

    def close(self) -> None:
        """Do nothing."""


def keeper(
    state: StateSpec,
    launcher: str,
    url: str,
    snapshot: Callable[[StoreState, bool], Snapshot],
    say: Callable[[str], None],
) -> Keeper:
    """Return what keeps the state as it is declared.

    Args:
        state: the declaration.
        launcher: what the launcher is known by in a store.
        url: of the store, without passwords.
        snapshot: returns how the launcher stands, given the state of the store and whether it ends; called on another thread.
        say: tells the user something; called on another thread.
    """
    if kind_of(state.url) == "memory":
        return MemoryKeeper(min(state.kept, IN_MEMORY), url)
    # Where nobody judges by signs of life, one is still needed so as not to be forgotten at rest.
    beat = (state.expiry if shared(state) else state.kept_for) / BEATS
    return Writer(partial(opened, state), launcher, url, snapshot, say, beat=beat)


def shared(state: StateSpec) -> bool:
    """Whether other machines may read the store, so that a launcher has to give signs of life."""
    return kind_of(state.url) == "redis"


def lifetime(state: StateSpec) -> float:
    """Return for how many seconds a snapshot is kept; in a file, where a process can be looked at, as long as the transitions are."""
    return state.expiry * LOST_FOR if shared(state) else state.kept_for
