"""The root cause, in one sentence: what keeps a component, or a service that is not ours, from being what is wanted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.core.loops import blocked, blocker
from launcher.core.words import duration
from launcher.model.state import ALIVE, ComponentState, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.core.view import View
    from launcher.model.state import DependencyState
    from launcher.model.usage import Beat


def kept_for_others(view: View, state: ComponentState) -> bool:
    """Whether it is to end, but not before those that need it."""
    return view.fleet.draining and bool(state.lives) and state.phase is not Phase.STOPPING


def cause_of_dependency(view: View, state: DependencyState) -> str:
    """Return what is wrong with an external service."""
    since = state.since if state.watched_since is None else state.watched_since
    if state.up is None:
        return f"{state.name} has not been checked yet."
    reason = f": {state.reason}" if state.reason else ""
    return f"{state.name} cannot be reached, for {duration(view.now - since)}{reason}."


def cause_of_component(view: View, state: ComponentState) -> str:
    """Return how it stands with a component, with the reason if there is one."""
    name, beat = state.name, beat_of(view, state)
    if beat is not None and blocked(beat) and state.phase in ALIVE:
        return f"The event loop of {name} is blocked, for {duration(beat.lag)}{kept_loop(beat)}."
    if kept_for_others(view, state):
        return f"{name} is {state.phase} and about to be stopped."
    return f"{name} {_CAUSES[state.phase](view, state)}."


def _cause_of_waiting(_view: View, _state: ComponentState) -> str:
    return "is about to start: nothing is in its way"


def _cause_of_starting(view: View, state: ComponentState) -> str:
    return f"is starting, for {age(view, state)}{because(_starting(state))}"


def _cause_of_ready(view: View, state: ComponentState) -> str:
    return f"is ready, for {age(view, state)}"


def _cause_of_unready(view: View, state: ComponentState) -> str:
    return f"runs but is not ready, for {age(view, state)}{because(state.reason)}"


def _cause_of_stopping(view: View, state: ComponentState) -> str:
    return f"is stopping, for {age(view, state)}{because(_kept_by(view, state))}"


def _cause_of_backoff(view: View, state: ComponentState) -> str:
    left = span(0.0 if state.next_attempt_at is None else state.next_attempt_at - view.now)
    return f"has ended{because(_ending(state))}; the next attempt is in {left}"


def _cause_of_stopped(view: View, state: ComponentState) -> str:
    reason = state.reason if state.reason != state.phase else ""  # that it did stop is no reason
    return f"is stopped, for {age(view, state)}{because(reason or 'as asked for')}"


def _cause_of_failed(_view: View, state: ComponentState) -> str:
    return f"has failed{because(_ending(state))}"


def _cause_of_completed(view: View, state: ComponentState) -> str:
    return f"has completed, {age(view, state)} ago"


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


def _starting(state: ComponentState) -> str:
    if state.started_at is None:
        return state.reason or "it has not said yet that it has started"
    said = "" if state.answer is None else state.answer.reason
    return state.reason or said or "it has started and is not ready yet"


def _kept_by(view: View, state: ComponentState) -> str:
    """Return in short what is left of a component that stops."""
    tasks, processes = tasks_of(view, state), processes_of(view, state)
    if tasks:
        return f"{_count(len(tasks), 'task')} of it {'has' if len(tasks) == 1 else 'have'} not ended"
    if processes:
        return f"{_count(len(processes), 'process', 'processes')} of it {'is' if len(processes) == 1 else 'are'} still there"
    return state.reason


def _ending(state: ComponentState) -> str:
    ended = state.last_exit
    return ended.message if ended is not None and ended.message else state.reason


# ---- pieces ----


def beat_of(view: View, state: ComponentState) -> Beat | None:
    """Return how the event loop of the current incarnation answered; nothing where that is not known."""
    return None if view.usage is None else view.usage.beats.get((state.name, state.incarnation))


def tasks_of(view: View, state: ComponentState) -> tuple[str, ...]:
    """Return the tasks that a component which stops still has, as far as its loop has told."""
    beat = beat_of(view, state)
    return () if beat is None else beat.tasks


def processes_of(view: View, state: ComponentState) -> list[str]:
    """Return the processes of a component that has its own: ``PID 4121 (sleep)``."""
    families = () if view.usage is None else view.usage.of(state.name)
    return [
        f"PID {member.pid}{f' ({member.name})' if member.name else ''}"
        for family in families
        for member in family.members
    ]


def kept_loop(beat: Beat) -> str:
    """Return what keeps a loop as the end of a sentence; empty when it cannot be seen."""
    told = blocker(beat)
    return f", {told}" if told else ""


def because(reason: str) -> str:
    """Return a reason as the end of a sentence; empty for none."""
    return f": {reason.rstrip('.')}" if reason else ""


def age(view: View, state: ComponentState) -> str:
    """Return how long a component has been in its phase."""
    return duration(view.now - state.since)


def span(seconds: float) -> str:
    """Return how long it is until something that may be due already."""
    return duration(max(0.0, seconds))


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"
