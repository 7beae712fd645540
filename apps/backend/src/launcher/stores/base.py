"""What a state store can do, and how it fails."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from launcher.core.outbox import really_lost
from launcher.errors import LauncherError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from launcher.model.stores import Record, Seen, Snapshot


class StoreTrouble(LauncherError):
    """The store cannot be read or written just now; the message says why, and never holds a part of the URL."""


class Overtaken(Exception):
    """Somebody else writes the records of this launcher, with a greater number of the run.

    Attributes:
        run: that number.
        written: the highest number of the run in question that the store has; 0 for none.
    """

    def __init__(self, run: int, written: int) -> None:
        super().__init__(f"run {run} is in the store")
        self.run = run
        self.written = written


class Store(Protocol):
    """Keeps the records of launchers in order, and the last snapshot of each.

    A store is used by one thread. Every method but ``close`` raises ``StoreTrouble`` when the store cannot do it, and then nothing of it was
    done, or all of it although nobody can tell. To do it again is right in both cases.
    """

    @property
    def remote(self) -> bool:
        """Whether other machines may read it: they cannot see for themselves whether a launcher still lives."""
        ...

    def begin(self, launcher: str, at: int) -> int:
        """Return the number of a new run: ``at``, or one more than that of the last run when this is greater.

        Args:
            launcher: whose run.
            at: milliseconds since the epoch.
        """
        ...

    def write(self, launcher: str, run: int, records: Sequence[Record], snapshot: Snapshot | None) -> None:
        """Append what is not there yet, and replace the snapshot; all of it or nothing.

        A record is there already when the store has it or a later one of the same run: a write whose answer was lost can be repeated.

        Args:
            launcher: whose records.
            run: of which run of it.
            records: in the order of their numbers.
            snapshot: ``None`` leaves the last one.

        Raises:
            Overtaken: the store has records of a later run.
        """
        ...

    def records(self, launcher: str) -> Iterator[Record]:
        """Return the records of a launcher, the latest first; they are read as they are taken."""
        ...

    def snapshots(self) -> list[Seen]:
        """Return the last snapshot of every launcher."""
        ...

    def close(self) -> None:
        """Let go of the store; never fails."""
        ...


def missing(
    records: Sequence[Record], run: int, top: tuple[int, int] | None, written: int
) -> Sequence[Record]:
    """Return the records that a store does not have.

    Args:
        records: of one run, in the order of their numbers.
        run: which.
        top: run and number of the last record of the store; ``None`` when it is empty.
        written: the highest number of ``run`` in the store; 0 for none.

    Raises:
        Overtaken: the store has records of a later run.
    """
    left = [record for record in records if record.seq > written]
    if left and top is not None and top[0] > run:
        raise Overtaken(top[0], written)
    return left


def told(newest_first: Iterable[Record]) -> Iterator[Record]:
    """Return records as they are to be read: each gap tells only of what is really lost.

    Args:
        newest_first: of one launcher; one more is taken than is returned.
    """
    later: Record | None = None
    for record in newest_first:
        if later is not None:
            yield _clipped(later, record)
        later = record
    if later is not None:
        yield later


def _clipped(record: Record, before: Record) -> Record:
    gap = record.body.get("gap")
    if gap is None or before.run != record.run:
        return record
    return replace(record, body={**record.body, "gap": list(really_lost((gap[0], gap[1]), before.seq))})


def encoded(body: Mapping[str, Any]) -> str:
    """Return a document as text; what JSON does not know becomes text, so that no document can be refused."""
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"), default=str)


def decoded(text: str | bytes) -> dict[str, Any]:
    """Return the document of a text; an empty one when it is none, as when somebody else has written it."""
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def gap_body(first: int, last: int, at: float) -> dict[str, Any]:
    """Return the document that stands for lost transitions.

    Args:
        first: the first number that may be lost; see ``told``.
        last: the last one.
        at: seconds since the epoch when it was recorded.
    """
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return {"time": stamp, "gap": [first, last]}
