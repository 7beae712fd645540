"""The part of the status document about the state store."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from launcher.model.stores import StoreState


class StoreDocument(TypedDict):
    """The state store; ``reachable`` is null before the first write. ``waiting`` and ``lost`` count transitions."""

    url: str
    reachable: bool | None
    seconds: float
    waiting: int
    lost: int
    reason: str
    hint: str


def store_document(state: StoreState, now: float) -> StoreDocument:
    """Return how the store is doing at a moment of the monotonic clock; its state holds no passwords any more."""
    return {
        "url": state.url,
        "reachable": state.reachable,
        "seconds": round(max(0.0, now - state.since), 3),
        "waiting": state.waiting,
        "lost": state.lost,
        "reason": state.reason,
        "hint": state.hint,
    }
