"""Replicas in the plan and in the fleet: names, order, what is refused, and scaling while everything runs."""

from __future__ import annotations

import pytest

from launcher.core.names import selected, stands_for
from launcher.core.plan import build, scaled
from launcher.core.replicas import declared_name, refusal, replicas_of
from launcher.errors import CommandFailed, LauncherError, UnknownComponent, UsageError
from launcher.model.effects import Launch, RequestStop
from launcher.model.events import (
    Exited,
    RestartRequested,
    Scaled,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import Bind, Kind, Mode
from launcher.model.state import Desired, Phase
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import CRASH, NEVER, STOPPED, component, declared, plan_of

# ---- the plan ----------------------------------------------------------------------------------------------------------------------


def test_the_first_replica_keeps_the_name() -> None:
    """The others are numbered from two; all share what was declared."""
    plan = plan_of(component("web", replicas=3), component("db"))
    assert list(plan.components) == ["web", "web.2", "web.3", "db"]
    assert [spec.replica for spec in plan.components.values()] == [1, 2, 3, 1]
    assert {spec.declared_name for spec in plan.components.values()} == {"web", "db"}
    assert plan.placement["web.3"] == "web.3"


def test_who_depends_on_it_depends_on_all_of_them() -> None:
    """Replicas of a dependent wait for every replica of what it needs, and not for each other."""
    plan = plan_of(component("db", replicas=2), component("web", "db", replicas=2))
    assert plan.components["web.2"].depends_on == ("db", "db.2")
    assert plan.waves == (("db", "db.2"), ("web", "web.2"))
    assert plan.dependents["db.2"] == {"web", "web.2"}


def test_in_a_shared_process_one_runs_and_a_note_says_why() -> None:
    """Replicas of one process would share everything that replicas are for."""
    plan = build(declared(component("web", replicas=3), mode=Mode.SINGLE))
    assert list(plan.components) == ["web"]
    (note,) = plan.notes
    assert note.startswith("web: one of 3 replicas runs, since all would share the launcher's own process")
    assert note.endswith("--mode multi runs them")
    assert plan_of(component("web", replicas=3)).notes == ()


def test_scaling_keeps_everything_else() -> None:
    """Only the replicas change, also when it is done twice."""
    plan = plan_of(component("web", replicas=2), component("db"))
    assert scaled(scaled(plan, "web", 5), "web", 2) == plan
    assert list(scaled(plan, "db", 2).components) == ["web", "web.2", "db", "db.2"]


# ---- names -------------------------------------------------------------------------------------------------------------------------

KNOWN = ["web", "web.2", "web.10", "agents.writer", "agents.writer.2", "agents.2"]


@pytest.mark.parametrize(
    ("name", "owner"),
    [("web", "web"), ("web.2", "web"), ("agents.writer.2", "agents.writer"), ("agents.2", "agents.2")],
)
def test_a_replica_knows_its_owner_by_name(name: str, owner: str) -> None:
    """A number behind a component is a replica; behind anything else it is a name."""
    assert declared_name(name, KNOWN) == owner


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("web", ["web", "web.2", "web.10"]),
        ("web.1", ["web"]),
        ("web.2", ["web.2"]),
        ("agents.writer", ["agents.writer", "agents.writer.2"]),
        ("agents", ["agents.writer", "agents.writer.2", "agents.2"]),
        ("web.*", ["web.2", "web.10"]),
    ],
)
def test_a_name_stands_for_all_replicas(wanted: str, names: list[str]) -> None:
    """One of them is meant by its number, the first one by NAME.1."""
    assert selected([wanted], KNOWN) == names
    assert {name for name in KNOWN if stands_for(wanted, name)} == set(names)


def test_no_replica_is_made_up() -> None:
    """What is not there cannot be selected."""
    with pytest.raises(UnknownComponent):
        selected(["web.3"], KNOWN)
    with pytest.raises(UnknownComponent):
        selected(["agents.1"], KNOWN)


# ---- what is refused ---------------------------------------------------------------------------------------------------------------

SPECS = (
    component("web", kind=Kind.ASGI, bind=Bind(8000), replicas=2),
    component("silent", kind=Kind.ASGI),
    component("shell", kind=Kind.COMMAND, command=("sh",)),
    component("seed", oneshot=True),
    component("agents.writer", kind=Kind.AGENTS),
)


@pytest.mark.parametrize(
    ("name", "replicas", "kind", "what", "hint"),
    [
        ("wep", 2, UnknownComponent, 'no component called "wep"', "web"),
        ("web.2", 2, UnknownComponent, 'no component called "web.2"', "launcher scale web=N"),
        ("agents", 2, UnknownComponent, 'no component called "agents"', "agents.writer"),
        ("web", 0, UsageError, "at least one replica stays", "launcher stop web"),
        ("web", -3, UsageError, "at least one replica stays", "launcher stop web"),
        ("web", 101, UsageError, "surely a mistake", "core"),
        ("silent", 2, CommandFailed, "no port", "components.silent.port"),
        ("shell", 2, CommandFailed, "is a command", "a port of its own"),
        ("seed", 2, CommandFailed, "one-shot", ""),
    ],
)
def test_what_cannot_be_scaled_says_why(
    name: str, replicas: int, kind: type[LauncherError], what: str, hint: str
) -> None:
    """Each refusal names the reason and, where there is one, the way."""
    error = refusal(SPECS, (), name, replicas)
    assert type(error) is kind
    assert what in error.message
    assert hint in error.hint


