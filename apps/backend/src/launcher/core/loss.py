"""What follows when something that a component depends on is lost after it was ready.

Most components keep going and decide for themselves. What is declared otherwise is stopped, dependents first, and started again when all that
it depends on is back; or goes on, and is restarted once then. Neither counts as a failure, and neither gives up: a component that went down with
a dependency waits for it for as long as it takes.

A loss is a verdict, not an answer: three failed checks of an external service in a row, or a component of which nothing is ready. A
return has to last for a moment before anybody leans on it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from launcher.core.restart import jittered
from launcher.core.waits import Wait, satisfied, unmet
from launcher.model.effects import CancelTimer, SetTimer, Timer
from launcher.model.events import DependencyBack, DependencyLost
from launcher.model.spec import DependencyLoss
from launcher.model.state import AT_REST, Desired, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from launcher.core.action import Result
    from launcher.core.plan import Plan
    from launcher.model.effects import Effect
    from launcher.model.events import ComponentEvent
    from launcher.model.spec import ComponentSpec
    from launcher.model.state import ComponentState, DependencyState, FleetState

FAILURES = 3
"""Failed checks in a row after which an external service is lost (``failureThreshold`` of Kubernetes, as for readiness)."""

RETURN_DELAY = 1.0
"""Seconds that a return has to last before components are started or restarted for it, ± 20 %, so that they do not come all at once."""

RUNNING = frozenset({Phase.STARTING, Phase.READY, Phase.UNREADY})
CONCERNED = frozenset({*RUNNING, Phase.WAITING, Phase.BACKOFF})


# ---- what the cells of the machine do -----------------------------------------------------------------------------------


def note(_spec: ComponentSpec, state: ComponentState, event: ComponentEvent, _now: float) -> Result:
    """Remember what was lost; a restart that was about to come waits for the next return."""
    return replace(state, loss=cast("DependencyLost", event).dependency, returns_at=None), ()


def forget(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, _now: float) -> Result:
    """What was lost is back, and nothing has to be done about it."""
    return replace(state, loss="", returns_at=None), ()


def come_back(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, now: float) -> Result:
    """What was lost is back: start again after a moment."""
    delay = jittered(RETURN_DELAY, state.name, state.incarnation)
    after = replace(
        state,
        phase=Phase.BACKOFF,
        next_attempt_at=now + delay,
        loss="",
        reason=f"{state.loss} is back",
    )
    return after, (SetTimer(Timer.BACKOFF, state.name, state.incarnation, delay),)


def prepare_return(_spec: ComponentSpec, state: ComponentState, _event: ComponentEvent, now: float) -> Result:
    """What was lost is back: restart what has seen the loss after a moment."""
    delay = jittered(RETURN_DELAY, state.name, state.incarnation)
    return replace(state, returns_at=now + delay), (
        SetTimer(Timer.RETURN, state.name, state.incarnation, delay),
    )


def let_go(before: ComponentState, after: ComponentState) -> tuple[ComponentState, tuple[Effect, ...]]:
    """Let go of a loss with the incarnation that saw it, and with the wish that it should run; the same for the restart that was to come."""
    over = after.incarnation != before.incarnation or after.desired is Desired.DOWN or after.phase in AT_REST
    loss = "" if over else after.loss
    returns_at = after.returns_at if loss and after.phase in RUNNING else None
    if (loss, returns_at) != (after.loss, after.returns_at):
        after = replace(after, loss=loss, returns_at=returns_at)
    if before.returns_at is None or returns_at is not None:
        return after, ()
    return after, (CancelTimer(Timer.RETURN, before.name, before.incarnation),)


# ---- what the fleet asks ------------------------------------------------------------------------------------------------


def needs(plan: Plan, fleet: FleetState, name: str) -> tuple[Wait, ...]:
    """Return what a running component depends on and does not have just now; empty when it does not run."""
    if fleet.components[name].phase not in RUNNING:
        return ()
    return tuple(_told(fleet, wait) for wait in unmet(plan, fleet, name))


def news(plan: Plan, fleet: FleetState) -> tuple[ComponentEvent, ...]:
    """Return which components are to be told now of a loss or a return; those that keep going are never told."""
    followers = [name for name in fleet.components if _follows(plan, fleet, name)]
    if not followers:
        return ()
    found: list[ComponentEvent] = []
    losses = _losses(plan, fleet)
    going = {name for name in losses if _goes_down(plan, fleet, name)}
    for name in followers:
        state, loss = fleet.components[name], losses.get(name)
        if loss is None:
            if state.loss and state.returns_at is None and not any(unmet(plan, fleet, name)):
                found.append(DependencyBack(name))
        elif (not state.loss or state.returns_at is not None) and _is_its_turn(plan, name, going):
            found.append(DependencyLost(name, loss.name, loss.what))
    return tuple(found)


def _follows(plan: Plan, fleet: FleetState, name: str) -> bool:
    """Whether losses and returns concern it: it does not just keep going, is wanted, and has been ready."""
    state = fleet.components[name]
    return (
        plan.components[name].on_dependency_loss is not DependencyLoss.KEEP
        and state.desired is Desired.UP
        and state.ever_ready
        and state.phase in CONCERNED
    )


def _goes_down(plan: Plan, fleet: FleetState, name: str) -> bool:
    """Whether a component that has lost something runs and is to be stopped for it, or is being stopped."""
    state = fleet.components[name]
    stops = plan.components[name].on_dependency_loss is DependencyLoss.STOP
    return bool(state.lives) and stops and (state.phase is Phase.STOPPING or _follows(plan, fleet, name))


def _is_its_turn(plan: Plan, name: str, going: set[str]) -> bool:
    """Whether nothing that goes down, too, depends on it: dependents are stopped first, as always."""
    return name not in going or not plan.dependents[name] & going


def _losses(plan: Plan, fleet: FleetState) -> dict[str, Wait]:
    """Return for each component the first thing that it depends on and that is lost, or about to go down for a loss itself."""
    replicas: dict[str, list[str]] = {}
    for name, spec in plan.components.items():
        replicas.setdefault(spec.declared_name, []).append(name)
    losses: dict[str, Wait] = {}
    for wave in plan.waves:
        for name in wave:
            for needed in plan.components[name].depends_on:
                if needed in fleet.dependencies:
                    loss = _lost_service(fleet.dependencies[needed])
                else:
                    group = replicas[plan.components[needed].declared_name]
                    loss = _lost_component(plan, fleet, needed, group, losses)
                if loss is not None:
                    losses.setdefault(name, loss)
    return losses


def _lost_service(state: DependencyState) -> Wait | None:
    return Wait(state.name, state.reason or "no answer", state.since) if state.usable is False else None


def _lost_component(
    plan: Plan, fleet: FleetState, name: str, replicas: Iterable[str], losses: Mapping[str, Wait]
) -> Wait | None:
    """Return the loss of a component of which no replica is there, or stays; a job that was done is never lost."""
    if plan.components[name].oneshot:
        return None
    for each in replicas:
        stays = not (each in losses and _goes_down(plan, fleet, each))
        if stays and satisfied(plan, fleet.components[each]):
            return None
    state = fleet.components[name]
    there = satisfied(plan, state)
    return Wait(name, f"goes down with {losses[name].name}" if there else str(state.phase), state.since)


def _told(fleet: FleetState, wait: Wait) -> Wait:
    """Return the same in one word: what there is to say beyond that stands in the row of what is needed."""
    if wait.name in fleet.dependencies:
        return replace(wait, what="down")
    return replace(wait, what=str(fleet.components[wait.name].phase))
