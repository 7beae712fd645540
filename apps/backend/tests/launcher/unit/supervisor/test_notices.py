"""What is said of losses and of loops that stand still: each once, and in the log where it is looked for."""

from __future__ import annotations

import pytest

from launcher.model.events import (
    DependencyChecked,
    Event,
    Exited,
    LivenessBack,
    LivenessLost,
    StartAllRequested,
    Started,
)
from launcher.model.logs import LogLine
from launcher.model.spec import Mode
from launcher.supervisor.notices import Notices
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import CRASH, component, plan_of, service
from tests.launcher.unit.supervisor.backend import view_of

UP = DependencyChecked("redis", ok=True)
DOWN = DependencyChecked("redis", ok=False, reason="refused")
HUNG = LivenessLost(
    "worker", 1, "its event loop has not turned for 30 s: blocked by worker at jobs.py:7 (run)"
)


def said(*events: Event | float) -> list[tuple[str, str, str]]:
    """Return component, level and message of everything that was said."""
    plan = plan_of(
        component("api", "redis"),
        component("worker", heartbeat=30.0),
        dependencies=(service("redis"),),
        mode=Mode.SINGLE,
    )
    runner = FleetRunner(plan)
    lines: list[LogLine] = []
    notices = Notices(lines.append)
    for event in (StartAllRequested(), UP, Started("api", 1), Started("worker", 1), *events):
        if isinstance(event, Event):
            runner.send(event)
        else:
            runner.wait(event)
        notices.follow(view_of(runner))
    return [(line.component, line.level, line.message) for line in lines]


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ((DOWN, DOWN, UP), []),
        ((DOWN, 1.0, DOWN, 1.0, DOWN, DOWN), [("", "WARNING", "redis is lost: refused; needed by api")]),
        (
            (DOWN, 1.0, DOWN, 1.0, DOWN, 10.0, UP, UP),
            [
                ("", "WARNING", "redis is lost: refused; needed by api"),
                ("", "INFO", "redis is back after 12.0 s"),
            ],
        ),
        ((HUNG, 5.0), [("worker", "ERROR", HUNG.reason)]),
        (
            (HUNG, 5.0, LivenessBack("worker", 1), 1.0),
            [
                ("worker", "ERROR", HUNG.reason),
                ("worker", "WARNING", "its event loop turns again, 5.0 s later"),
            ],
        ),
        ((HUNG, 5.0, Exited("worker", 1, CRASH)), [("worker", "ERROR", HUNG.reason)]),
    ],
)
def test_what_is_said(events: tuple[Event | float, ...], lines: list[tuple[str, str, str]]) -> None:
    """A loss and a hang are said when they are certain, their end when it comes, and nothing twice."""
    assert said(*events) == lines
