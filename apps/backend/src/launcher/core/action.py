"""What the cells of the tables of ``launcher.core.machine`` and ``launcher.core.succession`` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from launcher.model.state import ComponentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.model.effects import Effect
    from launcher.model.events import ComponentEvent
    from launcher.model.spec import ComponentSpec

KILL_REPEAT = 2.0
"""Seconds between two attempts to kill what is still there."""

Result: TypeAlias = "tuple[ComponentState, tuple[Effect, ...]]"
"""The next state and what is to be done."""

Column = TypeVar("Column", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Action(Generic[Column]):
    """What a cell of a table does.

    Attributes:
        name: short and unique; labels the arrow in the diagram.
        targets: the columns it may lead to; empty when it leads nowhere else.
        handle: ``(spec, state, event, now) -> (state, effects)``.
    """

    name: str
    targets: tuple[Column, ...]
    handle: Callable[[ComponentSpec, ComponentState, ComponentEvent, float], Result]


def ignore(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    """Change nothing, on purpose."""
    return state, ()
