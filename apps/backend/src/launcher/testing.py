"""Doubles for tests: time that is told, hosts that do as they are told, and histories without processes, threads or waiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.core import fleet as fleets
from launcher.model.effects import CancelTimer, Effect, Finish, Launch, SetTimer, Timer
from launcher.model.events import Event, Exited, Launched, Started
from launcher.model.state import ComponentState, Exit, ExitKind, FleetState, Phase
from launcher.supervisor.timers import fired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from launcher.core.plan import Plan
    from launcher.model.events import Transition
    from launcher.model.spec import ComponentSpec

FIRST_PID = 1001
"""PID of the first process that a ``FakeHost`` claims to have started; later ones count upwards."""

# ---- time -----------------------------------------------------------------------------------------------------------------


class FakeClock:
    """A monotonic clock that only moves when told to; calling it returns its time in seconds.

    Args:
        now: where it stands at first.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._now

    def move_to(self, moment: float) -> None:
        """Set the time to ``moment``; a moment that is over changes nothing, since the clock is monotonic."""
        self._now = max(self._now, moment)


# ---- a fleet without a supervisor -----------------------------------------------------------------------------------------


class FleetRunner:
    """Runs a plan on told time: events in, phases and effects out. Timers fire when time passes, nothing else happens by itself.

    Attributes:
        plan: the present one.
        fleet: the state after the last event.
        effects: everything that was asked of the world, in order.
        transitions: everything that was published, in order.
        armed: the moment and the request of every armed timer.
        finish: the end of the launcher; ``None`` as long as it goes on.
    """

    def __init__(self, plan: Plan, clock: FakeClock | None = None) -> None:
        self.plan = plan
        self.clock = FakeClock() if clock is None else clock
        self.fleet = fleets.initial(plan, self.clock())
        self.effects: list[Effect] = []
        self.transitions: list[Transition] = []
        self.armed: dict[tuple[Timer, str, int], tuple[float, SetTimer]] = {}
        self.finish: Finish | None = None

    def send(self, *events: Event) -> tuple[Effect, ...]:
        """Fold events into the fleet, one after the other, and return the effects of all of them."""
        asked: list[Effect] = []
        for event in events:
            step = fleets.advance(self.plan, self.fleet, event, self.clock())
            self.plan = step.plan
            self.fleet = step.fleet
            self.transitions.extend(step.transitions)
            for effect in step.effects:
                self._note(effect)
            asked.extend(step.effects)
        self.effects.extend(asked)
        return tuple(asked)

    def wait(self, seconds: float) -> tuple[Effect, ...]:
        """Let time pass; timers that become due fire in order. Return the effects of that."""
        until = self.clock() + seconds
        asked: list[Effect] = []
        while (due := self.next_due()) is not None and due <= until:
            asked.extend(self.fire_next())
        self.clock.move_to(until)
        return tuple(asked)

    def next_due(self) -> float | None:
        """Return when the next timer fires; ``None`` when none is armed."""
        return min((due for due, _ in self.armed.values()), default=None)

    def fire_next(self) -> tuple[Effect, ...]:
        """Let time pass up to the next timer and fire it; without an armed timer nothing happens."""
        if not self.armed:
            return ()
        key = min(self.armed, key=lambda armed: self.armed[armed][0])
        due, request = self.armed.pop(key)
        self.clock.move_to(due)
        return self.send(fired(request))

    def state(self, name: str) -> ComponentState:
        """Return the state of one component."""
        return self.fleet.components[name]

    def phases(self) -> dict[str, Phase]:
        """Return the phase of every component."""
        return {name: state.phase for name, state in self.fleet.components.items()}

    def _note(self, effect: Effect) -> None:
        match effect:
            case SetTimer(timer=timer, name=name, incarnation=incarnation, delay=delay):
                self.armed[timer, name, incarnation] = (self.clock() + delay, effect)
            case CancelTimer(timer=timer, name=name, incarnation=incarnation):
                self.armed.pop((timer, name, incarnation), None)
            case Finish():
                self.finish = effect


@dataclass(frozen=True, slots=True)
class History:
    """What a series of events led to.

    Attributes:
        phases: every change of phase in order, as ``"NAME PHASE"``.
        effects: everything that was asked of the world in order, timers left out.
        timers: every timer that was armed, in order.
        fleet: the state at the end.
        finish: the end of the launcher; ``None`` when it goes on.
    """

    phases: list[str]
    effects: list[Effect]
    timers: list[SetTimer]
    fleet: FleetState
    finish: Finish | None

    @property
    def launched(self) -> list[str]:
        """Names in order of launch."""
        return [effect.component for effect in self.effects if isinstance(effect, Launch)]


