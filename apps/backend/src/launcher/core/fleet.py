"""All components together: who may start, who must stop, when the backend is up, and when it is over.

``advance`` folds one event into the state of the fleet. It routes component events to the machine, and then settles everything that
follows at once: components whose requirements are met are released, a stopping backend goes down dependents first, a failed start or a
critical failure stops the rest. The plan changes with the fleet when replicas come or go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from launcher.core import machine
from launcher.core.changes import change
from launcher.core.health import Health, observe
from launcher.core.loss import FAILURES, news
from launcher.core.plan import scaled
from launcher.core.replicas import replica_name, replicas_of
from launcher.core.succession import knows
from launcher.core.waits import unmet, waiting
from launcher.model.effects import CancelTimer, Effect, Finish, SetTimer, Timer, WatchDependency
from launcher.model.events import (
    ComponentEvent,
    DependenciesReady,
    DependencyChecked,
    DependencyDeadline,
    DependencyFailed,
    Event,
    GraceOver,
    IncarnationEvent,
    RestartRequested,
    Scaled,
    ShutdownDeadline,
    ShutdownForced,
    ShutdownRequested,
    StartAllRequested,
    StartRequested,
    StopRequested,
    Transition,
)
from launcher.model.state import (
    AT_REST,
    ComponentState,
    DependencyState,
    Desired,
    Exit,
    ExitKind,
    FleetState,
    Phase,
)

if TYPE_CHECKING:
    from launcher.core.plan import Plan

FORCED_PATIENCE = 3.0
"""Seconds that a forced stop waits for kills to take effect before the launcher ends regardless."""

EXIT_FAILED = 1
EXIT_ESCALATED = 70
EXIT_KILLED = 75


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one event; the plan is another one only after replicas have come or gone."""

    plan: Plan
    fleet: FleetState
    effects: tuple[Effect, ...] = ()
    transitions: tuple[Transition, ...] = ()


def initial(plan: Plan, now: float) -> FleetState:
    """Return the fleet before anything was asked for: all components stopped, all dependencies unknown."""
    return FleetState(
        components={name: ComponentState(name, since=now) for name in plan.components},
        dependencies={spec.name: DependencyState(spec.name, since=now) for spec in plan.spec.dependencies},
    )


def advance(plan: Plan, fleet: FleetState, event: Event, now: float) -> Step:
    """Return the fleet after ``event``, with the effects to perform and the transitions to publish.

    An event of an incarnation that is over changes nothing; this is the one place where such events are dropped.
    """
    turn = _Turn(plan, fleet, now)
    turn.take(event)
    turn.settle()
    return Step(turn.plan, turn.fleet, tuple(turn.effects), tuple(turn.transitions))


def _at_rest(state: ComponentState) -> bool:
    """Whether nothing of it is left, and nothing more comes of it unless somebody asks."""
    return state.phase in AT_REST and not state.lives


