"""What readers get."""

from __future__ import annotations

from launcher.core.view import View
from launcher.model.events import (
    Exited,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StartRequested,
    StopRequested,
)
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import STOPPED, component, plan_of

PLAN = plan_of(component("db"), component("api", "db"))


def seen(runner: FleetRunner) -> View:
    """Return a view of what the runner has come to."""
    return View(PLAN, runner.fleet, runner.clock(), wall=1.7e9, started_at=1.7e9, pid=4711, version="0.1.0")


def test_a_view_tells_what_is_waited_for() -> None:
    """Readers can ask the view what a component waits for."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested())
    assert [(wait.name, wait.what) for wait in seen(runner).waits_for("api")] == [("db", "starting")]
    assert seen(runner).waits_for("db") == ()


def test_a_view_tells_what_is_still_stopping() -> None:
    """One component that stops is named; while the backend stops everything that lives is."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested(), Started("db", 1), Started("api", 1))
    assert seen(runner).stopping() == ()
    runner.send(StopRequested("api"))
    assert seen(runner).stopping() == ("api",)
    runner.send(Exited("api", 1, STOPPED), StartRequested("api"), ShutdownRequested("Ctrl-C"))
    assert seen(runner).stopping() == ("db", "api")
    runner.send(Exited("api", 2, STOPPED))
    assert seen(runner).stopping() == ("db",)


def test_a_view_does_not_change() -> None:
    """What was seen stays as it was, whatever happens afterwards."""
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested())
    before = seen(runner)
    runner.send(Started("db", 1))
    assert before.fleet.components["db"].phase == "starting"
    assert before != seen(runner)
