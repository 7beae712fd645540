"""What a service manager is told."""

from __future__ import annotations

import pytest

from launcher.core.announce import announced
from launcher.model.events import (
    Event,
    Exited,
    Launched,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StopRequested,
)
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import CRASH, RETURNED, STOPPED, UNSTARTABLE, component, plan_of

ONE_UP = (StartAllRequested(), Launched("db", 1, 1), Started("db", 1), Launched("api", 1, 2))
UP = (*ONE_UP, Started("api", 1))


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ((StartAllRequested(),), ("STATUS=starting: 0 of 2 ready; api is waiting; db is starting",)),
        (ONE_UP, ("STATUS=starting: 1 of 2 ready; api is starting",)),
        (UP, ("READY=1", "STATUS=up: 2 of 2 ready")),
        ((*UP, StopRequested("api"), Exited("api", 1, STOPPED)), ("READY=1", "STATUS=up: 1 of 1 ready")),
        ((*UP, Exited("api", 1, CRASH)), ("READY=1", "STATUS=degraded: 1 of 2 ready; api is backoff")),
        (
            (*ONE_UP, Exited("api", 1, UNSTARTABLE)),
            ("READY=1", "STATUS=degraded: 1 of 2 ready; api is failed"),
        ),
        (
            (*UP, ShutdownRequested("SIGTERM")),
            ("STOPPING=1", "STATUS=stopping: SIGTERM, waiting for api, db"),
        ),
        (
            (*UP, ShutdownRequested("two\nlines"), Exited("api", 1, STOPPED), Exited("db", 1, RETURNED)),
            ("STOPPING=1", "STATUS=stopping: two lines"),
        ),
    ],
)
def test_what_is_told(events: tuple[Event, ...], lines: tuple[str, ...]) -> None:
    """Ready when the start is settled, stopping from the first moment of a stop, and in between who is missing."""
    fleet = FleetRunner(plan_of(component("api", "db"), component("db"), keep_going=True))
    fleet.send(*events)
    assert announced(fleet.fleet) == lines


def test_a_failed_start_is_never_ready() -> None:
    """Without keep_going a start that fails goes straight to the stop."""
    fleet = FleetRunner(plan_of(component("api", "db"), component("db")))
    fleet.send(*ONE_UP, Exited("api", 1, UNSTARTABLE))
    assert announced(fleet.fleet) == ("STOPPING=1", "STATUS=stopping: api failed to start, waiting for db")