def test_what_shares_a_process_cannot_be_scaled() -> None:
    """The way on is another mode."""
    error = refusal(SPECS, {"web"}, "web", 2)
    assert error is not None
    assert (error.message, error.hint) == (
        "cannot scale web: it runs in the launcher's own process, with everything else",
        "launcher up --mode multi",
    )


def test_what_can_be_scaled_is_not_refused() -> None:
    """Up, down, and to the number there is."""
    assert [refusal(SPECS, (), "web", number) for number in (1, 2, 100)] == [None] * 3
    assert refusal(SPECS, (), "agents.writer", 2) is None


# ---- the fleet ---------------------------------------------------------------------------------------------------------------------


def running(replicas: int = 1, **changes: object) -> FleetRunner:
    """Return a fleet of a replicated component and one that depends on it, all ready."""
    runner = FleetRunner(plan_of(component("web", replicas=replicas, **changes), component("worker", "web")))
    runner.send(StartAllRequested())
    for name in replicas_of("web", runner.plan.components):
        runner.send(Started(name, 1))
    runner.send(Started("worker", 1))
    return runner


def test_a_dependent_starts_when_all_replicas_are_ready() -> None:
    """Half of them is not enough."""
    runner = FleetRunner(plan_of(component("web", replicas=2), component("worker", "web")))
    runner.send(StartAllRequested(), Started("web", 1))
    assert runner.phases()["worker"] is Phase.WAITING
    runner.send(Started("web.2", 1))
    assert runner.phases()["worker"] is Phase.STARTING


def test_the_death_of_one_replica_leaves_the_others() -> None:
    """Each has a life, a backoff and a restart window of its own."""
    runner = running(2)
    runner.send(Exited("web.2", 1, CRASH))
    assert runner.phases() == {"web": Phase.READY, "web.2": Phase.BACKOFF, "worker": Phase.READY}


def test_scaling_up_starts_what_is_missing() -> None:
    """The plan grows with the fleet, in the order of declaration; what runs is left alone."""
    runner = running()
    assert [effect for effect in runner.send(Scaled("web", 3)) if isinstance(effect, Launch)] == [
        Launch("web.2", 1),
        Launch("web.3", 1),
    ]
    assert (
        list(runner.plan.components) == list(runner.fleet.components) == ["web", "web.2", "web.3", "worker"]
    )
    assert runner.state("worker").incarnation == 1


def test_scaling_up_also_starts_what_is_stopped_or_failed() -> None:
    """Who asks for three wants three that run."""
    runner = running(3, restart=NEVER)
    runner.send(
        StopRequested("web.2"), Exited("web.2", 1, STOPPED), Exited("web.3", 1, CRASH), Scaled("web", 3)
    )
    assert [runner.phases()[name] for name in ("web.2", "web.3")] == [Phase.STARTING, Phase.STARTING]


def test_scaling_down_stops_the_last_ones_first_and_then_lets_them_go() -> None:
    """They are part of the fleet until nothing of them is left."""
    runner = running(3)
    assert {effect for effect in runner.send(Scaled("web", 1)) if isinstance(effect, RequestStop)} == {
        RequestStop("web.2", 1),
        RequestStop("web.3", 1),
    }
    runner.send(Exited("web.2", 1, STOPPED))
    assert "web.2" in runner.fleet.components
    runner.send(Exited("web.3", 1, STOPPED))
    assert list(runner.fleet.components) == list(runner.plan.components) == ["web", "worker"]
    assert runner.fleet.leaving == frozenset()
    assert runner.plan.components["worker"].depends_on == ("web",)


def test_what_leaves_is_not_brought_back_but_by_scaling() -> None:
    """Neither by itself, nor for what depends on it; scaling up again keeps it."""
    runner = running(2)
    runner.send(Scaled("web", 1), StartRequested("web.2"), RestartRequested("worker"), StartAllRequested())
    assert runner.state("web.2").desired is Desired.DOWN
    runner.send(Scaled("web", 2))
    assert runner.state("web.2").desired is Desired.UP
    runner.send(Exited("web.2", 1, STOPPED))
    assert runner.state("web.2").incarnation == 2


def test_what_has_left_is_new_when_it_comes_again() -> None:
    """It goes on counting, so that late news of the one that was there before is nobody's."""
    runner = running(2)
    runner.send(Scaled("web", 1), Exited("web.2", 1, STOPPED))
    assert runner.send(Started("web.2", 1), Exited("web.2", 1, CRASH)) == ()
    runner.send(Scaled("web", 2))
    assert (runner.state("web.2").phase, runner.state("web.2").incarnation) == (Phase.STARTING, 2)
    assert runner.send(Started("web.2", 1)) == ()


def test_a_dependent_that_waits_does_not_wait_for_what_leaves() -> None:
    """Once it has left, it is needed by nobody."""
    runner = running(2)
    runner.send(
        StopRequested("worker"), Exited("worker", 1, STOPPED), Scaled("web", 1), StartRequested("worker")
    )
    assert runner.phases()["worker"] is Phase.WAITING
    runner.send(Exited("web.2", 1, STOPPED))
    assert runner.phases()["worker"] is Phase.STARTING


def test_nothing_is_scaled_while_the_backend_stops() -> None:
    """The wish comes too late."""
    runner = running()
    runner.send(ShutdownRequested("Ctrl-C"))
    before = runner.fleet
    assert runner.send(Scaled("web", 3)) == ()
    assert runner.fleet == before
