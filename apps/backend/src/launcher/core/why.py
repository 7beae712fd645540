"""Why a component is as it is, in sentences: what it waits for down to the root, why it failed, what keeps it from stopping.

The first sentence names the root cause. It may be about another component, or about a service that is not ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from launcher.core.loops import blocked, blocker
from launcher.core.restart import within_window
from launcher.core.succession import beside
from launcher.core.waits import unmet, waiting
from launcher.core.words import duration
from launcher.model.state import ALIVE, ComponentState, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from launcher.core.view import View
    from launcher.model.state import DependencyState
    from launcher.model.usage import Beat, Checked

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
        cause = _of_dependency(view, view.fleet.dependencies[chain[-1]])
    else:
        cause = _of_component(view, view.fleet.components[chain[-1]])
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
    if _kept_for_others(view, state):
        return [
            other
            for other in view.plan.components
            if other in view.plan.dependents[name] and view.fleet.components[other].lives
        ]
    return []


def _kept_for_others(view: View, state: ComponentState) -> bool:
    """Whether it is to end, but not before those that need it."""
    return view.fleet.draining and bool(state.lives) and state.phase is not Phase.STOPPING


# ---- the root cause ----


def _of_dependency(view: View, state: DependencyState) -> str:
    since = state.since if state.watched_since is None else state.watched_since
    if state.up is None:
        return f"{state.name} has not been checked yet."
    reason = f": {state.reason}" if state.reason else ""
    return f"{state.name} cannot be reached, for {duration(view.now - since)}{reason}."


def _of_component(view: View, state: ComponentState) -> str:
    name, beat = state.name, _beat(view, state)
    if beat is not None and blocked(beat) and state.phase in ALIVE:
        return f"The event loop of {name} is blocked, for {duration(beat.lag)}{_by(beat)}."
    if _kept_for_others(view, state):
        return f"{name} is {state.phase} and about to be stopped."
    return f"{name} {_CAUSES[state.phase](view, state)}."


def _cause_of_waiting(_view: View, _state: ComponentState) -> str:
    return "is about to start: nothing is in its way"


def _cause_of_starting(view: View, state: ComponentState) -> str:
    return f"is starting, for {_age(view, state)}{_because(_starting(view, state))}"


def _cause_of_ready(view: View, state: ComponentState) -> str:
    return f"is ready, for {_age(view, state)}"


def _cause_of_unready(view: View, state: ComponentState) -> str:
    return f"runs but is not ready, for {_age(view, state)}{_because(state.reason)}"


def _cause_of_stopping(view: View, state: ComponentState) -> str:
    return f"is stopping, for {_age(view, state)}{_because(_kept_by(view, state))}"


def _cause_of_backoff(view: View, state: ComponentState) -> str:
    left = _span(0.0 if state.next_attempt_at is None else state.next_attempt_at - view.now)
    return f"has ended{_because(_ending(state))}; the next attempt is in {left}"


def _cause_of_stopped(view: View, state: ComponentState) -> str:
    reason = state.reason if state.reason != state.phase else ""  # that it did stop is no reason
    return f"is stopped, for {_age(view, state)}{_because(reason or 'as asked for')}"


def _cause_of_failed(_view: View, state: ComponentState) -> str:
    return f"has failed{_because(_ending(state))}"


def _cause_of_completed(view: View, state: ComponentState) -> str:
    return f"has completed, {_age(view, state)} ago"


_CAUSES: dict[Phase, Callable[[View, ComponentState], str]] = {
    Phase.WAITING: _cause_of_waiting,
    Phase.STARTING: _cause_of_starting,
    Phase.READY: _cause_of_ready,
    Phase.UNREADY: _cause_of_unready,
    Phase.STOPPING: _cause_of_stopping,
    Phase.BACKOFF: _cause_of_backoff,
    Phase.STOPPED: _cause_of_stopped,
    Phase.FAILED: _cause_of_failed,
    Phase.COMPLETED: _cause_of_completed,
}


def _starting(view: View, state: ComponentState) -> str:
    if state.started_at is None:
        return state.reason or "it has not said yet that it has started"
    checked = _checked(view, state)
    return (
        state.reason
        or (checked.reason if checked is not None else "")
        or "it has started and is not ready yet"
    )


def _kept_by(view: View, state: ComponentState) -> str:
    """Return in short what is left of a component that stops."""
    tasks, processes = _tasks(view, state), _processes(view, state)
    if tasks:
        return f"{_count(len(tasks), 'task')} of it {'has' if len(tasks) == 1 else 'have'} not ended"
    if processes:
        return f"{_count(len(processes), 'process', 'processes')} of it {'is' if len(processes) == 1 else 'are'} still there"
    return state.reason


def _ending(state: ComponentState) -> str:
    ended = state.last_exit
    return ended.message if ended is not None and ended.message else state.reason


# ---- the way to it ----


def _links(view: View, chain: Sequence[str]) -> list[str]:
    """Return who waits for whom on the way to the root."""
    if len(chain) == 1:
        return []
    first, *rest = pairwise(chain)
    what = "is stopped after" if _kept_for_others(view, view.fleet.components[chain[0]]) else "waits for"
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
        lines.append(f"It is given up when {needed} is not up in {_span(left)} (timeout {timeout:g} s).")
    return lines


def _of_starting(view: View, state: ComponentState) -> list[str]:
    timeout = view.plan.components[state.name].start_timeout
    left = state.since + timeout - view.now
    limit = f"It is stopped when it is not ready in {_span(left)} (start_timeout {timeout:g} s)."
    return [_identified(state), *_last_check(view, state), limit]


def _of_running(view: View, state: ComponentState) -> list[str]:
    lines = [_identified(state), *_last_check(view, state)]
    beat = _beat(view, state)
    if blocked(beat):
        lines.append(f"Whatever else runs on that loop waits, too; {state.name} counts as {state.phase}.")
    if state.phase is Phase.UNREADY:
        lines.append("It is not restarted for that.")
    return lines


def _of_stopping(view: View, state: ComponentState) -> list[str]:
    lines = []
    tasks, processes = _tasks(view, state), _processes(view, state)
    if tasks:
        lines.append(f"Tasks that have not ended: {'; '.join(tasks)}.")
    if processes:
        lines.append(f"Processes that are still there: {', '.join(processes)}.")
    shared = view.plan.placement.get(state.name) == "main" and not processes
    if state.kills:
        told = "cancelled" if shared else "killed"
        lines.append(f"It ignored the request to stop, was {told} {_times(state.kills)}, and is not gone.")
    else:
        grace = view.plan.components[state.name].stop_grace
        end = "cancelled" if shared else "killed"
        left = _span(state.since + grace - view.now)
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
        lines.append(f"The whole backend is being stopped{_because(view.fleet.drain_reason)}.")
    going_on = beside(state)
    if going_on:
        lines.append(f"{going_on[0].upper()}{going_on[1:]}.")
    beat = _beat(view, state)
    if beat is not None and blocked(beat) and "blocked" not in told:
        lines.append(f"Its event loop is blocked, for {duration(beat.lag)}{_by(beat)}.")
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
    checked = _checked(view, state)
    if checked is None:
        return []
    said = "succeeded" if checked.ok else f"said: {checked.reason}"
    return [
        f"Its last check, {duration(view.now - checked.at)} ago, took {duration(checked.latency)} and {said}."
    ]


def _hint(state: ComponentState) -> list[str]:
    return [f"hint: {state.last_exit.hint}"] if state.last_exit is not None and state.last_exit.hint else []


def _beat(view: View, state: ComponentState) -> Beat | None:
    return None if view.usage is None else view.usage.beats.get((state.name, state.incarnation))


def _checked(view: View, state: ComponentState) -> Checked | None:
    return None if view.usage is None else view.usage.checks.get((state.name, state.incarnation))


def _tasks(view: View, state: ComponentState) -> tuple[str, ...]:
    beat = _beat(view, state)
    return () if beat is None else beat.tasks


def _processes(view: View, state: ComponentState) -> list[str]:
    families = () if view.usage is None else view.usage.of(state.name)
    return [
        f"PID {member.pid}{f' ({member.name})' if member.name else ''}"
        for family in families
        for member in family.members
    ]


def _by(beat: Beat) -> str:
    told = blocker(beat)
    return f", {told}" if told else ""


def _because(reason: str) -> str:
    return f": {reason.rstrip('.')}" if reason else ""


def _age(view: View, state: ComponentState) -> str:
    return duration(view.now - state.since)


def _span(seconds: float) -> str:
    return duration(max(0.0, seconds))


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"
