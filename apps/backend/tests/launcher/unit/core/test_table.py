"""Every cell of the table, and every state that one component can get into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import pytest

from launcher.core.machine import IGNORE, TABLE, Action, step
from launcher.model import events
from launcher.model.effects import CancelTimer, Effect, Kill, Launch, RequestStop, SetTimer, StartProbe, Timer
from launcher.model.events import (
    BackoffOver,
    BecameReady,
    BecameUnready,
    ComponentEvent,
    DependenciesReady,
    DependencyFailed,
    Exited,
    GraceOver,
    IncarnationEvent,
    Launched,
    LivenessLost,
    RestartRequested,
    StartDeadline,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import ComponentSpec, Restart, RestartPolicy
from launcher.model.state import ALIVE, AT_REST, ComponentState, Desired, Exit, ExitKind, Phase
from launcher.supervisor.timers import fired
from tests.launcher.unit.core.plans import CRASH, PROBE, RETURNED, UNSTARTABLE, component

EVENTS: tuple[type[ComponentEvent], ...] = tuple(
    kind
    for kind in vars(events).values()
    if isinstance(kind, type)
    and issubclass(kind, ComponentEvent)
    and kind not in {ComponentEvent, IncarnationEvent}
)
CELLS = [(event, phase) for event in EVENTS for phase in Phase]
NAME = "api"
LATER = 20.0
"""Long enough for a life that is followed by a restart at once."""


def example(event: type[ComponentEvent], incarnation: int = 1) -> ComponentEvent:
    """Return an event of this type."""
    examples: tuple[ComponentEvent, ...] = (
        StartRequested(NAME),
        StopRequested(NAME),
        RestartRequested(NAME),
        DependenciesReady(NAME),
        DependencyFailed(NAME, Exit(ExitKind.UNREACHABLE, "postgres was not reachable")),
        Launched(NAME, incarnation, 4711),
        Started(NAME, incarnation),
        BecameReady(NAME, incarnation),
        BecameUnready(NAME, incarnation, "status 503"),
        LivenessLost(NAME, incarnation, "no heartbeat"),
        Exited(NAME, incarnation, CRASH),
        StartDeadline(NAME, incarnation),
        GraceOver(NAME, incarnation),
        BackoffOver(NAME, incarnation),
    )
    return next(found for found in examples if type(found) is event)


# ---- cell by cell ------------------------------------------------------------------------------------------------------------------


def test_the_table_knows_every_event() -> None:
    """Each event about a component has a row, and there is no row besides."""
    assert set(TABLE) == set(EVENTS)


@pytest.mark.parametrize(("event", "phase"), CELLS)
def test_every_cell_is_filled(event: type[ComponentEvent], phase: Phase) -> None:
    """Each cell holds an action, and nothing that is ignored has an effect."""
    action = TABLE[event][phase]
    assert isinstance(action, Action)
    if action is IGNORE:
        state = ComponentState(NAME, phase=phase, incarnation=1)
        assert step(component(NAME), state, example(event), 1.0) == (state, ())


@pytest.mark.parametrize(("event", "phase"), CELLS)
@pytest.mark.parametrize(
    "spec", [component(NAME), component(NAME, ready=PROBE), component(NAME, oneshot=True)]
)
def test_a_cell_leads_where_it_says(spec: ComponentSpec, event: type[ComponentEvent], phase: Phase) -> None:
    """The phase after an event is the old one or one of the action's targets; the time of a change is noted."""
    state = ComponentState(NAME, phase=phase, desired=Desired.UP, incarnation=1)
    after, _ = step(spec, state, example(event), 5.0)
    assert after.phase in {phase, *TABLE[event][phase].targets}
    assert after.since == (0.0 if after.phase is phase else 5.0)


def test_names_of_actions_are_unique() -> None:
    """One name stands for one action in the diagram."""
    actions = {id(action): action.name for row in TABLE.values() for action in row.values()}
    assert len(set(actions.values())) == len(actions)


# ---- state by state ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """One component with what surrounds it: whether an incarnation lives, whether it was asked to stop, and the armed timers."""

    state: ComponentState
    alive: bool = False
    asked_to_stop: bool = False
    timers: frozenset[Timer] = frozenset()


BEGINNING = World(ComponentState(NAME))


@dataclass(frozen=True)
class Move:
    """One step of the exploration."""

    before: World
    event: ComponentEvent
    after: World


