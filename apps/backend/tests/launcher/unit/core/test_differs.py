"""When somebody who knows a view is to see a later one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from launcher.core.plan import build
from launcher.core.view import View, differs
from launcher.model.events import (
    BecameReady,
    DependencyChecked,
    Event,
    Launched,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StopRequested,
)
from launcher.model.spec import ComponentSpec, DependencySpec, Kind, LauncherSpec, Mode
from launcher.testing import FleetRunner

PLAN = build(
    LauncherSpec(
        name="newsdesk",
        root="/srv",
        components=(ComponentSpec("worker", Kind.AGENT, "jobs:run", depends_on=("cache",)),),
        dependencies=(DependencySpec("cache", "redis://cache"),),
        mode=Mode.SINGLE,
    )
)
UP = (
    StartAllRequested(),
    DependencyChecked("cache", ok=True, latency=0.1),
    Launched("worker", 1, 41),
    Started("worker", 1),
)


@pytest.mark.parametrize(
    ("event", "different"),
    [
        (DependencyChecked("cache", ok=True, latency=0.2), False),
        (BecameReady("worker", 1), False),
        (DependencyChecked("cache", ok=False, reason="refused"), True),
        (StopRequested("worker"), True),
        (ShutdownRequested("SIGTERM"), True),
    ],
    ids=str,
)
def test_what_is_worth_showing(event: Event, different: bool) -> None:
    """A change of a component, a dependency or the whole is; another duration of a check, or an event without effect, is not."""
    runner = FleetRunner(PLAN)
    runner.send(*UP)
    before = View(PLAN, runner.fleet, 1.0, 1.0, 0.0, 77, "1")
    runner.send(event)
    after = replace(before, fleet=runner.fleet, now=2.0, wall=2.0)
    assert differs(before, after) is different


def test_everything_is_new_to_who_knows_nothing() -> None:
    """The first view is worth showing, and so is one of another plan or with another port that nobody serves."""
    view = View(PLAN, FleetRunner(PLAN).fleet, 1.0, 1.0, 0.0, 77, "1")
    assert differs(None, view)
    assert not differs(view, replace(view, now=5.0))
    assert differs(view, replace(view, plan=replace(PLAN)))
    assert differs(view, replace(view, unserved={"worker": 1.0}))
