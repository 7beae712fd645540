"""The documents that are kept in the state store, and what is read from them: transitions, and how a launcher stands.

Like all documents they hold no passwords.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from launcher.core.view import View
    from launcher.documents import StatusDocument
    from launcher.model.stores import Record, Seen


SCHEMA = 1
"""Version of what is kept; a field may be added under the same number, but none may change its meaning or vanish."""


class HistoryDocument(TypedDict):
    """Transitions as they are kept, oldest first; a gap stands for those that were lost."""

    schema: int
    transitions: list[dict[str, Any]]


class Standing(NamedTuple):
    """How a launcher stands, as far as its last snapshot tells.

    Attributes:
        state: ``starting``, ``up``, ``degraded`` or ``stopping`` as it was; ``ended`` when it ended in order, ``lost`` when it is not heard
            of any more.
        age: seconds since the snapshot.
    """

    machine: str
    state: str
    age: float
    status: StatusDocument


def snapshot_document(view: View, machine: str, expiry: float | None, *, ended: bool) -> dict[str, Any]:
    """Return how a launcher stands, as it is kept.

    Args:
        view: of the launcher.
        machine: its name.
        expiry: seconds after which no sign of life means that it is lost; ``None`` when it gives none.
        ended: whether it ends now.
    """
    from launcher.documents import status_document

    return {
        "schema": SCHEMA,
        "machine": machine,
        "expiry": expiry,
        "ended": ended,
        "status": status_document(view),
    }


def record_document(record: Record) -> dict[str, Any]:
    """Return a record as it is shown: with the numbers that it is known by."""
    return {"run": record.run, "seq": record.seq, **record.body}


def history_document(records: Iterable[Record]) -> HistoryDocument:
    """Return records as the control interface answers with them."""
    return {"schema": SCHEMA, "transitions": [record_document(record) for record in records]}


def moment(document: Mapping[str, Any]) -> float:
    """Return the seconds since the epoch of a record; 0 when it has none that can be understood."""
    try:
        return datetime.fromisoformat(document.get("time", "")).timestamp()
    except (TypeError, ValueError):
        return 0.0


def standing(seen: Seen, *, dead: bool) -> Standing | None:
    """Return how a launcher stands; ``None`` when its snapshot cannot be understood.

    Args:
        seen: its last snapshot.
        dead: whether its process is known to be gone.
    """
    body = seen.body
    status = body.get("status")
    if not isinstance(status, dict) or body.get("schema") != SCHEMA:
        return None
    silent = body["expiry"] is not None and seen.age > body["expiry"]
    state = status["launcher"]["state"]
    if body["ended"]:
        state = "ended"
    elif dead or silent:
        state = "lost"
    return Standing(body["machine"], state, seen.age, status)  # type: ignore[arg-type]  # of this schema


def standing_document(found: Standing) -> dict[str, Any]:
    """Return how a launcher stands as ``launcher status --all -o json`` prints it."""
    return {
        "machine": found.machine,
        "state": found.state,
        "age": round(found.age, 3),
        "status": found.status,
    }
