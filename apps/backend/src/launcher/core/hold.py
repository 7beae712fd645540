"""Whose clients are answered by the launcher itself, because nobody else answers them.

The port of a component stays bound while no incarnation serves it, so its clients wait in the listen queue. That is right for a restart
and wrong for an outage: after a while they are better told so. Nothing here acts; ``launcher.supervisor.hold`` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.model.spec import Kind
from launcher.model.state import ALIVE, AT_REST, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.core.plan import Plan
    from launcher.model.spec import ComponentSpec
    from launcher.model.state import ComponentState, FleetState

SOON = 1
"""Seconds after which a client is to ask again when the component is on its way."""

LATER = 30
"""Seconds after which a client is to ask again when somebody has to start the component first."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is to be done now.

    Attributes:
        names: the components whose clients the launcher answers.
        due: when the next one follows if nothing happens until then; ``None`` for never.
    """

    names: frozenset[str] = frozenset()
    due: float | None = None


def serves(spec: ComponentSpec, state: ComponentState) -> bool:
    """Whether an incarnation takes connections, as far as the launcher has been told.

    An application that has started is listening, whatever its readiness probe says: the probe itself has to get through to it. A command
    says nothing before it is ready.
    """
    if state.phase in (Phase.READY, Phase.UNREADY):
        return True
    return spec.kind is Kind.ASGI and state.phase is Phase.STARTING and state.started_at is not None


def may_accept(spec: ComponentSpec, state: ComponentState) -> bool:
    """Whether somebody may be accepting connections without having said so.

    A command may do that from its first moment to its last, and its readiness probe must get through to it: while it runs its clients wait.
    """
    return spec.kind is Kind.COMMAND and state.phase in ALIVE


def unserved(plan: Plan, fleet: FleetState, before: Mapping[str, float], now: float) -> Mapping[str, float]:
    """Return the components whose port is held while nobody serves it, and since when.

    Replicas share the port of the component as it is declared: one that serves is enough. What is in ``before``, the last answer, keeps its
    time.
    """
    ports = {spec.declared_name: spec for spec in plan.components.values() if spec.held}
    served = {
        spec.declared_name
        for name, spec in plan.components.items()
        if spec.held and serves(spec, fleet.components[name])
    }
    return {name: before.get(name, now) for name in ports if name not in served}


def held(plan: Plan, fleet: FleetState, since: Mapping[str, float], now: float) -> Held:
    """Return whose clients the launcher is to answer now; ``since`` is what ``unserved`` has returned for this state."""
    due = {
        name: start + plan.spec.hold
        for name, start in since.items()
        if not may_accept(plan.components[name], fleet.components[name])
    }
    return Held(
        frozenset(name for name, when in due.items() if when <= now),
        min((when for when in due.values() if when > now), default=None),
    )


def retry_after(state: ComponentState, now: float) -> int:
    """Return the seconds after which a client may ask again, at least one."""
    if state.next_attempt_at is not None:
        return max(SOON, math.ceil(state.next_attempt_at - now))
    return LATER if state.phase in AT_REST else SOON
