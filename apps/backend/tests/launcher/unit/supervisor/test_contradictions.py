"""Commands that contradict each other, from several clients at once: each gets an answer, and the last one decides."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.core.replicas import replicas_of
from launcher.errors import CommandFailed
from launcher.model.spec import Kind
from launcher.model.state import AT_REST, Desired, Phase
from launcher.testing import Behaviour, FakeHost
from tests.launcher.unit.core.plans import STOPPED, component
from tests.launcher.unit.supervisor.backend import PATIENCE, Backend, running

SLOW = [Behaviour(starts=False, obeys_stop=False)]
"""Starts and ends when the test says so."""

LATE = [Behaviour(), *SLOW]
"""The same, but for the first incarnation, whose start is no part of the test."""


def begun(command: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Begin a command."""
    return asyncio.ensure_future(command)


async def told(command: asyncio.Task[None]) -> str:
    """Return what a command that was overtaken says; it says so at once, and not after its time is over."""
    with pytest.raises(CommandFailed) as caught:
        await asyncio.wait_for(command, PATIENCE / 2)
    return caught.value.message


async def test_a_stop_that_is_overtaken_by_a_start() -> None:
    """The component comes up again: whoever waits for it to be stopped is told, and not left to wait."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        await backend.until_phase("api", Phase.READY)
        stop = begun(backend.control.stop("api", PATIENCE))
        await backend.until_phase("api", Phase.STOPPING)
        start = begun(backend.control.start("api", PATIENCE))
        assert await told(stop) == "api is not stopped: it was asked to start meanwhile"
        backend.host.end("api", STOPPED)
        await asyncio.wait_for(start, PATIENCE)
        assert backend.state("api").incarnation == 2


async def test_a_start_that_is_overtaken_by_a_stop() -> None:
    """Whoever waits for it to be ready is told when nothing of it is left."""
    async with running(component("api"), component("db"), behaviours={"api": LATE}) as backend:
        await backend.until_phase("api", Phase.READY)
        await backend.control.stop("api", PATIENCE)
        start = begun(backend.control.start("api", PATIENCE))
        await backend.until_phase("api", Phase.STARTING)
        stop = begun(backend.control.stop("api", PATIENCE))
        await backend.until_phase("api", Phase.STOPPING)
        backend.host.end("api", STOPPED)
        await asyncio.wait_for(stop, PATIENCE)
        assert await told(start) == "api is not ready: it is stopped (stopped)"


async def test_a_restart_that_is_overtaken_by_a_stop() -> None:
    """As with a start."""
    async with running(component("api"), component("db"), behaviours={"api": LATE}) as backend:
        await backend.until_phase("api", Phase.READY)
        restart = begun(backend.control.restart("api", PATIENCE))
        await backend.until_phase("api", Phase.STARTING, 2)
        stop = begun(backend.control.stop("api", PATIENCE))
        await backend.until_phase("api", Phase.STOPPING)
        backend.host.end("api", STOPPED)
        await asyncio.wait_for(stop, PATIENCE)
        assert (await told(restart)).startswith("api is not ready: it is stopped")


async def test_restarts_at_once_share_what_comes() -> None:
    """Two clients that restart the same component both get a new incarnation, and neither waits for one that never comes."""
    async with running(component("api"), behaviours={"api": LATE}) as backend:
        await backend.until_phase("api", Phase.READY)
        restarts = [begun(backend.control.restart("api", PATIENCE)) for _ in range(3)]
        await backend.until(lambda fleet: fleet.components["api"].phase is not Phase.READY)
        drive = begun(driven(backend))
        await asyncio.wait_for(asyncio.gather(*restarts), PATIENCE)
        drive.cancel()
        assert backend.state("api").phase is Phase.READY


async def test_a_scale_that_is_overtaken_by_another() -> None:
    """The number of the later one stands; whoever waits for the earlier is told."""
    behaviours = {"api": [Behaviour()], "api.2": SLOW, "api.3": SLOW}
    async with running(component("api", kind=Kind.AGENT), behaviours=behaviours) as backend:
        await backend.until_phase("api", Phase.READY)
        first = begun(backend.control.scale("api", 3, PATIENCE))
        await backend.until(lambda fleet: "api.3" in fleet.components)
        second = begun(backend.control.scale("api", 1, PATIENCE))
        assert await told(first) == "api is not scaled to 3: it was scaled to 1 meanwhile"
        drive = begun(driven(backend))
        await asyncio.wait_for(second, PATIENCE)
        drive.cancel()


async def driven(backend: Backend, turns: int = 1) -> None:
    """Let everything go on that was launched or asked to stop, some turns of the loop later."""
    host = backend.host
    started: set[tuple[str, int]] = set()
    while True:
        for _ in range(turns):
            await asyncio.sleep(0)
        for name, number in list(host.lives):
            if ("request_stop", name, number) in host.calls or ("kill", name, number) in host.calls:
                FakeHost.end(host, name, STOPPED, number)
            elif (name, number) not in started and host.alive[name] == number:
                started.add((name, number))
                host.start(name)


COMMANDS = st.lists(
    st.tuples(
        st.integers(0, 6), st.sampled_from(["start", "stop", "restart", "scale 1", "scale 2", "scale 3"])
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(COMMANDS, st.booleans(), st.integers(1, 4))
def test_no_command_is_left_waiting(commands: list[tuple[int, str]], overlap: bool, turns: int) -> None:
    """Whatever several clients ask for and whenever, each command ends long before its time is over, and the last one decides."""

    async def run() -> None:
        api = component("api", overlap=overlap)
        async with running(
            api, component("db"), behaviours=dict.fromkeys(("api", "api.2", "api.3"), SLOW)
        ) as backend:
            drive = begun(driven(backend, turns))
            await backend.until_phase("api", Phase.READY)
            asked = []
            for delay, words in commands:
                for _ in range(delay):
                    await asyncio.sleep(0)
                verb, _, number = words.partition(" ")
                arguments = (int(number),) if number else ()
                asked.append(begun(getattr(backend.control, verb)("api", *arguments, PATIENCE)))
            for one in asked:
                with suppress(
                    CommandFailed
                ):  # overtaken; a WaitTimeout would be a command that was forgotten
                    await asyncio.wait_for(one, PATIENCE / 2)
            await backend.until(lambda fleet: all(calm(state.phase) for state in fleet.components.values()))
            # A wish for so many replicas is one for each of them to be up.
            assert backend.state("api").desired is (Desired.DOWN if commands[-1][1] == "stop" else Desired.UP)
            scales = [words for _, words in commands if words.startswith("scale")]
            if scales:
                present = set(replicas_of("api", backend.supervisor.plan.components))
                assert len(present) == int(scales[-1].split()[1])
            drive.cancel()

    asyncio.run(run())


def calm(phase: Phase) -> bool:
    return phase is Phase.READY or phase in AT_REST
