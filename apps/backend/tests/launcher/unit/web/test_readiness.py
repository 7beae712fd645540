"""Whether a component, or all of them, is ready, and why not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from launcher.model.events import (
    Event,
    Launched,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StopRequested,
)
from launcher.testing import FleetRunner
from launcher.web.documents import readiness_document
from tests.launcher.unit.core.plans import component, plan_of
from tests.launcher.unit.supervisor.backend import view_of

PLAN = plan_of(component("api", "db"), component("db"))
UP = [StartAllRequested(), Launched("db", 1, 41), Started("db", 1), Launched("api", 1, 42), Started("api", 1)]


@pytest.mark.parametrize(
    ("history", "name", "reason"),
    [
        (UP, "", ""),
        (UP, "api", ""),
        (UP[:1], "db", "db is starting"),
        (UP[:1], "", "api is waiting; db is starting"),
        (UP[:3], "db", ""),
        (UP[:3], "", "api is starting"),
        # What nobody wants up is missed by nobody, unless it is asked for.
        ([*UP, StopRequested("api", "enough")], "", ""),
        ([*UP, StopRequested("api", "enough")], "api", "api is stopping (enough)"),
        ([*UP, ShutdownRequested("Ctrl-C")], "", "the backend is stopping"),
        ([], "", "the backend is starting"),
    ],
)
def test_readiness(history: Sequence[Event], name: str, reason: str) -> None:
    """Ready is when nothing that is wanted is missing; otherwise the reason names all that is."""
    runner = FleetRunner(PLAN)
    runner.send(*history)
    document = readiness_document(view_of(runner), name)
    assert document == {"component": name, "ready": not reason, "reason": reason}


def test_a_component_that_is_not_there() -> None:
    """A name that is not in the plan is a mistake of the caller."""
    with pytest.raises(KeyError):
        readiness_document(view_of(FleetRunner(PLAN)), "nobody")
