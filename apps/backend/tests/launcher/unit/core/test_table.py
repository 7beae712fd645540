"""Every cell of the table, and every state that one component can get into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import pytest

from launcher.core.action import Action
from launcher.core.machine import IGNORE, TABLE, step
from launcher.core.succession import BESIDE, Stage, concerned
from launcher.model import events
from launcher.model.answers import Answer
from launcher.model.effects import CancelTimer, Effect, Kill, Launch, RequestStop, SetTimer, StartProbe, Timer
from launcher.model.events import (
    BackoffOver,
    BecameReady,
    BecameUnready,
    Checked,
    ComponentEvent,
    DependenciesReady,
    DependencyBack,
    DependencyFailed,
    DependencyLost,
    Exited,
    GraceOver,
    IncarnationEvent,
    Launched,
    LivenessBack,
    LivenessLost,
    RestartRequested,
    ReturnOver,
    StartDeadline,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import ComponentSpec, DependencyLoss, Restart, RestartPolicy
from launcher.model.state import (
    ALIVE,
    AT_REST,
    ComponentState,
    Desired,
    Exit,
    ExitKind,
    Phase,
    Retiring,
    Successor,
)
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
        DependencyLost(NAME, "postgres", "refused"),
        DependencyBack(NAME),
        Launched(NAME, incarnation, 4711),
        Started(NAME, incarnation),
        Checked(NAME, incarnation, Answer(True, 0.002)),
        BecameReady(NAME, incarnation),
        BecameUnready(NAME, incarnation, "status 503"),
        LivenessLost(NAME, incarnation, "no heartbeat"),
        LivenessBack(NAME, incarnation),
        Exited(NAME, incarnation, CRASH),
        StartDeadline(NAME, incarnation),
        GraceOver(NAME, incarnation),
        BackoffOver(NAME, incarnation),
        ReturnOver(NAME, incarnation),
    )
    return next(found for found in examples if type(found) is event)


# ---- cell by cell ------------------------------------------------------------------------------------------------------------------


def test_the_table_knows_every_event() -> None:
    """Each event about a component has a row, and there is no row besides."""
    assert set(TABLE) == set(EVENTS)
    assert set(BESIDE) == set(EVENTS)


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
    """One name stands for one action in each diagram."""
    for table in (TABLE, BESIDE):
        actions = {id(action): action.name for row in table.values() for action in row.values()}
        assert len(set(actions.values())) == len(actions)


COLUMNS = (Stage.WAITING, Stage.STARTING, Stage.RETIRING)
BESIDE_IT = {
    Stage.STARTING: ComponentState(
        NAME, Phase.READY, incarnation=1, successor=Successor(Phase.STARTING, 2), newest=2
    ),
    Stage.RETIRING: ComponentState(NAME, Phase.READY, incarnation=1, retiring=(Retiring(2),), newest=2),
}
"""For each column the state with a life number 2 that stands there; one that waits has no number yet."""


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("stage", COLUMNS)
def test_every_cell_beside_is_filled(event: type[ComponentEvent], stage: Stage) -> None:
    """For each event and stage of a life beside the current one there is an action, and nothing that is ignored has an effect."""
    action = BESIDE[event][stage]
    assert isinstance(action, Action)
    assert set(BESIDE[event]) == set(COLUMNS)
    if issubclass(event, IncarnationEvent) and action.name == "ignore" and stage in BESIDE_IT:
        state = BESIDE_IT[stage]
        assert step(component(NAME, overlap=True), state, example(event, 2), 1.0) == (state, ())


# ---- state by state ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """One component with what surrounds it: the lives there are, those asked to stop, and the armed timers, by number."""

    state: ComponentState
    alive: frozenset[int] = frozenset()
    asked_to_stop: frozenset[int] = frozenset()
    timers: frozenset[tuple[Timer, int]] = frozenset()


BEGINNING = World(ComponentState(NAME))
MOST_RETIRING = 1
"""Worlds with more lives that retire are not explored: wishes alone could make them without end."""


@dataclass(frozen=True)
class Move:
    """One step of the exploration."""

    before: World
    event: ComponentEvent
    after: World


SORTS = (
    {
        f"{policy}{' oneshot' * oneshot}{' probed' * probed}{' at once' * (delay == 0.0)}{' overlap' * overlap}": component(
            NAME,
            restart=Restart(policy, max_restarts=1 if overlap else 2, delay=delay),
            oneshot=oneshot,
            ready=PROBE if probed else None,
            overlap=overlap,
        )
        for policy, oneshot, probed, delay, overlap in product(
            RestartPolicy, (False, True), (False, True), (0.0, 0.2), (False, True)
        )
        if not (overlap and (oneshot or delay == 0.0))
    }
    | {
        f"{loss} on loss{' overlap' * overlap}": component(
            NAME,
            # With fewer restarts and no probe there is less to see, but what overlaps multiplies the worlds as it is.
            restart=Restart(max_restarts=0 if overlap else 1),
            ready=None if overlap else PROBE,
            on_dependency_loss=loss,
            overlap=overlap,
        )
        for loss, overlap in product((DependencyLoss.STOP, DependencyLoss.RESTART), (False, True))
    }
    | {
        f"watched{' in a shared process' * (not alone)}": component(
            NAME, restart=Restart(max_restarts=1), ready=PROBE, heartbeat=30.0, alone=alone
        )
        for alone in (False, True)
    }
)
"""
One component of each sort: policy, one-shot or not, with and without probe, with and without delay, with and without overlap; those that do not
just keep going when they have lost what they depend on; and those whose event loop is watched, with and without a process of their own.
"""


def possible(spec: ComponentSpec, world: World) -> Iterator[tuple[ComponentEvent, float]]:
    """Everything that may happen next, and when."""
    for wish in (StartRequested, StopRequested, RestartRequested, DependenciesReady, DependencyFailed):
        yield example(wish), 0.0
    if spec.on_dependency_loss is not DependencyLoss.KEEP:
        yield example(DependencyLost), 0.0
    if world.state.loss:
        yield example(DependencyBack), 0.0
    # That a process is noted changes nothing else; with many lives it would only multiply the worlds.
    told = (Started, BecameReady, BecameUnready, LivenessLost, *(() if spec.overlap else (Launched,)))
    told += (LivenessBack,) if spec.heartbeat else ()
    for number, kind in product(world.alive, told):
        yield example(kind, number), 0.0
    yield from ends_and_timers(world)


def ends_and_timers(world: World) -> Iterator[tuple[ComponentEvent, float]]:
    """What happens although nobody wishes anything."""
    for number, ended, now in product(world.alive, (RETURNED, CRASH, UNSTARTABLE), (0.0, LATER)):
        yield Exited(NAME, number, ended), now
    for timer, number in world.timers:
        event = fired(SetTimer(timer, NAME, number, 0.0))
        assert isinstance(event, ComponentEvent)
        yield event, 0.0


def moved(spec: ComponentSpec, world: World, event: ComponentEvent, now: float) -> World:
    """Perform one step with everything that must hold for each single effect."""
    alive, asked, timers = set(world.alive), set(world.asked_to_stop), set(world.timers)
    if isinstance(event, StartDeadline | GraceOver | BackoffOver | ReturnOver):
        timers.remove((fired_by(event), event.incarnation))
    if isinstance(event, Exited):
        alive.remove(event.incarnation)
        asked.discard(event.incarnation)
    state, effects = step(spec, world.state, event, now)
    for effect in effects:
        check_effect(effect, spec)
        match effect:
            case Launch(incarnation=number):
                assert not alive or spec.overlap, "two incarnations at once"
                assert number not in alive
                alive.add(number)
            case RequestStop(incarnation=number):
                assert number in alive
                assert number not in asked, "asked to stop twice"
                asked.add(number)
            case Kill(incarnation=number):
                assert number in alive
                assert number in asked, "killed without having been asked"
            case StartProbe(incarnation=number):
                assert number in alive - asked
            case SetTimer(timer=timer, incarnation=number):
                timers.add((timer, number))
            case CancelTimer(timer=timer, incarnation=number):
                timers.discard((timer, number))
    return plain(World(state, frozenset(alive), frozenset(asked), frozenset(timers)))


def fired_by(event: ComponentEvent) -> Timer:
    """Return the timer that the event comes from."""
    kinds: dict[type[ComponentEvent], Timer] = {
        StartDeadline: Timer.START,
        GraceOver: Timer.GRACE,
        BackoffOver: Timer.BACKOFF,
        ReturnOver: Timer.RETURN,
    }
    return kinds[type(event)]


def check_effect(effect: Effect, spec: ComponentSpec) -> None:
    """An effect is about this component; probes are begun only where one was declared."""
    assert getattr(effect, "component", NAME) == NAME
    assert getattr(effect, "name", NAME) == NAME
    if isinstance(effect, StartProbe):
        assert spec.ready is not None


def plain(world: World) -> World:
    """The world without what only counts: moments, totals, texts; incarnations are numbered anew from 1."""
    state = world.state
    numbers = sorted({state.incarnation, *world.alive} - {0})
    new = {0: 0, **{number: place for place, number in enumerate(numbers, 1)}}
    successor = state.successor
    return World(
        replace(
            state,
            incarnation=new[state.incarnation],
            newest=len(numbers) if new[state.incarnation] < len(numbers) else 0,
            since=0.0,
            ready_at=None if state.ready_at is None else 0.0,
            restarts=(0.0,) * len(state.restarts),
            failures=min(state.failures, 1),
            total_restarts=0,
            next_attempt_at=None if state.next_attempt_at is None else 1.0,
            returns_at=None if state.returns_at is None else 1.0,
            hung_at=None if state.hung_at is None else 0.0,
            failing="failing" if state.failing else "",
            last_exit=None,
            kills=min(state.kills, 1),
            reason="",
            failed_restart=None,
            successor=successor
            and replace(successor, incarnation=new[successor.incarnation], since=0.0, reason=""),
            retiring=tuple(
                replace(life, incarnation=new[life.incarnation], since=0.0, kills=min(life.kills, 1))
                for life in state.retiring
            ),
        ),
        frozenset(new[number] for number in world.alive),
        frozenset(new[number] for number in world.asked_to_stop),
        frozenset((timer, new[number]) for timer, number in world.timers),
    )


@cache
def explored(sort: str) -> tuple[Move, ...]:
    """Return every step that is possible from the beginning."""
    moves: list[Move] = []
    known, frontier = {BEGINNING}, [BEGINNING]
    while frontier:
        world = frontier.pop()
        for event, now in possible(SORTS[sort], world):
            after = moved(SORTS[sort], world, event, now)
            if len(after.state.retiring) > MOST_RETIRING:
                continue
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
def test_the_state_knows_every_life_and_what_was_asked_of_it(sort: str) -> None:
    """A life is current, a successor or retiring; asked to stop were exactly those that retire and the current one in stopping."""
    for world in worlds(sort):
        state = world.state
        assert sorted(state.lives) == sorted(world.alive)
        stopping = {state.incarnation} if state.phase is Phase.STOPPING and not state.ended else set()
        assert world.asked_to_stop == stopping | {life.incarnation for life in state.retiring}
        assert world.alive or state.pid is None


@every_sort
def test_exactly_the_living_phases_have_an_incarnation(sort: str) -> None:
    """One lives in starting, ready, unready and stopping, and, but for earlier ones that retire, nowhere else."""
    for world in worlds(sort):
        retiring = {life.incarnation for life in world.state.retiring}
        if world.state.phase in ALIVE:
            assert world.alive
            assert (world.alive == retiring) is world.state.ended
        else:
            assert world.alive == retiring
        assert SORTS[sort].overlap or len(world.alive) <= 1


@every_sort
def test_a_successor_needs_somebody_to_succeed(sort: str) -> None:
    """There is one only beside a living current incarnation of what is wanted up, and only of what may overlap."""
    for world in worlds(sort):
        if world.state.successor is not None:
            assert SORTS[sort].overlap
            assert world.state.desired is Desired.UP
            assert world.state.phase in {Phase.READY, Phase.UNREADY, Phase.STOPPING}
            assert world.state.incarnation in world.alive


@every_sort
def test_what_happens_beside_it_leaves_the_current_one_alone(sort: str) -> None:
    """No failure of a successor and no end of an old life changes the phase of what is ready."""
    for move in explored(sort):
        if (
            isinstance(move.event, IncarnationEvent)
            and move.before.state.phase is Phase.READY
            and move.event.incarnation != move.before.state.incarnation
        ):
            assert move.after.state.phase is Phase.READY


@every_sort
def test_timers_are_armed_exactly_where_they_mean_something(sort: str) -> None:
    """Start deadline in starting, grace in stopping, delay in backoff or before a return; a one-shot that has started has no deadline."""
    for world in worlds(sort):
        state = world.state
        working = SORTS[sort].oneshot and state.phase is Phase.STARTING and not world.timers
        kinds = {Phase.STARTING: Timer.START, Phase.STOPPING: Timer.GRACE, Phase.BACKOFF: Timer.BACKOFF}
        expected = {(Timer.GRACE, life.incarnation) for life in state.retiring}
        if state.phase in kinds and not state.ended:
            expected.add((kinds[state.phase], state.incarnation))
        if state.successor is not None and state.successor.phase is Phase.STARTING:
            expected.add((Timer.START, state.successor.incarnation))
        if state.returns_at is not None:
            expected.add((Timer.RETURN, state.incarnation))
        assert working or world.timers == expected
        assert (state.next_attempt_at is not None) is (state.phase is Phase.BACKOFF)


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
def test_a_loss_is_remembered_as_long_as_it_matters(sort: str) -> None:
    """Only what is wanted up and does not keep going remembers a loss, and only what runs is restarted for a return."""
    for world in worlds(sort):
        state = world.state
        if state.loss:
            assert SORTS[sort].on_dependency_loss is not DependencyLoss.KEEP
            assert state.desired is Desired.UP
            assert state.phase not in AT_REST
        if state.returns_at is not None:
            assert state.loss
            assert state.phase in {Phase.STARTING, Phase.READY, Phase.UNREADY}


@every_sort
def test_a_loss_costs_no_restart(sort: str) -> None:
    """Neither going down with a dependency nor coming back with it counts as a failure."""
    for move in explored(sort):
        if isinstance(move.event, DependencyLost | DependencyBack | ReturnOver):
            assert move.after.state.restarts == move.before.state.restarts
            assert move.after.state.failures == move.before.state.failures


@every_sort
def test_a_loop_that_does_not_turn_is_no_ready_component(sort: str) -> None:
    """What hangs is killed where that is possible; elsewhere it is unready until its loop turns, whatever its probe says meanwhile."""
    for move in explored(sort):
        before, after = move.before.state, move.after.state
        if after.hung_at is not None:
            assert not SORTS[sort].alone
            assert after.phase not in {Phase.STARTING, Phase.READY}
        running = before.phase in {Phase.READY, Phase.UNREADY} and concerned(before, move.event) is None
        if isinstance(move.event, LivenessLost) and running:
            assert after.phase is (Phase.STOPPING if SORTS[sort].alone else Phase.UNREADY)
        if (before.phase, after.phase) == (Phase.UNREADY, Phase.READY):
            assert (after.failing, after.hung_at) == ("", None)


@every_sort
def test_after_a_stop_rest_needs_nothing_but_ends_and_timers(sort: str) -> None:
    """Once a stop was asked for, the ends of all incarnations are the end of it, and until then they are killed again and again."""
    for world in worlds(sort):
        stopped = moved(SORTS[sort], world, StopRequested(NAME), 0.0)
        assert stopped.alive or stopped.state.phase in AT_REST
        assert {number for _, number in stopped.timers} == stopped.alive == stopped.asked_to_stop
        for event, now in ends_and_timers(stopped):
            after = moved(SORTS[sort], stopped, event, now)
            if isinstance(event, Exited):
                assert after.alive or after.state.phase in AT_REST
                assert len(after.alive) < len(stopped.alive)
            else:
                assert isinstance(event, GraceOver)
                assert after.timers == stopped.timers


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
        and (concerned(move.before.state, move.event) is None or not isinstance(move.event, IncarnationEvent))
    }
    assert taken == declared


def test_the_diagram_of_succession_draws_exactly_what_can_happen() -> None:
    """The same for incarnations beside the current one."""
    declared = {
        (event, stage, target)
        for event, row in BESIDE.items()
        for stage, action in row.items()
        for target in action.targets
    }
    taken = set()
    for sort, spec in SORTS.items():
        for move in explored(sort):
            before = concerned(move.before.state, move.event)
            if before is not None:
                after = stage_after(spec, move)
                taken.add((type(move.event), before, after))
    assert {arrow for arrow in taken if arrow[1] is not arrow[2]} == declared


def stage_after(spec: ComponentSpec, move: Move) -> Stage:
    """Return where the life beside the current one, which the event concerned, stands after it."""
    before = move.before.state
    after, _ = step(spec, before, move.event, 0.0)
    successor = before.successor
    number = (
        move.event.incarnation
        if isinstance(move.event, IncarnationEvent)
        else successor.incarnation
        if successor is not None
        else 0
    )
    if number == 0:  # a successor that was not launched
        now = after.successor
        return Stage.GONE if now is None else Stage.STARTING if now.incarnation else Stage.WAITING
    if after.successor is not None and after.successor.incarnation == number:
        return Stage.STARTING
    if number == after.incarnation:
        return Stage.CURRENT
    return Stage.RETIRING if number in after.lives else Stage.GONE
