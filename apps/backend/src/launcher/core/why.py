"""Why a component is as it is, in sentences: what it waits for down to the root, why it failed, what keeps it from stopping.

The first sentence names the root cause. It may be about another component, or about a service that is not ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from launcher.core.causes import (
    beat_of,
    because,
    cause_of_component,
    cause_of_dependency,
    kept_for_others,
    kept_loop,
    processes_of,
    span,
    tasks_of,
)
from launcher.core.loops import blocked
from launcher.core.plan import MAIN
from launcher.core.restart import within_window
from launcher.core.succession import beside
from launcher.core.waits import unmet, waiting
from launcher.core.words import duration
from launcher.model.state import ComponentState, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from launcher.core.view import View

_WORST_FIRST = (
    Phase.FAILED,
    Phase.STOPPED,
    Phase.BACKOFF,
    Phase.UNREADY,
    Phase.STOPPING,
    Phase.STARTING,
    Phase.WAITING,
    Phase.READY,
    Phase.COMPLETED,
)
"""Of several things that are waited for, the one that is told as the cause: rather what has failed than what takes its time."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a component is as it is.

    Attributes:
        component: whom it is about.
        cause: the root cause, one sentence.
        chain: from the component to what the cause is about, each waiting for the next; the component alone when it is about itself.
        details: further sentences, about the component.
    """

    component: str
    cause: str
    chain: tuple[str, ...]
    details: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """The component or dependency that the cause is about."""
        return self.chain[-1]

    @property
    def lines(self) -> tuple[str, ...]:
        """All sentences, the cause first."""
        return (self.cause, *self.details)


def explain(view: View, name: str) -> Explanation:
    """Return why a component is as it is.

    Raises:
        KeyError: there is no such component.
    """
    state = view.fleet.components[name]
    chain = _Chains(view).of(name)
    if chain[-1] in view.fleet.dependencies:
        cause = cause_of_dependency(view, view.fleet.dependencies[chain[-1]])
    else:
        cause = cause_of_component(view, view.fleet.components[chain[-1]])
    details = [*_links(view, chain), *_others(view, chain), *_DETAILS[state.phase](view, state)]
    return Explanation(name, cause, chain, (*details, *_everywhere(view, state, told=cause)))


class _Chains:
    """Who waits for whom, followed to its end; each name is looked at once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, name: str) -> tuple[str, ...]:
        """Return a name and what it waits for, and what that waits for, down to what waits for nothing."""
        if name not in self._known:
            self._known[name] = (name,)  # should two ever wait for each other, that ends here
            further = [self.of(each) for each in _waited_for(self._view, name)]
            worst = min(further, key=lambda chain: self._rank(chain[-1]), default=())
            self._known[name] = (name, *worst)
        return self._known[name]

    def _rank(self, name: str) -> int:
        if name in self._view.fleet.dependencies:
            return _WORST_FIRST.index(Phase.BACKOFF)
        return _WORST_FIRST.index(self._view.fleet.components[name].phase)


def _waited_for(view: View, name: str) -> list[str]:
    """Return what stands directly between a component and what is wanted of it."""
    if name in view.fleet.dependencies:
        return []
    state = view.fleet.components[name]
    if waiting(state):
        return [wait.name for wait in unmet(view.plan, view.fleet, name)]
    if kept_for_others(view, state):
        return [
            other
            for other in view.plan.components
            if other in view.plan.dependents[name] and view.fleet.components[other].lives
        ]
    return []


# ---- the way to it ----


def _links(view: View, chain: Sequence[str]) -> list[str]:
    """Return who waits for whom on the way to the root."""
    if len(chain) == 1:
        return []
    first, *rest = pairwise(chain)
    what = "is stopped after" if kept_for_others(view, view.fleet.components[chain[0]]) else "waits for"
    return [
        ", which ".join([f"{first[0]} {what} {first[1]}", *(f"{what} {needed}" for _, needed in rest)]) + "."
    ]


def _others(view: View, chain: Sequence[str]) -> list[str]:
    """Return what the component waits for besides."""
    told = {wait.name: wait.what for wait in unmet(view.plan, view.fleet, chain[0])}
    if not waiting(view.fleet.components[chain[0]]):
        return []
    return [f"It also waits for {name}: {what}." for name, what in told.items() if name not in chain]


# ---- what else there is to say ----


def _of_waiting(view: View, state: ComponentState) -> list[str]:
    lines = []
    for needed in view.plan.components[state.name].depends_on:
        service = view.fleet.dependencies.get(needed)
        if service is None or service.up or service.watched_since is None:
            continue
        timeout = next(spec.timeout for spec in view.plan.spec.dependencies if spec.name == needed)
        left = service.watched_since + timeout - view.now
        lines.append(f"It is given up when {needed} is not up in {span(left)} (timeout {timeout:g} s).")
    return lines