SORTS = {
    f"{policy}{' oneshot' * oneshot}{' probed' * probed}{' at once' * (delay == 0.0)}": component(
        NAME,
        restart=Restart(policy, max_restarts=2, delay=delay),
        oneshot=oneshot,
        ready=PROBE if probed else None,
    )
    for policy, oneshot, probed, delay in product(RestartPolicy, (False, True), (False, True), (0.0, 0.2))
}
"""One component of each sort: policy, one-shot or not, with and without probe, with and without delay."""


def possible(world: World) -> Iterator[tuple[ComponentEvent, float]]:
    """Everything that may happen next, and when."""
    number = world.state.incarnation
    for wish in (StartRequested, StopRequested, RestartRequested, DependenciesReady, DependencyFailed):
        yield example(wish), 0.0
    if world.alive:
        for told in (Launched, Started, BecameReady, BecameUnready, LivenessLost):
            yield example(told, number), 0.0
    yield from ends_and_timers(world)


def ends_and_timers(world: World) -> Iterator[tuple[ComponentEvent, float]]:
    """What happens although nobody wishes anything."""
    number = world.state.incarnation
    if world.alive:
        for ended, now in product((RETURNED, CRASH, UNSTARTABLE), (0.0, LATER)):
            yield Exited(NAME, number, ended), now
    for timer in world.timers:
        event = fired(SetTimer(timer, NAME, number, 0.0))
        assert isinstance(event, ComponentEvent)
        yield event, 0.0


def moved(spec: ComponentSpec, world: World, event: ComponentEvent, now: float) -> World:
    """Perform one step with everything that must hold for each single effect."""
    if isinstance(event, StartDeadline | GraceOver | BackoffOver):
        world = replace(world, timers=world.timers - {fired_by(event)})
    alive = world.alive and not isinstance(event, Exited)
    state, effects = step(spec, world.state, event, now)
    asked, timers = world.asked_to_stop and alive, set(world.timers)
    for effect in effects:
        check_effect(effect, state, spec)
        match effect:
            case Launch():
                assert not alive, "two incarnations at once"
                alive = True
            case RequestStop():
                assert alive
                assert not asked, "asked to stop twice"
                asked = True
            case Kill():
                assert alive
                assert asked, "killed without having been asked"
            case SetTimer(timer=timer):
                timers.add(timer)
            case CancelTimer(timer=timer):
                timers.discard(timer)
    return World(plain(state), alive, asked, frozenset(timers))


def fired_by(event: ComponentEvent) -> Timer:
    """Return the timer that the event comes from."""
    kinds: dict[type[ComponentEvent], Timer] = {
        StartDeadline: Timer.START,
        GraceOver: Timer.GRACE,
        BackoffOver: Timer.BACKOFF,
    }
    return kinds[type(event)]


def check_effect(effect: Effect, state: ComponentState, spec: ComponentSpec) -> None:
    """An effect is about this component and its present incarnation; probes are begun only where one was declared."""
    assert getattr(effect, "component", NAME) == NAME
    assert getattr(effect, "name", NAME) == NAME
    assert getattr(effect, "incarnation", state.incarnation) == state.incarnation
    if isinstance(effect, StartProbe):
        assert spec.ready is not None
        assert state.phase is Phase.STARTING


def plain(state: ComponentState) -> ComponentState:
    """The state without what only counts: moments, totals, the number of the incarnation, texts."""
    return replace(
        state,
        incarnation=min(state.incarnation, 1),
        since=0.0,
        ready_at=None if state.ready_at is None else 0.0,
        restarts=(0.0,) * len(state.restarts),
        failures=min(state.failures, 1),
        total_restarts=0,
        next_attempt_at=None if state.next_attempt_at is None else 1.0,
        last_exit=None,
        kills=min(state.kills, 1),
        reason="",
    )


@cache
def explored(sort: str) -> tuple[Move, ...]:
    """Return every step that is possible from the beginning."""
    moves: list[Move] = []
    known, frontier = {BEGINNING}, [BEGINNING]
    while frontier:
        world = frontier.pop()
        for event, now in possible(world):
            after = moved(SORTS[sort], world, event, now)
            moves.append(Move(world, event, after))
            if after not in known:
                known.add(after)
                frontier.append(after)
    return tuple(moves)


