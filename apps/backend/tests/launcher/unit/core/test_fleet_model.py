"""A whole fleet under arbitrary events: random backends, hosts that do what they like, and time that passes."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from launcher.core.plan import Plan
from launcher.core.replicas import refusal, replica_name, replicas_of
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
    GraceOver,
    IncarnationEvent,
    Launched,
    LivenessBack,
    LivenessLost,
    RestartRequested,
    Scaled,
    ShutdownForced,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import ComponentSpec, DependencyLoss, Mode, Restart, RestartPolicy
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

WISHES = (StartRequested, RestartRequested, StartAllRequested, Scaled)
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
        oneshot = draw(st.booleans())
        heartbeat = 0.0 if oneshot else draw(st.sampled_from([0.0, 30.0]))
        components.append(
            component(
                f"c{number}",
                *needed,
                restart=restart,
                oneshot=oneshot,
                overlap=None if oneshot else draw(st.booleans()),
                replicas=1 if oneshot else draw(st.sampled_from([1, 1, 2])),
                ready=draw(st.sampled_from([None, PROBE])),
                on_dependency_loss=DependencyLoss.KEEP if oneshot else draw(st.sampled_from(DependencyLoss)),
                heartbeat=heartbeat,
                critical=draw(st.booleans()),
                start_timeout=5.0,
                stop_grace=2.0,
            )
        )
    return plan_of(
        *draw(st.permutations(components)),
        mode=draw(st.sampled_from([Mode.MULTI, Mode.MULTI, Mode.SINGLE])),
        dependencies=tuple(service(name, timeout=8.0) for name in services),
        keep_going=draw(st.booleans()),
        stop_timeout=15.0,
    )


class Fleet(RuleBasedStateMachine):
    """Sends whatever may happen and checks each turn; the end of every run is a stop of the whole backend."""

    def __init__(self) -> None:
        super().__init__()
        self.runner: FleetRunner
        self.alive: set[tuple[str, int]] = set()
        self.asked: set[tuple[str, int]] = set()

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
        lives = sorted(self.alive)
        return lives[number % len(lives)]

    def lives_of(self, name: str) -> set[int]:
        return {incarnation for owner, incarnation in self.alive if owner == name}

    @precondition(going_on)
    @rule(number=st.integers(0, 4), wish=st.sampled_from([StartRequested, StopRequested, RestartRequested]))
    def somebody_wishes(
        self, number: int, wish: type[StartRequested | StopRequested | RestartRequested]
    ) -> None:
        self.send(wish(self.some(number)))

    @precondition(going_on)
    @rule(number=st.integers(0, 4), replicas=st.integers(1, 3))
    def somebody_scales(self, number: int, replicas: int) -> None:
        specs = self.runner.plan.spec.components
        name = specs[number % len(specs)].name
        shared = self.runner.plan.shared
        if refusal(specs, shared, name, replicas) is None:
            self.send(Scaled(name, replicas))
            if not self.runner.fleet.draining:
                present = replicas_of(name, self.runner.fleet.components)
                assert len(set(present) - self.runner.fleet.leaving) == replicas

    @precondition(lambda self: self.going_on() and self.alive)
    @rule(number=st.integers(0, 4))
    def it_starts(self, number: int) -> None:
        name, incarnation = self.living(number)
        self.send(Launched(name, incarnation, 4711 + incarnation))
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
    @rule(number=st.integers(0, 4))
    def its_heart_beats_again(self, number: int) -> None:
        self.send(LivenessBack(*self.living(number)))

    @precondition(lambda self: self.going_on() and self.alive)
    @rule(number=st.integers(0, 4), ended=st.sampled_from([RETURNED, CRASH, UNSTARTABLE, KILLED]))
    def it_ends(self, number: int, ended: object) -> None:
        name, incarnation = self.living(number)
        self.end(name, incarnation, ended)

    @precondition(going_on)
    @rule(
        number=st.integers(0, 4),
        which=st.integers(0, 9),
        kind=st.sampled_from([Started, BecameReady, Exited, LivenessLost, GraceOver]),
    )
    def an_unknown_life_speaks(self, number: int, which: int, kind: type[IncarnationEvent]) -> None:
        name = self.some(number)
        newest = self.runner.fleet.components[name].last_number
        unknown = sorted(set(range(-1, newest + 3)) - self.lives_of(name))
        old = unknown[which % len(unknown)]
        rest = {Exited: (CRASH,), LivenessLost: ("late",)}.get(kind, ())
        before = self.runner.fleet
        self.send(kind(name, old, *rest))
        assert self.runner.fleet == before, "an unknown life changed something"

    @precondition(lambda self: self.going_on() and self.runner.fleet.dependencies)
    @rule(number=st.integers(0, 1), ok=st.booleans())
    def a_dependency_answers(self, number: int, ok: bool) -> None:
        self.a_dependency_answers_so(number, ok=ok)

    def a_dependency_answers_so(self, number: int, *, ok: bool) -> None:
        if not self.going_on():
            return
        name = self.pick(list(self.runner.fleet.dependencies), number)
        self.send(DependencyChecked(name, ok=ok, latency=0.001, reason="" if ok else "refused"))

    @precondition(lambda self: self.going_on() and self.runner.fleet.dependencies)
    @rule(number=st.integers(0, 1))
    def a_dependency_is_lost(self, number: int) -> None:
        for _ in range(3):
            self.a_dependency_answers_so(number, ok=False)

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
        self.alive.remove((name, incarnation))
        self.asked.discard((name, incarnation))
        self.send(Exited(name, incarnation, ended))  # type: ignore[arg-type]  # sampled_from forgets the type

    def send(self, event: Event) -> None:
        before, published = self.runner.fleet, len(self.runner.transitions)
        effects = self.runner.send(event)
        after = self.runner.fleet
        for effect in effects:
            self.known(effect)
            self.check(effect, event, after)
        self.nothing_is_taken_back(before, after, event)
        self.a_restart_leaves_the_old_one(before, after, event)
        self.rest_is_left_when_asked(before, after, event)
        self.transitions_join(before, after, published)
        self.who_keeps_going_is_left_alone(after, event, effects)

    def who_keeps_going_is_left_alone(
        self, fleet: FleetState, event: Event, effects: Sequence[Effect]
    ) -> None:
        """News of a dependency stops nobody but those that are to go down, or to be restarted, with it."""
        if not isinstance(event, DependencyChecked) or fleet.draining:
            return
        for effect in effects:
            if isinstance(effect, RequestStop):
                policy = self.runner.plan.components[effect.component].on_dependency_loss
                assert policy is not DependencyLoss.KEEP

    def known(self, effect: Effect) -> None:
        plan = self.runner.plan
        if isinstance(effect, Launch | RequestStop | Kill | StartProbe):
            assert effect.component in plan.components
            assert effect.incarnation in self.runner.fleet.components[effect.component].lives
        if isinstance(effect, WatchDependency):
            assert effect.dependency in self.runner.fleet.dependencies
        if isinstance(effect, SetTimer):
            assert effect.name in {*plan.components, *self.runner.fleet.dependencies, ""}

    def check(self, effect: Effect, event: Event, fleet: FleetState) -> None:
        match effect:
            case Launch(component=name, incarnation=incarnation):
                assert not self.lives_of(name) or self.runner.plan.components[name].overlap, "two at once"
                assert all(incarnation > other for other in self.lives_of(name))
                assert not fleet.draining, "a launch while the backend stops"
                self.check_order(name, fleet)
                self.alive.add((name, incarnation))
            case RequestStop(component=name, incarnation=incarnation):
                assert (name, incarnation) in self.alive
                assert (name, incarnation) not in self.asked, "asked to stop twice"
                self.asked.add((name, incarnation))
                own = (
                    isinstance(event, ComponentEvent)
                    and event.component == name
                    and not isinstance(event, Exited)
                )
                if fleet.draining and not fleet.forced and not own:
                    others = self.runner.plan.dependents[name]
                    assert not any(fleet.components[other].lives for other in others)
            case Kill(component=name, incarnation=incarnation):
                assert (name, incarnation) in self.asked, "killed without having been asked"
            case StartProbe(component=name, incarnation=incarnation):
                assert (name, incarnation) in self.alive
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

    def nothing_is_taken_back(self, before: FleetState, after: FleetState, event: Event) -> None:
        for flag in ("settled", "draining", "forced", "killed", "finished"):
            assert getattr(after, flag) or not getattr(before, flag), flag
        for name, state in after.components.items():
            if name in before.components:
                assert state.incarnation >= before.components[name].incarnation
        for name in set(before.components) - set(after.components):
            assert name in before.leaving or isinstance(event, Scaled)
            assert before.components[name].phase in {*AT_REST, Phase.STOPPING, Phase.WAITING, Phase.BACKOFF}
            assert not self.lives_of(name), "a replica left while something of it lived"

    def a_restart_leaves_the_old_one(self, before: FleetState, after: FleetState, event: Event) -> None:
        """What was ready stays ready while its successor starts, fails, takes over, or while older ones end."""
        if not isinstance(event, RestartRequested | IncarnationEvent):
            return
        was, now = before.components[event.component], after.components.get(event.component)
        if now is None:
            return
        beside = isinstance(event, RestartRequested) or event.incarnation != was.incarnation
        if was.phase is Phase.READY and beside and self.runner.plan.components[was.name].overlap:
            assert now.phase is Phase.READY or after.draining
            if now.incarnation == was.incarnation:
                assert (was.name, was.incarnation) not in self.asked

    def rest_is_left_when_asked(self, before: FleetState, after: FleetState, event: Event) -> None:
        for name, state in before.components.items():
            if name not in after.components:
                continue
            if state.phase in AT_REST and after.components[name].phase not in AT_REST:
                assert isinstance(event, WISHES)

    def transitions_join(self, before: FleetState, after: FleetState, published: int) -> None:
        phases = {name: state.phase for name, state in before.components.items()}
        for change in self.runner.transitions[published:]:
            assert change.before is phases.get(change.component, Phase.STOPPED)  # a new replica was nowhere
            phases[change.component] = change.after
        for name, state in after.components.items():
            assert phases.get(name, Phase.STOPPED) is state.phase

    # -- what must hold at any time --

    @invariant()
    def every_life_has_one_role(self) -> None:
        for name, state in self.runner.fleet.components.items():
            assert sorted(state.lives) == sorted(self.lives_of(name))
            assert len(set(state.lives)) == len(state.lives)
            stopping = (state.incarnation,) if state.phase is Phase.STOPPING and not state.ended else ()
            retiring = {life.incarnation for life in state.retiring}
            assert {life for owner, life in self.asked if owner == name} == {*stopping, *retiring}
            if not self.runner.plan.components[name].overlap:
                assert state.successor is None
                assert not state.retiring
                assert (state.phase in ALIVE) is bool(state.lives)
            if state.phase in ALIVE:
                assert state.lives
            if state.successor is not None:
                assert state.phase in {Phase.READY, Phase.UNREADY, Phase.STOPPING}
                assert state.desired is Desired.UP

    @invariant()
    def timers_are_armed_where_they_mean_something(self) -> None:
        armed = {key for key in self.runner.armed if key[0] not in {Timer.DEPENDENCY, Timer.SHUTDOWN}}
        kinds = {Phase.STARTING: Timer.START, Phase.STOPPING: Timer.GRACE, Phase.BACKOFF: Timer.BACKOFF}
        wanted, working = set(), set()
        for state in self.runner.fleet.components.values():
            if state.phase in kinds and not state.ended:
                wanted.add((kinds[state.phase], state.name, state.incarnation))
            if state.successor is not None and state.successor.phase is Phase.STARTING:
                wanted.add((Timer.START, state.name, state.successor.incarnation))
            wanted |= {(Timer.GRACE, state.name, life.incarnation) for life in state.retiring}
            if state.returns_at is not None:
                wanted.add((Timer.RETURN, state.name, state.incarnation))
            if self.runner.plan.components[state.name].oneshot:
                working.add((Timer.START, state.name, state.incarnation))
        assert armed <= wanted
        assert wanted - armed <= working
        draining = self.runner.fleet.draining and not self.runner.fleet.finished
        assert ((Timer.SHUTDOWN, "", 0) in self.runner.armed) is draining

    @invariant()
    def plan_and_fleet_have_the_same_replicas(self) -> None:
        plan, fleet = self.runner.plan, self.runner.fleet
        assert list(plan.components) == list(fleet.components)
        assert fleet.leaving <= set(fleet.components)
        for spec in plan.spec.components:
            present = replicas_of(spec.name, plan.components)
            assert present == tuple(replica_name(spec.name, n + 1) for n in range(len(present)))
            assert set(present) - fleet.leaving, "one replica stays"
        for name in fleet.leaving:
            assert fleet.components[name].desired is Desired.DOWN

    @invariant()
    def the_restart_window_holds(self) -> None:
        for name, state in self.runner.fleet.components.items():
            assert len(state.restarts) <= self.runner.plan.components[name].restart.max_restarts

    @invariant()
    def losses_are_followed(self) -> None:
        """What is to go down with a lost service is down, or waits for what depends on it to end first; what keeps going knows of no loss."""
        plan, fleet = self.runner.plan, self.runner.fleet
        for name, state in fleet.components.items():
            spec = plan.components[name]
            lost = [
                each
                for each in spec.depends_on
                if each in fleet.dependencies and fleet.dependencies[each].usable is False
            ]
            if state.loss:
                assert spec.on_dependency_loss is not DependencyLoss.KEEP
                assert state.ever_ready
            if not lost or fleet.draining or not state.ever_ready or state.desired is Desired.DOWN:
                continue
            running = state.phase in {Phase.STARTING, Phase.READY, Phase.UNREADY}
            if spec.on_dependency_loss is DependencyLoss.STOP and running:
                assert any(fleet.components[other].lives for other in plan.dependents[name])
            if spec.on_dependency_loss is DependencyLoss.RESTART and running:
                assert state.loss
                assert state.returns_at is None

    @invariant()
    def what_hangs_is_not_ready(self) -> None:
        """Hung and alive is only what cannot be killed, and it is unready; what is ready has no reason not to be."""
        for name, state in self.runner.fleet.components.items():
            if state.hung_at is not None and state.phase in ALIVE:
                assert not self.runner.plan.components[name].alone
                assert state.phase in {Phase.UNREADY, Phase.STOPPING}
            if state.phase is Phase.READY:
                assert (state.hung_at, state.failing) == (None, "")

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
            self.end(*min(self.asked), RETURNED)
            self.every_life_has_one_role()
        self.check_end()

    def check_end(self) -> None:
        states = self.runner.fleet.components.values()
        left = [state.name for state in states if state.phase not in AT_REST or state.lives]
        assert self.runner.finish is not None
        if left:
            assert self.runner.finish.reason == f"gave up waiting for {', '.join(left)} to end"
            assert self.runner.finish.exit_code != 0


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=150, stateful_step_count=40)