def _of_starting(view: View, state: ComponentState) -> list[str]:
    timeout = view.plan.components[state.name].start_timeout
    left = state.since + timeout - view.now
    limit = f"It is stopped when it is not ready in {span(left)} (start_timeout {timeout:g} s)."
    return [_identified(state), *_last_check(view, state), limit]


def _of_running(view: View, state: ComponentState) -> list[str]:
    lines = [_identified(state), *_last_check(view, state)]
    beat = beat_of(view, state)
    if blocked(beat):
        lines.append(f"Whatever else runs on that loop waits, too; {state.name} counts as {state.phase}.")
    if state.phase is Phase.UNREADY:
        lines.append("It is not restarted for that.")
    return lines


def _of_stopping(view: View, state: ComponentState) -> list[str]:
    lines = []
    tasks, processes = tasks_of(view, state), processes_of(view, state)
    if tasks:
        lines.append(f"Tasks that have not ended: {'; '.join(tasks)}.")
    if processes:
        lines.append(f"Processes that are still there: {', '.join(processes)}.")
    shared = view.plan.placement[state.name] == MAIN and not processes
    if state.kills:
        told = "cancelled" if shared else "killed"
        lines.append(f"It ignored the request to stop, was {told} {_times(state.kills)}, and is not gone.")
    else:
        grace = view.plan.components[state.name].stop_grace
        end = "cancelled" if shared else "killed"
        left = span(state.since + grace - view.now)
        lines.append(f"It is {end} when it has not ended in {left} (stop_grace {grace:g} s).")
    return lines


def _of_backoff(view: View, state: ComponentState) -> list[str]:
    policy = view.plan.components[state.name].restart
    counted = len(within_window(state.restarts, view.now, policy.window))
    return [
        f"It was restarted {_times(counted)} in the last {policy.window:g} s; after {policy.max_restarts} it is given up.",
        *_hint(state),
        f"What it wrote: launcher logs {state.name}",
    ]


def _of_failed(_view: View, state: ComponentState) -> list[str]:
    again = f"It is not started again by itself; launcher start {state.name} does that."
    return [*_hint(state), again, f"What it wrote: launcher logs {state.name}"]


def _of_stopped(_view: View, state: ComponentState) -> list[str]:
    return [f"It starts with: launcher start {state.name}"]


def _of_completed(_view: View, _state: ComponentState) -> list[str]:
    return []


_DETAILS: dict[Phase, Callable[[View, ComponentState], list[str]]] = {
    Phase.WAITING: _of_waiting,
    Phase.STARTING: _of_starting,
    Phase.READY: _of_running,
    Phase.UNREADY: _of_running,
    Phase.STOPPING: _of_stopping,
    Phase.BACKOFF: _of_backoff,
    Phase.STOPPED: _of_stopped,
    Phase.FAILED: _of_failed,
    Phase.COMPLETED: _of_completed,
}


def _everywhere(view: View, state: ComponentState, told: str) -> list[str]:
    """Return what is worth saying in any phase."""
    lines = []
    if view.fleet.draining:
        lines.append(f"The whole backend is being stopped{because(view.fleet.drain_reason)}.")
    going_on = beside(state)
    if going_on:
        lines.append(f"{going_on[0].upper()}{going_on[1:]}.")
    beat = beat_of(view, state)
    if beat is not None and blocked(beat) and "blocked" not in told:
        lines.append(f"Its event loop is blocked, for {duration(beat.lag)}{kept_loop(beat)}.")
    if view.held(state.name):
        lines.append("Its clients are answered with 503 by the launcher, because nobody serves its port.")
    ended = state.last_exit
    if ended is not None and ended.message and state.total_restarts and ended.message not in told:
        lines.append(
            f"It was restarted {_times(state.total_restarts)}; the last time because: {ended.message}."
        )
    return lines


# ---- pieces ----


def _identified(state: ComponentState) -> str:
    process = f" in process {state.pid}" if state.pid is not None else ""
    return f"This is incarnation {state.incarnation}{process}."


def _last_check(view: View, state: ComponentState) -> list[str]:
    answer = state.answer
    if answer is None:
        return []
    said = "succeeded" if answer.ok else f"said: {answer.reason}"
    ago = duration(view.now - state.answered_at)
    return [f"Its last check, {ago} ago, took {duration(answer.latency)} and {said}."]


def _hint(state: ComponentState) -> list[str]:
    return [f"hint: {state.last_exit.hint}"] if state.last_exit is not None and state.last_exit.hint else []


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