class _Turn:
    """The working copy of one ``advance``: collects what one event leads to."""

    def __init__(self, plan: Plan, fleet: FleetState, now: float) -> None:
        self.plan = plan
        self.fleet = fleet
        self.now = now
        self.effects: list[Effect] = []
        self.transitions: list[Transition] = []

    # -- taking the event --

    def take(self, event: Event) -> None:
        match event:
            case DependencyChecked():
                self._dependency_checked(event)
            case DependencyDeadline(dependency=name):
                self._dependency_given_up(name)
            case ShutdownRequested(reason=reason, exit_code=code):
                self._drain(reason, code)
            case ShutdownForced(reason=reason, exit_code=code):
                self._drain(reason, code)
                self._force(code)
            case ShutdownDeadline():
                self._out_of_time()
            case Scaled(name=name, replicas=replicas):
                self._scale(name, replicas)
            case StartAllRequested():
                for name in self.fleet.components:
                    self._start(name)
            case ComponentEvent():
                self._take_for_component(event)

    def _take_for_component(self, event: ComponentEvent) -> None:
        match event:
            case StartRequested(component=name):
                self._start(name)
            case RestartRequested(component=name):
                self._start(name, event)
            case _:
                self.apply(event)

    def _start(self, name: str, wish: ComponentEvent | None = None) -> None:
        """A wish to start, or restart, something includes what it needs; what is to leave is not brought back."""
        if self.fleet.draining or name in self.fleet.leaving:
            return
        for needed in self.plan.requirements(name):
            state = self.fleet.components[needed]
            if needed in self.fleet.leaving:
                continue
            if state.desired is Desired.DOWN or state.phase is Phase.FAILED:
                self.apply(StartRequested(needed))
        self.apply(wish or StartRequested(name))

    def apply(self, event: ComponentEvent) -> None:
        """Route an event to the machine, unless it comes from a life that is over."""
        before = self.fleet.components.get(event.component)
        if before is None or (isinstance(event, IncarnationEvent) and not knows(before, event)):
            return
        after, effects = machine.step(self.plan.components[event.component], before, event, self.now)
        self.effects.extend(effects)
        if after is before:
            return
        self.fleet = replace(self.fleet, components={**self.fleet.components, after.name: after})
        told = change(before, after, event, self.now)
        if told is not None:
            self._publish(told)

    def _publish(self, told: Transition) -> None:
        self.transitions.append(told)
        if self.fleet.draining and told.exit is not None and told.exit.killed:
            self.fleet = replace(self.fleet, killed=True)

    # -- replicas --

    def _scale(self, name: str, replicas: int) -> None:
        """Add what is missing, and stop what is too many; that leaves when it has ended."""
        if self.fleet.draining:
            return
        present = replicas_of(name, self.plan.components)
        wanted = [replica_name(name, number) for number in range(1, replicas + 1)]
        leaving = (self.fleet.leaving - set(wanted)) | (set(present) - set(wanted))
        self._adopt(scaled(self.plan, name, max(replicas, len(present))))
        self.fleet = replace(self.fleet, leaving=leaving)
        for each in wanted:
            self._start(each)
        for each in present:
            if each in leaving:
                self.apply(StopRequested(each, "not wanted any more"))

    def _adopt(self, plan: Plan) -> None:
        """Go on with another plan; components that both have stay as they are."""
        self.plan = plan
        known = self.fleet.components
        gone = {name: state.last_number for name, state in known.items() if name not in plan.components}
        left = {**self.fleet.left, **gone}
        components = {
            name: known.get(name) or ComponentState(name, since=self.now, newest=left.get(name, 0))
            for name in plan.components
        }
        self.fleet = replace(self.fleet, components=components, left=left)

    def _part(self) -> None:
        """Let go of replicas that were to leave and have ended; those of one component go together, so that their numbers stay without gaps."""
        if not self.fleet.leaving:
            return
        owners = [
            spec.declared_name for name, spec in self.plan.components.items() if name in self.fleet.leaving
        ]
        for owner in dict.fromkeys(owners):
            present = replicas_of(owner, self.plan.components)
            leaving = self.fleet.leaving & set(present)
            if all(_at_rest(self.fleet.components[name]) for name in leaving):
                self._adopt(scaled(self.plan, owner, len(present) - len(leaving)))
                self.fleet = replace(self.fleet, leaving=self.fleet.leaving - leaving)

    # -- dependencies --

    def _dependency_checked(self, event: DependencyChecked) -> None:
        before = self.fleet.dependencies[event.dependency]
        changed = before.up is not event.ok
        told = Health(before.usable, before.failures)
        health, _ = observe(told, ok=event.ok, threshold=FAILURES)
        after = replace(
            before,
            up=event.ok,
            since=self.now if changed else before.since,
            watched_since=None if event.ok else before.watched_since,
            latency=event.latency if event.ok else before.latency,
            reason=event.reason,
            hint=event.hint,
            usable=health.ready,
            failures=health.failures,
        )
        self._set_dependency(after)
        if event.ok and before.watched_since is not None:
            self.effects.append(CancelTimer(Timer.DEPENDENCY, event.dependency))

    def _dependency_given_up(self, name: str) -> None:
        dependency = self.fleet.dependencies[name]
        if dependency.up:
            return
        self._set_dependency(replace(dependency, watched_since=None))
        timeout = next(spec.timeout for spec in self.plan.spec.dependencies if spec.name == name)
        what = dependency.reason or "no answer"
        ended = Exit(
            ExitKind.UNREACHABLE, f"{name} was not reachable for {timeout:g} s: {what}", dependency.hint
        )
        for state in list(self.fleet.components.values()):
            if name in self.plan.components[state.name].depends_on and not state.loss:
                self.apply(DependencyFailed(state.name, ended))

    def _watch(self, name: str) -> None:
        """Somebody waits for an external service: ask it, and do not wait for ever."""
        if self.fleet.dependencies[name].watched_since is not None:
            return
        timeout = next(spec.timeout for spec in self.plan.spec.dependencies if spec.name == name)
        self._set_dependency(replace(self.fleet.dependencies[name], watched_since=self.now))
        self.effects.append(WatchDependency(name))
        self.effects.append(SetTimer(Timer.DEPENDENCY, name, 0, timeout))

    def _set_dependency(self, state: DependencyState) -> None:
        self.fleet = replace(self.fleet, dependencies={**self.fleet.dependencies, state.name: state})

    # -- the end of the whole backend --

    def _drain(self, reason: str, exit_code: int) -> None:
        if self.fleet.draining:
            return
        self.fleet = replace(self.fleet, draining=True, drain_reason=reason, exit_code=exit_code)
        self.effects.append(SetTimer(Timer.SHUTDOWN, "", 0, self.plan.spec.stop_timeout))

    def _force(self, exit_code: int | None = None) -> None:
        """Kill whatever is still alive, whether or not it was its turn to stop."""
        if self.fleet.forced:  # whoever goes on asking must not push the end away
            return
        code = self.fleet.exit_code if exit_code is None else exit_code
        self.fleet = replace(self.fleet, forced=True, exit_code=code)
        for state in list(self.fleet.components.values()):
            self.apply(StopRequested(state.name, self.fleet.drain_reason))
            for incarnation in state.lives:
                self.apply(GraceOver(state.name, incarnation))
        self.effects.append(SetTimer(Timer.SHUTDOWN, "", 0, FORCED_PATIENCE))

    def _out_of_time(self) -> None:
        if not self.fleet.draining:
            return
        if not self.fleet.forced:
            self._force()
            return
        stuck = [state.name for state in self.fleet.components.values() if not _at_rest(state)]
        self._finish(self.fleet.exit_code or EXIT_KILLED, f"gave up waiting for {', '.join(stuck)} to end")

    def _finish(self, exit_code: int, reason: str) -> None:
        if not self.fleet.finished:
            self.fleet = replace(self.fleet, finished=True, draining=True, exit_code=exit_code)
            self.effects.append(CancelTimer(Timer.SHUTDOWN, ""))
            self.effects.append(Finish(exit_code, reason))

    # -- what follows --

    def settle(self) -> None:
        """Draw all conclusions from the present state; each round either changes something or is the last."""
        while True:
            before = self.fleet
            self._part()
            self._judge()
            if self.fleet.draining:
                self._stop_next()
            else:
                self._follow_losses()
                self._release()
            if self.fleet == before:
                break
        self._conclude()

    def _follow_losses(self) -> None:
        """Tell components of what they depend on and have lost, or have again."""
        for event in news(self.plan, self.fleet):
            self.apply(event)

    def _release(self) -> None:
        for name, state in self.fleet.components.items():
            if not waiting(state):
                continue
            missing = list(unmet(self.plan, self.fleet, name))
            if not missing:
                self.apply(DependenciesReady(name))
            for wait in missing:
                if wait.name in self.fleet.dependencies:
                    self._watch(wait.name)

    def _stop_next(self) -> None:
        """Ask everything to stop whose dependents are at rest: reverse waves, parallel inside a wave."""
        for name, state in self.fleet.components.items():
            if state.desired is Desired.DOWN or state.phase in AT_REST:
                continue
            dependents = self.plan.dependents[name]
            if not any(self.fleet.components[other].lives for other in dependents):
                self.apply(StopRequested(name, self.fleet.drain_reason))

    def _judge(self) -> None:
        """Say when the start is over, and whether a failure is to end the whole backend."""
        failed = [state for state in self.fleet.components.values() if state.phase is Phase.FAILED]
        if not self.fleet.settled:
            if failed and not self.plan.spec.keep_going:
                self._drain(f"{failed[0].name} failed to start", EXIT_FAILED)
            if all(self._start_is_over(state) for state in self.fleet.components.values()):
                self.fleet = replace(self.fleet, settled=True)
        for state in failed:
            if self.plan.components[state.name].critical:
                self._drain(f"{state.name} is critical and failed", EXIT_ESCALATED)

    def _start_is_over(self, state: ComponentState) -> bool:
        if state.desired is Desired.DOWN or state.ever_ready:
            return True
        if state.phase is Phase.WAITING:
            blocked = (Phase.FAILED, Phase.STOPPED)
            return any(
                self.fleet.components[name].phase in blocked for name in self.plan.requirements(state.name)
            )
        return state.phase in (Phase.COMPLETED, Phase.FAILED)

    def _conclude(self) -> None:
        states = self.fleet.components.values()
        if self.fleet.draining:
            if all(_at_rest(state) for state in states):
                self._finish(self._exit_code(), self.fleet.drain_reason)
        elif all(self._has_ended(state) for state in states):
            self._drain("every component has ended", 0)
            self.settle()

    def _has_ended(self, state: ComponentState) -> bool:
        """Whether nothing more comes of it unless somebody asks: it ended, or waits for something that failed for good."""
        if state.phase is Phase.WAITING:
            needed = self.plan.requirements(state.name)
            return any(self.fleet.components[name].phase is Phase.FAILED for name in needed)
        return state.phase in (Phase.COMPLETED, Phase.FAILED)

    def _exit_code(self) -> int:
        if self.fleet.exit_code:
            return self.fleet.exit_code
        if self.fleet.killed:
            return EXIT_KILLED
        failed = any(state.phase is Phase.FAILED for state in self.fleet.components.values())
        return EXIT_FAILED if failed else 0
