"""Commands on a running backend; each returns when its state is reached, not when it was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from launcher.core.replicas import refusal, replica_name, replicas_of
from launcher.core.succession import beside
from launcher.core.suggest import did_you_mean
from launcher.errors import CommandFailed, UnknownComponent, UsageError, WaitTimeout
from launcher.model.events import (
    RestartRequested,
    Scaled,
    ShutdownRequested,
    StartRequested,
    StopRequested,
)
from launcher.model.state import AT_REST, ComponentState, Desired, FleetState, Phase
from launcher.supervisor.observer import ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.core.view import View
    from launcher.model.stores import Record
    from launcher.stores.keeper import Keeper
    from launcher.supervisor.journal import Journal
    from launcher.supervisor.observer import Observer
    from launcher.supervisor.supervisor import Supervisor

UP = frozenset({Phase.READY, Phase.COMPLETED})

CONDITIONS = ("ready", "stopped", "completed", "settled")
"""What ``wait`` can wait for; ``settled`` is about the whole backend and needs no component."""


class Control:
    """The commands of the command line and the API, on the supervisor's loop.

    Args:
        observer: looks at what runs; without one there is nothing to see but the state.
        keeper: what the state is left with; ``None`` for nothing.
    """

    def __init__(
        self, supervisor: Supervisor, observer: Observer | None = None, keeper: Keeper | None = None
    ) -> None:
        self._supervisor = supervisor
        self._observer = observer
        self._keeper = keeper

    @property
    def journal(self) -> Journal:
        """What has happened in this run."""
        return self._supervisor.journal

    def view(self) -> View:
        """Return an immutable picture of this moment."""
        return self._with_store(self._supervisor.view())

    def records(self) -> tuple[Record, ...]:
        """Return the transitions that are kept in memory, oldest first."""
        return () if self._keeper is None else self._keeper.records()

    async def look(self, patience: float = 0.0) -> View:
        """Return the picture of this moment together with what is seen of it.

        Args:
            patience: seconds that a loop which is asked only now is given to answer; at least ``ANSWER``.
        """
        if self._observer is None:
            return self.view()
        return self._with_store(await self._observer.look(max(patience, ANSWER)))

    async def start(self, name: str, timeout: float) -> None:
        """Start a component and what it needs; return when it is ready or has completed.

        Raises:
            UnknownComponent: there is no such component.
            CommandFailed: it failed, or the backend is being stopped.
            WaitTimeout: it was not ready within ``timeout`` seconds; it goes on starting.
        """
        self._refuse_when_draining(name, "start")
        await self._supervisor.apply(StartRequested(name))
        await self._reach(name, "ready", lambda state: state.phase in UP, timeout)

    async def stop(self, name: str, timeout: float) -> None:
        """Stop a component; return when nothing of it is left.

        Raises:
            UnknownComponent: there is no such component.
            WaitTimeout: it was still stopping after ``timeout`` seconds; it goes on stopping.
        """
        self._state(name)
        await self._supervisor.apply(StopRequested(name))
        await self._reach(name, "stopped", _over, timeout, overtaken=_wanted_up)

    async def restart(self, name: str, timeout: float) -> None:
        """Give a component a new incarnation; return when that is ready.

        What may overlap is replaced: the old incarnation goes on until the new one is ready, and also when that fails.

        Raises:
            UnknownComponent: there is no such component.
            CommandFailed: the new incarnation failed, even if the old one goes on; or the backend is being stopped.
            WaitTimeout: the new incarnation was not ready within ``timeout`` seconds.
        """
        self._refuse_when_draining(name, "restart")
        before = self._state(name)
        await self._supervisor.apply(RestartRequested(name))

        def replaced(state: ComponentState) -> bool:
            return state.phase in UP and state.incarnation > before.last_number

        def refused(state: ComponentState) -> bool:
            return state.failed_restart not in (None, before.failed_restart) and state.successor is None

        await self._reach(name, "ready", replaced, timeout, refused)

    async def scale(self, name: str, replicas: int, timeout: float) -> None:
        """Run another number of replicas; return when all that are wanted are ready, and nothing is left of others.

        Raises:
            UnknownComponent: there is no such declared component.
            UsageError: no component can have so few, or so many.
            CommandFailed: this one cannot be scaled; a replica failed; or the backend is being stopped.
            WaitTimeout: it was not reached within ``timeout`` seconds; it goes on.
        """
        plan = self.view().plan
        refused = refusal(plan.spec.components, plan.shared, name, replicas)
        if refused is not None:
            raise refused
        self._refuse_when_draining(name, "scale")
        await self._supervisor.apply(Scaled(name, replicas))
        wanted = {replica_name(name, number) for number in range(1, replicas + 1)}

        def reached(fleet: FleetState) -> bool:
            present = set(replicas_of(name, fleet.components))
            return present == wanted and all(fleet.components[each].phase in UP for each in wanted)

        def over(fleet: FleetState) -> bool:
            states = [fleet.components[each] for each in wanted & set(fleet.components)]
            overtaken = _replicas_wanted(name, fleet) != replicas
            return overtaken or reached(fleet) or any(_hopeless(state, "ready", fleet) for state in states)

        in_time = await self._supervisor.until(over, timeout)
        fleet = self.view().fleet
        if reached(fleet):
            return
        now = _replicas_wanted(name, fleet)
        if now != replicas and not fleet.draining:
            raise CommandFailed(f"{name} is not scaled to {replicas}: it was scaled to {now} meanwhile")
        there = [fleet.components[each] for each in replicas_of(name, fleet.components)]
        slow = [state for state in there if state.phase not in UP or state.name not in wanted]
        what = "; ".join(f"{state.name} is {self._situation(state)}" for state in slow)
        if not in_time:
            raise WaitTimeout(f"{name} is not scaled to {replicas} after {timeout:g} s: {what}")
        why = "the backend is being stopped" if fleet.draining else what
        raise CommandFailed(f"{name} is not scaled to {replicas}: {why}", hint=f"see: launcher logs {name}")

    async def wait(self, name: str, condition: str, timeout: float) -> None:
        """Wait until a component is ``ready``, ``stopped`` or ``completed``, or the whole backend has ``settled``.

        Raises:
            UnknownComponent: there is no such component.
            UsageError: there is no such condition.
            CommandFailed: the condition can no longer be reached without somebody doing something.
            WaitTimeout: it was not reached within ``timeout`` seconds.
        """
        match condition:
            case "settled":
                await self._reach_settled(timeout)
            case "ready":
                await self._reach(name, condition, lambda state: state.phase in UP, timeout)
            case "stopped":
                await self._reach(name, condition, _over, timeout)
            case "completed":
                await self._reach(name, condition, lambda state: state.phase is Phase.COMPLETED, timeout)
            case _:
                message = f'cannot wait for "{condition}": there is no such condition'
                raise UsageError(message, hint=did_you_mean(condition, CONDITIONS))

    def shutdown(self, reason: str) -> None:
        """Begin to stop the whole backend in order; returns at once."""
        self._supervisor.submit(ShutdownRequested(reason))

    def _with_store(self, view: View) -> View:
        return view if self._keeper is None else replace(view, store=self._keeper.state())

    # -- waiting --

    async def _reach(
        self,
        name: str,
        wanted: str,
        reached: Callable[[ComponentState], bool],
        timeout: float,
        refused: Callable[[ComponentState], bool] = lambda _state: False,
        *,
        overtaken: Callable[[ComponentState], bool] = lambda _state: False,
    ) -> None:
        self._state(name)

        def over(fleet: FleetState) -> bool:
            state = fleet.components.get(name)
            if state is None or reached(state) or refused(state) or overtaken(state):
                return True
            return _hopeless(state, wanted, fleet)

        in_time = await self._supervisor.until(over, timeout)
        state = self._state(name)  # a replica may have left meanwhile
        if reached(state):
            return
        if refused(state) and state.failed_restart is not None:
            raise CommandFailed(
                f"cannot restart {name}: {state.failed_restart.message}; incarnation {state.incarnation} goes on",
                hint=state.failed_restart.hint or f"see: launcher logs {name}",
            )
        if overtaken(state):
            raise CommandFailed(f"{name} is not {wanted}: it was asked to start meanwhile")
        if not in_time:
            message = f"{name} is not {wanted} after {timeout:g} s: it is {self._situation(state)}"
            raise WaitTimeout(message, hint=f"launcher why {name}")
        if wanted != "stopped" and state.phase not in AT_REST:
            raise CommandFailed(f"{name} is not {wanted}: the backend is being stopped")
        hint = state.last_exit.hint if state.last_exit is not None else ""
        raise CommandFailed(
            f"{name} is not {wanted}: it is {self._situation(state)}",
            hint=hint or f"see: launcher logs {name}",
        )

    async def _reach_settled(self, timeout: float) -> None:
        if await self._supervisor.until(lambda fleet: fleet.settled or fleet.draining, timeout):
            if self.view().fleet.draining:
                raise CommandFailed(f"the backend is being stopped: {self.view().fleet.drain_reason}")
            return
        slow = [state for state in self.view().fleet.components.values() if state.phase not in UP | AT_REST]
        what = "; ".join(f"{state.name} is {self._situation(state)}" for state in slow)
        raise WaitTimeout(f"the backend is not up after {timeout:g} s: {what}", hint="launcher why")

    def _situation(self, state: ComponentState) -> str:
        waits = ", ".join(f"{wait.name}: {wait.what}" for wait in self.view().waits_for(state.name))
        details = "; ".join(text for text in (waits or state.reason, beside(state)) if text)
        return f"{state.phase} ({details})" if details else str(state.phase)

    def _state(self, name: str) -> ComponentState:
        components = self.view().fleet.components
        if name not in components:
            raise UnknownComponent(
                f'there is no component called "{name}"', hint=did_you_mean(name, components)
            )
        return components[name]

    def _refuse_when_draining(self, name: str, verb: str) -> None:
        self._state(name)
        if self.view().fleet.draining:
            raise CommandFailed(f"cannot {verb} {name}: the backend is being stopped")


def _hopeless(state: ComponentState, wanted: str, fleet: FleetState) -> bool:
    """Whether the component rests in another state than the wanted one."""
    if fleet.finished or (fleet.draining and wanted != "stopped"):
        return True
    return _over(state) if wanted == "stopped" else state.phase in AT_REST


def _over(state: ComponentState) -> bool:
    """Whether nothing of it is left."""
    return state.phase in AT_REST and not state.lives


def _wanted_up(state: ComponentState) -> bool:
    """Whether somebody has asked for a start after it was asked to stop; then it may never rest."""
    return state.desired is Desired.UP


def _replicas_wanted(name: str, fleet: FleetState) -> int:
    """Return how many replicas of a declared component somebody has asked for last."""
    return len(set(replicas_of(name, fleet.components)) - fleet.leaving)
