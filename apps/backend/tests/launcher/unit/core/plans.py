"""Short ways to write declarations and histories down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from launcher.core.plan import Plan, build
from launcher.errors import ConfigError, Problem
from launcher.model.effects import Timer
from launcher.model.spec import (
    ComponentSpec,
    DependencySpec,
    Kind,
    LauncherSpec,
    Mode,
    Probe,
    ProbeKind,
    Restart,
    RestartPolicy,
)
from launcher.model.state import Exit, ExitKind
from launcher.testing import History

CRASH = Exit(ExitKind.RAISED, "ValueError: boom")
RETURNED = Exit(ExitKind.RETURNED, "returned")
STOPPED = Exit(ExitKind.RETURNED, "stopped")
UNSTARTABLE = Exit(ExitKind.UNSTARTABLE, "no module named nowhere", hint="check the target")
KILLED = Exit(ExitKind.SIGNALLED, "killed by SIGKILL", signal=9)

PROBE = Probe(ProbeKind.HTTP, "/health")
NEVER = Restart(RestartPolicy.NEVER)
ON_FAILURE = Restart(RestartPolicy.ON_FAILURE)
PATIENT = Restart(max_restarts=1000)
"""Restarts for ever, so that pacing can be seen alone."""


def component(name: str, *depends_on: str, **changes: Any) -> ComponentSpec:
    """Return an agent with the defaults of the product, but for what is named."""
    given: dict[str, Any] = {"kind": Kind.AGENT, "target": "backend:run", "depends_on": depends_on, **changes}
    return ComponentSpec(name, **given)


def declared(*components: ComponentSpec, **changes: Any) -> LauncherSpec:
    """Return a declaration of these components, one process each."""
    given: dict[str, Any] = {"mode": Mode.MULTI, **changes}
    return LauncherSpec("backend", "/srv/backend", components, **given)


def plan_of(*components: ComponentSpec, **changes: Any) -> Plan:
    """Return the plan of these components, one process each."""
    return build(declared(*components, **changes))


def service(name: str, **changes: Any) -> DependencySpec:
    """Return an external service."""
    return DependencySpec(name, f"tcp://127.0.0.1/{name}", **changes)


def backoffs(history: History) -> list[float]:
    """Return the delays between an end and the next start, in order."""
    return [request.delay for request in history.timers if request.timer is Timer.BACKOFF]


@contextmanager
def refused() -> Iterator[list[Problem]]:
    """Expect a declaration to be refused; the list is filled with the problems found."""
    problems: list[Problem] = []
    with pytest.raises(ConfigError) as caught:
        yield problems
    problems.extend(caught.value.problems)


def names(components: Sequence[ComponentSpec]) -> list[str]:
    """Return the names of components."""
    return [spec.name for spec in components]
