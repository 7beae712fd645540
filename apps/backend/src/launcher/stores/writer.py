"""Writes into a store from a thread of its own, so that a store that is slow, full or gone holds up nobody.

The supervisor leaves documents here and goes on; that takes microseconds and never fails. What waits is bounded. What is written when, and
what is lost when the store stays away, is decided in ``launcher.core.outbox``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launcher.core.outbox import Batch, Outbox, Rhythm
from launcher.model.stores import Record, Snapshot, StoreState
from launcher.stores.base import Overtaken, Store, StoreTrouble, gap_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIMIT = 5000
"""Transitions that may wait: some megabytes, and the restarts of a component that fails all day."""

BATCH = 500
"""Transitions that are written at a time."""

CLOSE_PATIENCE = 2.0
"""Seconds in which the rest may be written when the launcher ends."""

logger = logging.getLogger(__name__)


class Writer:
    """Keeps records and snapshots of one launcher in a store; its methods may be called from any thread, and only ``close`` waits.

    Args:
        opened: returns the store; called on the writer's thread.
        launcher: what the launcher is known by in the store.
        url: of the store, without passwords.
        snapshot: returns how the launcher stands, given the state of the store and whether the launcher ends; called on the writer's thread.
        say: tells the user something, once per outage and once when it is over.
        beat: seconds after which a snapshot is written although nothing has changed; ``None`` for never.
        limit: transitions that may wait.
    """

    def __init__(
        self,
        opened: Callable[[], Store],
        launcher: str,
        url: str,
        snapshot: Callable[[StoreState, bool], Snapshot],
        say: Callable[[str], None],
        *,
        beat: float | None = None,
        limit: int = LIMIT,
    ) -> None:
        self._opened = opened
        self._launcher = launcher
        self._snapshot = snapshot
        self._say = say
        self._wake = threading.Condition(threading.Lock())
        self._outbox = Outbox(limit)
        self._bodies: deque[Mapping[str, Any]] = deque()
        self._rhythm = Rhythm(launcher, beat)
        self._state = StoreState(url, since=time.monotonic())
        self._stale = False
        self._closing: float | None = None
        self._at = int(time.time() * 1000)
        self._store: Store | None = None
        self._run = 0
        self._thread = threading.Thread(target=self._work, name="state-store", daemon=True)

    def start(self) -> None:
        """Begin to write; what was put before is written then."""
        self._thread.start()

    def put(self, body: Mapping[str, Any]) -> None:
        """Have a transition written."""
        with self._wake:
            self._outbox = self._outbox.put()
            self._bodies.append(body)
            self._drop()
            self._stale = True
            self._wake.notify()

    def touch(self) -> None:
        """Have a new snapshot written."""
        with self._wake:
            self._stale = True
            self._wake.notify()

    def state(self) -> StoreState:
        """Return how the store is doing."""
        with self._wake:
            return replace(self._state, waiting=self._outbox.waiting, lost=self._outbox.lost)

    def records(self) -> tuple[Record, ...]:
        """Return nothing: what is in the store is read there."""
        return ()

    def close(self, patience: float = CLOSE_PATIENCE) -> None:
        """Write the rest and a last snapshot, and stop; after ``patience`` seconds it is left as it is."""
        with self._wake:
            self._closing = time.monotonic() + patience
            self._rhythm = Rhythm(self._launcher)  # at once, also after a long outage: the store may be back
            self._stale = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(patience)
        left = self.state()
        if left.waiting or left.lost:
            count = left.waiting + left.lost
            self._tell(f"state store {left.url}: {_many(count)} could not be written before the end")

    # -- on the writer's thread --

    def _work(self) -> None:
        while self._due():
            begun = time.monotonic()
            try:
                batch = self._write()
            except Overtaken as other:
                self._overtaken(other, begun)
            except StoreTrouble as trouble:
                self._failed(trouble, begun)
            except Exception as error:  # noqa: BLE001 (whatever a store does must not end the writer)
                # Never the message: it may quote what was sent.
                self._failed(StoreTrouble(f"it failed in an unforeseen way ({type(error).__name__})"), begun)
            else:
                self._succeeded(batch, begun)
        if self._store is not None:
            self._store.close()

    def _due(self) -> bool:
        """Wait until something is to be written; false when it is the end."""
        with self._wake:
            while True:
                now = time.monotonic()
                pending = self._stale or not self._outbox.batch(BATCH).empty
                due = self._rhythm.due(now, pending=pending)
                if self._closing is not None:
                    if not pending or now >= self._closing:
                        return False
                    due = min(due or now, self._closing) if self._rhythm.failures else now
                if due is not None and due <= now:
                    return True
                self._wake.wait(None if due is None else due - now)

    def _write(self) -> Batch:
        """Write what waits now; returns what that was."""
        if self._store is None:
            self._store = self._opened()
        if not self._run:
            self._run = self._store.begin(self._launcher, self._at)
        with self._wake:
            ending = self._closing is not None
            self._stale = False
            batch = self._outbox.batch(BATCH)
            bodies = zip(range(batch.first, batch.last + 1), self._bodies, strict=False)
            records = [Record(seq, body) for seq, body in bodies]
        if batch.gap is not None:
            records.insert(0, Record(batch.gap[1], gap_body(*batch.gap, time.time())))
        state = replace(self.state(), reachable=True, reason="", hint="", waiting=0, lost=0)
        self._store.write(self._launcher, self._run, records, self._snapshot(state, ending))
        return batch

    def _drop(self) -> None:
        while len(self._bodies) > self._outbox.waiting:
            self._bodies.popleft()

    def _wrote(self, last: int) -> None:
        with self._wake:
            self._outbox = self._outbox.wrote(last)
            self._drop()

    def _overtaken(self, other: Overtaken, begun: float) -> None:
        """Go on behind somebody else who is taken for this launcher, so that neither loses anything."""
        self._run = other.run + 1
        self._wrote(other.written)
        with self._wake:
            self._rhythm = self._rhythm.tried(begun, ok=True)
            self._stale = True

    def _succeeded(self, batch: Batch, begun: float) -> None:
        self._wrote(batch.last)
        with self._wake:
            before = self._state
            # What was given up while the first write after the outage was under way belongs to the outage.
            lost = self._outbox.lost + (batch.gap[1] - batch.gap[0] + 1 if batch.gap else 0)
            now = time.monotonic()
            since = before.since if before.reachable else now
            self._state = replace(before, reachable=True, since=since, reason="", hint="")
            self._rhythm = self._rhythm.tried(begun, ok=True)
        if before.reachable is False:
            gone = f"; {_many(lost)} could not be kept meanwhile" if lost else ""
            self._tell(f"state store {before.url}: written again after {now - before.since:.0f} s{gone}")

    def _failed(self, trouble: StoreTrouble, begun: float) -> None:
        with self._wake:
            before = self._state
            since = time.monotonic() if before.reachable is not False else before.since
            self._state = replace(
                before, reachable=False, since=since, reason=trouble.message, hint=trouble.hint
            )
            self._rhythm = self._rhythm.tried(begun, ok=False)
            self._stale = True
        if before.reachable is not False:
            hint = f" (hint: {trouble.hint})" if trouble.hint else ""
            self._tell(
                f"state store {before.url}: cannot be written: {trouble.message}{hint}; everything else goes on, and what happens meanwhile "
                "is written later"
            )

    def _tell(self, message: str) -> None:
        try:
            self._say(message)
        except Exception:
            logger.exception("cannot say: %s", message)


def _many(count: int) -> str:
    return f"{count} transition{'s' if count != 1 else ''}"