def worlds(sort: str) -> set[World]:
    """Return everything that can be."""
    return {world for move in explored(sort) for world in (move.before, move.after)}


every_sort = pytest.mark.parametrize("sort", SORTS)


@every_sort
def test_every_phase_is_reached(sort: str) -> None:
    """The exploration sees what there is to see; only ends that policy rules out are missing."""
    spec = SORTS[sort]
    never_completes = spec.restart.policy is RestartPolicy.ALWAYS and not spec.oneshot
    no_backoff = spec.restart.policy is RestartPolicy.NEVER or spec.restart.delay == 0.0
    missing = {Phase.COMPLETED} if never_completes else set()
    missing |= {Phase.BACKOFF} if no_backoff else set()
    assert {world.state.phase for world in worlds(sort)} == set(Phase) - missing


@every_sort
def test_exactly_the_living_phases_have_an_incarnation(sort: str) -> None:
    """An incarnation lives in starting, ready, unready and stopping, and nowhere else; its process is known only then."""
    for world in worlds(sort):
        assert world.alive is (world.state.phase in ALIVE)
        assert world.alive or world.state.pid is None
        assert world.asked_to_stop is (world.state.phase is Phase.STOPPING)


@every_sort
def test_timers_are_armed_exactly_where_they_mean_something(sort: str) -> None:
    """Start deadline in starting, grace in stopping, delay in backoff; a one-shot that has started has no deadline."""
    for world in worlds(sort):
        phase = world.state.phase
        working = SORTS[sort].oneshot and phase is Phase.STARTING and not world.timers
        expected = {Phase.STARTING: Timer.START, Phase.STOPPING: Timer.GRACE, Phase.BACKOFF: Timer.BACKOFF}
        assert working or world.timers == ({expected[phase]} if phase in expected else set())
        assert (world.state.next_attempt_at is not None) is (phase is Phase.BACKOFF)


@every_sort
def test_nothing_is_down_while_wanted_up(sort: str) -> None:
    """Stopped means wanted down, and what is wanted down is stopped or on its way."""
    for world in worlds(sort):
        if world.state.phase is Phase.STOPPED:
            assert world.state.desired is Desired.DOWN
        if world.state.restart_asked:
            assert world.state.phase is Phase.STOPPING
        if world.state.desired is Desired.DOWN:
            assert world.state.phase in {Phase.STOPPED, Phase.STOPPING}
            assert not world.state.restart_asked


@every_sort
def test_after_a_stop_rest_needs_nothing_but_ends_and_timers(sort: str) -> None:
    """Once a stop was asked for, the end of the incarnation is the end of it, and until then it is killed again and again."""
    for world in worlds(sort):
        stopped = moved(SORTS[sort], world, StopRequested(NAME), 0.0)
        assert stopped.alive or stopped.state.phase in AT_REST
        for event, now in ends_and_timers(stopped):
            after = moved(SORTS[sort], stopped, event, now)
            if isinstance(event, Exited):
                assert after.state.phase in AT_REST
            else:
                assert after.state.kills > 0
                assert after.timers == {Timer.GRACE}


@every_sort
def test_rest_is_left_only_when_asked(sort: str) -> None:
    """From stopped, failed and completed only somebody's wish leads away."""
    for move in explored(sort):
        if move.before.state.phase in AT_REST and move.after.state.phase is not move.before.state.phase:
            assert isinstance(move.event, StartRequested | StopRequested | RestartRequested)


@every_sort
def test_a_launch_begins_the_next_life(sort: str) -> None:
    """Each launch has the number after that of the last one."""
    for number in range(3):
        state = ComponentState(NAME, Phase.WAITING, Desired.UP, incarnation=number)
        after, effects = step(SORTS[sort], state, DependenciesReady(NAME), 0.0)
        assert after.incarnation == number + 1
        assert effects[0] == Launch(NAME, number + 1)


def test_the_diagram_draws_exactly_what_can_happen() -> None:
    """Each arrow that the actions declare is taken by some component, and none is taken that is not declared."""
    declared = {
        (event, phase, target)
        for event, row in TABLE.items()
        for phase, action in row.items()
        for target in action.targets
    }
    taken = {
        (type(move.event), move.before.state.phase, move.after.state.phase)
        for sort in SORTS
        for move in explored(sort)
        if move.before.state.phase is not move.after.state.phase
    }
    assert taken == declared
