"""What a component still needs before it can start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.model.state import ComponentState, FleetState, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.core.plan import Plan


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that a component waits for.

    Attributes:
        name: the component or dependency waited for.
        what: how it stands with it, for people.
        since: when the waiting began, monotonic seconds.
    """

    name: str
    what: str
    since: float


def waits_for(plan: Plan, fleet: FleetState, name: str) -> tuple[Wait, ...]:
    """Return what ``name``, or its successor, still needs before it can start; empty when it is not waiting."""
    if not waiting(fleet.components[name]):
        return ()
    return tuple(unmet(plan, fleet, name))


def waiting(state: ComponentState) -> bool:
    """Whether the component, or its successor, is to start as soon as it can."""
    successor = state.successor
    return state.phase is Phase.WAITING or (successor is not None and successor.phase is Phase.WAITING)


def unmet(plan: Plan, fleet: FleetState, name: str) -> Iterator[Wait]:
    """Yield what the component depends on and cannot have yet, whether it waits or not."""
    for needed in plan.components[name].depends_on:
        if needed in fleet.dependencies:
            dependency = fleet.dependencies[needed]
            if not dependency.up:
                since = dependency.since if dependency.watched_since is None else dependency.watched_since
                yield Wait(needed, dependency.reason or "not checked yet", since)
        elif not satisfied(plan, fleet.components[needed]):
            state = fleet.components[needed]
            yield Wait(needed, f"{state.phase}{f' ({state.reason})' if state.reason else ''}", state.since)


def satisfied(plan: Plan, state: ComponentState) -> bool:
    """Whether dependents of this component may start: it is ready, or, as a one-shot, has completed."""
    if plan.components[state.name].oneshot:
        return state.phase is Phase.COMPLETED
    return state.phase in (Phase.READY, Phase.COMPLETED)
