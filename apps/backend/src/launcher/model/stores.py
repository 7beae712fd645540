"""What a state store holds, and what is known of the store itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Record:
    """One transition as it is kept, or a gap: transitions that were lost because they could not be written in time.

    Attributes:
        seq: counts the transitions of one run from 1 without gaps; of a gap it is the last number that was lost.
        body: the document, ready for JSON.
        run: number of the run of the launcher; later runs have greater numbers.
    """

    seq: int
    body: Mapping[str, Any]
    run: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """What records are ordered by, and what no two of one launcher share."""
        return self.run, self.seq


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a launcher stands at one moment, as it is kept.

    Attributes:
        body: the document, ready for JSON.
        lifetime: seconds after which it is forgotten when no other one follows.
    """

    body: Mapping[str, Any]
    lifetime: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The last snapshot of a launcher, as it is read.

    Attributes:
        launcher: which launcher it is of.
        age: seconds since it was written, by the clock of the store.
    """

    launcher: str
    age: float
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoreState:
    """How the state store is doing.

    Attributes:
        url: where it is, without passwords.
        reachable: whether the last write succeeded; ``None`` before the first.
        since: monotonic seconds when ``reachable`` last changed.
        waiting: transitions that are still to be written.
        lost: transitions that could not be kept until the store was reachable again.
        reason: why it is not reachable.
        hint: what to do about it; may be empty.
    """

    url: str
    reachable: bool | None = None
    since: float = 0.0
    waiting: int = 0
    lost: int = 0
    reason: str = ""
    hint: str = ""
