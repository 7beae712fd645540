"""A supervisor on the running loop whose components are behaviour only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from launcher.core.view import View
from launcher.hosts.base import Host
from launcher.model.events import ShutdownForced
from launcher.model.spec import ComponentSpec, Restart
from launcher.model.state import ComponentState, FleetState, Phase
from launcher.probes.runner import Probes
from launcher.supervisor.control import Control
from launcher.supervisor.journal import Journal
from launcher.supervisor.supervisor import Supervisor
from launcher.testing import Behaviour, FakeHost, FleetRunner
from tests.launcher.unit.core.plans import plan_of

PATIENCE = 20.0
"""Seconds after which a test gives up; nothing here takes a second."""

AT_ONCE = Restart(delay=0.0)
"""Restarts without any delay."""


@dataclass(frozen=True)
class Backend:
    """What a test gets hold of."""

    supervisor: Supervisor
    control: Control
    host: FakeHost
    journal: Journal
    ended: asyncio.Task[int]

    def state(self, name: str) -> ComponentState:
        """Return the state of a component."""
        return self.supervisor.view().fleet.components[name]

    async def until(self, reached: Callable[[FleetState], bool]) -> None:
        """Wait for a state of the fleet."""
        assert await self.supervisor.until(reached, PATIENCE), self.supervisor.view().fleet

    async def until_phase(self, name: str, phase: Phase, incarnation: int | None = None) -> None:
        """Wait for a phase of a component, in any or in one incarnation."""

        def reached(fleet: FleetState) -> bool:
            state = fleet.components[name]
            return state.phase is phase and incarnation in {None, state.incarnation}

        await self.until(reached)

    async def end(self) -> int:
        """Wait for the end of the supervisor and return its exit code."""
        return await asyncio.wait_for(asyncio.shield(self.ended), PATIENCE)


def view_of(runner: FleetRunner) -> View:
    """Return a picture of a fleet that no supervisor runs."""
    return View(runner.plan, runner.fleet, runner.clock(), 1000.0, 1000.0, 77, "0")


@asynccontextmanager
async def running(
    *components: ComponentSpec,
    behaviours: Mapping[str, Sequence[Behaviour]] | None = None,
    host: type[FakeHost] = FakeHost,
    **changes: object,
) -> AsyncIterator[Backend]:
    """Run a backend until the test is over."""
    journal = Journal()
    supervisor = Supervisor(
        plan_of(*components, **changes), journal, lambda: (host_of, Probes(supervisor.submit))
    )
    the_host = host(supervisor.submit, behaviours)

    def host_of(_name: str) -> Host:
        return the_host

    ended = asyncio.get_running_loop().create_task(supervisor.run())
    try:
        await asyncio.sleep(0)  # the task begins
        yield Backend(supervisor, Control(supervisor), the_host, journal, ended)
    finally:
        supervisor.submit(ShutdownForced("the test is over"))
        await asyncio.wait_for(ended, PATIENCE)