def run_history(plan: Plan, history: Iterable[Event | float]) -> History:
    """Fold a history into the initial fleet of ``plan``: an event happens, a number lets that many seconds pass."""
    runner = FleetRunner(plan)
    for item in history:
        if isinstance(item, Event):
            runner.send(item)
        else:
            runner.wait(item)
    return History(
        phases=[f"{change.component} {change.after}" for change in runner.transitions if _moved(change)],
        effects=[effect for effect in runner.effects if not isinstance(effect, SetTimer | CancelTimer)],
        timers=[effect for effect in runner.effects if isinstance(effect, SetTimer)],
        fleet=runner.fleet,
        finish=runner.finish,
    )


def _moved(change: Transition) -> bool:
    return change.before is not change.after


# ---- a host without components --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one incarnation on a ``FakeHost`` does.

    Attributes:
        refusal: raised by ``launch`` instead of launching.
        starts: whether it reports that it has started.
        ends: how it ends by itself right after the start; ``None`` when it lives on.
        obeys_stop: whether it ends when asked to.
        obeys_kill: whether it ends when killed.
    """

    refusal: Exception | None = None
    starts: bool = True
    ends: Exit | None = None
    obeys_stop: bool = True
    obeys_kill: bool = True


class FakeHost:
    """A host whose components are nothing but behaviour; reports come at once and on the calling thread.

    Args:
        report: where events go, as with any host.
        behaviours: for each component what its incarnations do, the last one repeated; what is not named starts and obeys.

    Attributes:
        calls: every ``(method, component, incarnation)`` in order.
        lives: every living incarnation, by component and number, with its behaviour.
    """

    def __init__(
        self,
        report: Callable[[Event], None],
        behaviours: Mapping[str, Sequence[Behaviour]] | None = None,
    ) -> None:
        self._report = report
        self._behaviours = dict(behaviours or {})
        self._launches: dict[str, int] = {}
        self._pid = FIRST_PID
        self.lives: dict[tuple[str, int], Behaviour] = {}
        self.calls: list[tuple[str, str, int]] = []

    @property
    def alive(self) -> dict[str, int]:
        """The living incarnation of each component; where several live, the newest."""
        return dict(sorted(self.lives))

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        """Begin a life as its behaviour says.

        Raises:
            Exception: the refusal of the behaviour.
            RuntimeError: an earlier life of a component that may not overlap is not over; no supervisor may ask for that.
        """
        self.calls.append(("launch", spec.name, incarnation))
        if spec.name in self.alive and not spec.overlap:
            raise RuntimeError(f"{spec.name} is launched while incarnation {self.alive[spec.name]} lives")
        self._launches[spec.name] = self._launches.get(spec.name, 0) + 1
        behaviour = self._behaviour(spec.name)
        if behaviour.refusal is not None:
            raise behaviour.refusal
        self.lives[spec.name, incarnation] = behaviour
        self._report(Launched(spec.name, incarnation, self._pid))
        self._pid += 1
        if behaviour.starts:
            self.start(spec.name)
        if behaviour.ends is not None:
            self.end(spec.name, behaviour.ends)

    def request_stop(self, component: str, incarnation: int) -> None:
        """End the life, if it obeys."""
        self.calls.append(("request_stop", component, incarnation))
        behaviour = self.lives.get((component, incarnation))
        if behaviour is not None and behaviour.obeys_stop:
            self.end(component, Exit(ExitKind.RETURNED, "stopped"), incarnation)

    def kill(self, component: str, incarnation: int) -> None:
        """End the life, if that is possible."""
        self.calls.append(("kill", component, incarnation))
        behaviour = self.lives.get((component, incarnation))
        if behaviour is not None and behaviour.obeys_kill:
            killed = Exit(ExitKind.SIGNALLED, "killed by SIGKILL", signal=9, killed=True)
            self.end(component, killed, incarnation)

    def show_stacks(self, component: str, incarnation: int) -> None:
        """Note that it was asked for."""
        self.calls.append(("show_stacks", component, incarnation))

    async def close(self) -> None:
        """Forget what is left."""
        self.lives.clear()

    def start(self, component: str) -> None:
        """Let the newest living incarnation report that it has started."""
        self._report(Started(component, self.alive[component]))

    def end(self, component: str, ended: Exit, incarnation: int | None = None) -> None:
        """Let an incarnation end, by default the newest that lives."""
        number = self.alive[component] if incarnation is None else incarnation
        del self.lives[component, number]
        self._report(Exited(component, number, ended))

    def _behaviour(self, component: str) -> Behaviour:
        behaviours = self._behaviours.get(component) or (Behaviour(),)
        number = min(self._launches.get(component, 1), len(behaviours))
        return behaviours[number - 1]
