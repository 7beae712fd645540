"""A whole fleet under arbitrary events: random backends, hosts that do what they like, and time that passes."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from launcher.core.plan import Plan
from launcher.model.effects import (
    Effect,
    Finish,
    Kill,
    Launch,
    RequestStop,
    SetTimer,
    StartProbe,
    Timer,
    WatchDependency,
)
from launcher.model.events import (
    BecameReady,
    BecameUnready,
    ComponentEvent,
    DependencyChecked,
    Event,
    Exited,
    IncarnationEvent,
    Launched,
    LivenessLost,
    RestartRequested,
    ShutdownForced,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import ComponentSpec, Restart, RestartPolicy
from launcher.model.state import ALIVE, AT_REST, Desired, FleetState, Phase
from launcher.supervisor.timers import fired
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import (
    CRASH,
    KILLED,
    PROBE,
    RETURNED,
    UNSTARTABLE,
    component,
    plan_of,
    service,
)

WISHES = (StartRequested, RestartRequested, StartAllRequested)
JITTER = 0.2
SPREAD = 1e-9
"""Room for rounding in comparisons of delays."""


@st.composite
def backends(draw: st.DrawFn) -> Plan:
    """Return a plan of one to five components that depend on each other and on up to two services."""
    services = draw(st.sampled_from([(), ("postgres",), ("postgres", "redis")]))
    components: list[ComponentSpec] = []
    for number in range(draw(st.integers(1, 5))):
        known = [*(spec.name for spec in components), *services]
        needed = draw(st.lists(st.sampled_from(known), unique=True, max_size=3)) if known else []
        restart = Restart(
            draw(st.sampled_from(list(RestartPolicy))),
            delay=draw(st.sampled_from([0.0, 0.2, 1.0])),
            max_delay=draw(st.sampled_from([1.0, 30.0])),
            max_restarts=draw(st.integers(0, 3)),
        )
        components.append(
            component(
                f"c{number}",
                *needed,
                restart=restart,
                oneshot=draw(st.booleans()),
                ready=draw(st.sampled_from([None, PROBE])),
                critical=draw(st.booleans()),
                start_timeout=5.0,
                stop_grace=2.0,
            )
        )
    return plan_of(
        *draw(st.permutations(components)),
        dependencies=tuple(service(name, timeout=8.0) for name in services),
        keep_going=draw(st.booleans()),
        stop_timeout=15.0,
    )


class Fleet(RuleBasedStateMachine):
    """Sends whatever may happen and checks each turn; the end of every run is a stop of the whole backend."""

    def __init__(self) -> None:
        super().__init__()
        self.runner: FleetRunner
        self.alive: dict[str, int] = {}
        self.asked: set[str] = set()

    @initialize(plan=backends(), begin=st.booleans())
    def declare(self, plan: Plan, begin: bool) -> None:
        self.runner = FleetRunner(plan)
        first = next(iter(plan.components))
        self.send(StartAllRequested() if begin else StartRequested(first))

    # -- what may happen --

    def going_on(self) -> bool:
        return self.runner.finish is None

    def pick(self, among: Sequence[str], number: int) -> str:
        return among[number % len(among)]

    def some(self, number: int) -> str:
        return self.pick(list(self.runner.plan.components), number)

    def living(self, number: int) -> tuple[str, int]:
        name = self.pick(sorted(self.alive), number)
        return name, self.alive[name]

    @precondition(going_on)
    @rule(number=st.integers(0, 4), wish=st.sampled_from([StartRequested, StopRequested, RestartRequested]))
    def somebody_wishes(
        self, number: int, wish: type[StartRequested | StopRequested | RestartRequested]
    ) -> None:
        self.send(wish(self.some(number)))

    @precondition(lambda self: self.going_on() and self.alive)
    @rule(number=st.integers(0, 4))
    def it_starts(self, number: int) -> None:
        name, incarnation = self.living(number)
        self.send(Launched(name, incarnation, 4711))
        self.send(Started(name, incarnation))

    @precondition(lambda self: self.going_on() and self.alive)
    @rule(number=st.integers(0, 4), ready=st.booleans())
    def a_probe_decides(self, number: int, ready: bool) -> None:
        name, incarnation = self.living(number)
        self.send(BecameReady(name, incarnation) if ready else BecameUnready(name, incarnation, "status 503"))

    @precondition(lambda self: self.going_on() and self.alive)
    @rule(number=st.integers(0, 4))
    def its_heart_stops(self, number: int) -> None:
        self.send(LivenessLost(*self.living(number), "no heartbeat"))

    @precondition(lambda self: self.going_on() and self.alive)
    @rule(number=st.integers(0, 4), ended=st.sampled_from([RETURNED, CRASH, UNSTARTABLE, KILLED]))
    def it_ends(self, number: int, ended: object) -> None:
        name, incarnation = self.living(number)
        self.end(name, incarnation, ended)

    @precondition(going_on)
    @rule(number=st.integers(0, 4), kind=st.sampled_from([Started, BecameReady, Exited, LivenessLost]))
    def an_old_life_speaks(self, number: int, kind: type[IncarnationEvent]) -> None:
        name = self.some(number)
        old = self.runner.fleet.components[name].incarnation - 1
        rest = {Exited: (CRASH,), LivenessLost: ("late",)}.get(kind, ())
        before = self.runner.fleet
        self.send(kind(name, old, *rest))
        assert self.runner.fleet == before, "an old life changed something"

    @precondition(lambda self: self.going_on() and self.runner.fleet.dependencies)
    @rule(number=st.integers(0, 1), ok=st.booleans())
    def a_dependency_answers(self, number: int, ok: bool) -> None:
        name = self.pick(list(self.runner.fleet.dependencies), number)
        self.send(DependencyChecked(name, ok=ok, latency=0.001, reason="" if ok else "refused"))

    @precondition(going_on)
    @rule(seconds=st.sampled_from([0.1, 1.0, 12.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.runner.clock() + seconds
        while self.going_on() and (due := self.runner.next_due()) is not None and due <= until:
            key = min(self.runner.armed, key=lambda armed: self.runner.armed[armed][0])
            moment, request = self.runner.armed.pop(key)
            self.runner.clock.move_to(moment)
            self.send(fired(request))
        self.runner.clock.move_to(until)

    @precondition(going_on)
    @rule(rarely=st.integers(0, 9), force=st.booleans())
    def the_backend_is_stopped(self, rarely: int, force: bool) -> None:
        if rarely == 0:
            self.send(ShutdownForced("second Ctrl-C") if force else ShutdownRequested("Ctrl-C"))

    @precondition(lambda self: not self.going_on())
    @rule()
    def the_next_launcher_begins(self) -> None:
        self.check_end()
        self.alive.clear()
        self.asked.clear()
        self.runner = FleetRunner(self.runner.plan, self.runner.clock)
        self.send(StartAllRequested())

    # -- what must hold for each turn --

    def end(self, name: str, incarnation: int, ended: object) -> None:
        del self.alive[name]
        self.asked.discard(name)
        self.send(Exited(name, incarnation, ended))  # type: ignore[arg-type]  # sampled_from forgets the type

    def send(self, event: Event) -> None:
        before, published = self.runner.fleet, len(self.runner.transitions)
        effects = self.runner.send(event)
        after = self.runner.fleet
        for effect in effects:
            self.known(effect)
            self.check(effect, event, after)
        self.nothing_is_taken_back(before, after)
        self.rest_is_left_when_asked(before, after, event)
        self.transitions_join(before, after, published)

    def known(self, effect: Effect) -> None:
        plan = self.runner.plan
        if isinstance(effect, Launch | RequestStop | Kill | StartProbe):
            assert effect.component in plan.components
            assert effect.incarnation == self.runner.fleet.components[effect.component].incarnation
        if isinstance(effect, WatchDependency):
            assert effect.dependency in self.runner.fleet.dependencies
        if isinstance(effect, SetTimer):
            assert effect.name in {*plan.components, *self.runner.fleet.dependencies, ""}

    def check(self, effect: Effect, event: Event, fleet: FleetState) -> None:
        match effect:
            case Launch(component=name, incarnation=incarnation):
                assert name not in self.alive, "two incarnations at once"
                assert not fleet.draining, "a launch while the backend stops"
                self.check_order(name, fleet)
                self.alive[name] = incarnation
            case RequestStop(component=name, incarnation=incarnation):
                assert self.alive[name] == incarnation
                assert name not in self.asked, "asked to stop twice"
                self.asked.add(name)
                own = (
                    isinstance(event, ComponentEvent)
                    and event.component == name
                    and not isinstance(event, Exited)
                )
                if fleet.draining and not fleet.forced and not own:
                    others = self.runner.plan.dependents[name]
                    assert all(fleet.components[other].phase not in ALIVE for other in others)
            case Kill(component=name):
                assert name in self.asked, "killed without having been asked"
            case StartProbe(component=name):
                assert name in self.alive
            case SetTimer(timer=Timer.BACKOFF, name=name, delay=delay):
                policy = self.runner.plan.components[name].restart
                assert (1 - JITTER) * min(policy.delay, policy.max_delay) - SPREAD <= delay
                assert delay <= (1 + JITTER) * policy.max_delay + SPREAD
            case Finish():
                assert fleet.finished

    def check_order(self, name: str, fleet: FleetState) -> None:
        for needed in self.runner.plan.components[name].depends_on:
            if needed in fleet.dependencies:
                assert fleet.dependencies[needed].up
            elif self.runner.plan.components[needed].oneshot:
                assert fleet.components[needed].phase is Phase.COMPLETED
            else:
                assert fleet.components[needed].phase in {Phase.READY, Phase.COMPLETED}

    def nothing_is_taken_back(self, before: FleetState, after: FleetState) -> None:
        for flag in ("settled", "draining", "forced", "killed", "finished"):
            assert getattr(after, flag) or not getattr(before, flag), flag
        for name, state in after.components.items():
            assert state.incarnation >= before.components[name].incarnation

    def rest_is_left_when_asked(self, before: FleetState, after: FleetState, event: Event) -> None:
        for name, state in before.components.items():
            if state.phase in AT_REST and after.components[name].phase not in AT_REST:
                assert isinstance(event, WISHES)

    def transitions_join(self, before: FleetState, after: FleetState, published: int) -> None:
        phases = {name: state.phase for name, state in before.components.items()}
        for change in self.runner.transitions[published:]:
            assert change.before is phases[change.component]
            phases[change.component] = change.after
        assert phases == {name: state.phase for name, state in after.components.items()}

    # -- what must hold at any time --

    @invariant()
    def living_phases_have_an_incarnation(self) -> None:
        for name, state in self.runner.fleet.components.items():
            assert (state.phase in ALIVE) is (name in self.alive)
            assert (state.phase is Phase.STOPPING) is (name in self.asked)

    @invariant()
    def timers_are_armed_where_they_mean_something(self) -> None:
        armed = {key for key in self.runner.armed if key[0] not in {Timer.DEPENDENCY, Timer.SHUTDOWN}}
        kinds = {Phase.STARTING: Timer.START, Phase.STOPPING: Timer.GRACE, Phase.BACKOFF: Timer.BACKOFF}
        states = self.runner.fleet.components.values()
        wanted = {(kinds[state.phase], state.name) for state in states if state.phase in kinds}
        working = {
            (Timer.START, state.name) for state in states if self.runner.plan.components[state.name].oneshot
        }
        assert armed <= wanted
        assert wanted - armed <= working
        draining = self.runner.fleet.draining and not self.runner.fleet.finished
        assert ((Timer.SHUTDOWN, "") in self.runner.armed) is draining

    @invariant()
    def the_restart_window_holds(self) -> None:
        for name, state in self.runner.fleet.components.items():
            assert len(state.restarts) <= self.runner.plan.components[name].restart.max_restarts

    @invariant()
    def what_is_down_is_wanted_down(self) -> None:
        for state in self.runner.fleet.components.values():
            assert state.phase is not Phase.STOPPED or state.desired is Desired.DOWN
            assert state.desired is Desired.UP or state.phase in {Phase.STOPPED, Phase.STOPPING}

    @invariant()
    def all_conclusions_are_drawn(self) -> None:
        name = next(iter(self.runner.plan.components))
        again = FleetRunner(self.runner.plan, self.runner.clock)
        again.fleet = self.runner.fleet
        assert again.send(Started(name, -1)) == ()

    def teardown(self) -> None:
        """The stop of the whole backend comes to its end when those end that were asked to."""
        if not hasattr(self, "runner"):
            return
        if self.going_on():
            self.send(ShutdownRequested("the end of the test"))
        while self.going_on():
            assert self.asked, "nobody was asked to stop, yet the stop is not over"
            name = min(self.asked)
            self.end(name, self.alive[name], RETURNED)
            self.living_phases_have_an_incarnation()
        self.check_end()

    def check_end(self) -> None:
        left = [name for name, state in self.runner.fleet.components.items() if state.phase not in AT_REST]
        assert self.runner.finish is not None
        if left:
            assert self.runner.finish.reason == f"gave up waiting for {', '.join(left)} to end"
            assert self.runner.finish.exit_code != 0


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=150, stateful_step_count=40)
