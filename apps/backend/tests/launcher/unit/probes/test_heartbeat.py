"""The watch over an event loop: how many beats without a sign of life are too many, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from launcher.model.answers import Answer
from launcher.model.events import Event, LivenessBack, LivenessLost
from launcher.probes.runner import Probes
from tests.launcher.unit.core.plans import component

PATIENCE = 20.0
"""Seconds after which a test gives up."""

WORKER = component("worker", heartbeat=0.03)


class Loop:
    """Stands for the process of a component: its loop turns or does not, as a test wants it."""

    def __init__(self) -> None:
        self.turns = True
        self.pings: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
        self.pending: list[asyncio.Future[None]] = []

    def check(self, component: str, incarnation: int, timeout: float) -> asyncio.Future[Answer]:
        raise AssertionError("nobody asks")

    def ping(self, component: str, incarnation: int) -> asyncio.Future[None]:
        ping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.turns:
            ping.set_result(None)
        self.pending.append(ping)
        self.pings.put_nowait(ping)
        return ping

    def blocking(self, component: str) -> str:
        return "other at jobs.py:3 (work)"

    def turn(self) -> None:
        self.turns = True
        self.pending[-1].set_result(None)


@asynccontextmanager
async def watched(loop: Loop) -> AsyncIterator[asyncio.Queue[Event]]:
    """Watch a worker until the block is over."""
    told: asyncio.Queue[Event] = asyncio.Queue()
    probes = Probes(told.put_nowait, inside=loop)
    probes.listen(WORKER, 4)
    try:
        yield told
    finally:
        await probes.close()


def test_a_loop_that_stops_turning_is_told_once_and_so_is_its_return() -> None:
    """After the declared time without a sign of life it is told who is in the way; with the next sign, that it is over."""

    async def scenario() -> None:
        loop = Loop()
        async with watched(loop) as told:
            for _ in range(3):
                await asyncio.wait_for(loop.pings.get(), PATIENCE)
            assert told.empty()
            loop.turns = False
            lost = await asyncio.wait_for(told.get(), PATIENCE)
            assert lost == LivenessLost(
                "worker", 4, "its event loop has not turned for 0.03 s: blocked by other at jobs.py:3 (work)"
            )
            loop.turn()
            assert await asyncio.wait_for(told.get(), PATIENCE) == LivenessBack("worker", 4)
            for _ in range(3):
                await asyncio.wait_for(loop.pings.get(), PATIENCE)
            assert told.empty()

    asyncio.run(scenario())


def test_only_one_ping_is_on_its_way() -> None:
    """A loop that does not turn is not sent ping after ping, which it would have to answer all at once."""

    async def scenario() -> None:
        loop = Loop()
        loop.turns = False
        async with watched(loop) as told:
            await asyncio.wait_for(told.get(), PATIENCE)
            assert len(loop.pending) == 1

    asyncio.run(scenario())


def test_a_pause_of_the_watch_itself_is_no_hang() -> None:
    """When the launcher's own loop stood still, one beat has passed, however long it was."""

    async def scenario() -> None:
        loop = Loop()
        async with watched(loop) as told:
            await asyncio.wait_for(loop.pings.get(), PATIENCE)
            loop.turns = False
            await asyncio.wait_for(loop.pings.get(), PATIENCE)
            # As long as ten heartbeats nobody could have seen an answer.
            deadline = asyncio.get_running_loop().time() + 10 * WORKER.heartbeat
            while asyncio.get_running_loop().time() < deadline:
                pass
            loop.turn()
            for _ in range(3):
                await asyncio.wait_for(loop.pings.get(), PATIENCE)
            assert told.empty()

    asyncio.run(scenario())


def test_nobody_is_watched_after_the_stop() -> None:
    """Once it is asked to stop, its loop may do as it likes."""

    async def scenario() -> None:
        loop = Loop()
        loop.turns = False
        told: list[Event] = []
        probes = Probes(told.append, inside=loop)
        probes.listen(WORKER, 4)
        await asyncio.wait_for(loop.pings.get(), PATIENCE)
        probes.stop("worker", 4)
        other = Loop()
        other.turns = False
        async with watched(other) as again:
            await asyncio.wait_for(again.get(), PATIENCE)
        assert told == []
        await probes.close()

    asyncio.run(scenario())
