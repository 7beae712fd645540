"""The service manager is told each thing once, and gets signs of life."""

from __future__ import annotations

import asyncio

import pytest

from launcher.model.events import Event, Exited, Launched, ShutdownRequested, StartAllRequested, Started
from launcher.supervisor import announce
from launcher.supervisor.announce import Announcer
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import CRASH, component, plan_of
from tests.launcher.unit.supervisor.backend import PATIENCE, view_of


async def test_each_thing_is_told_once() -> None:
    """Only lines that are new are sent: ready is not repeated when something fails later, and what changes nothing is not sent."""
    told: list[str] = []

    def take(lines: str) -> bool:
        told.append(lines)
        return True

    announcer = Announcer(take)
    fleet = FleetRunner(plan_of(component("api")))

    def tell(*events: Event) -> None:
        for event in events:
            fleet.send(event)
            announcer.follow(view_of(fleet))

    tell(StartAllRequested(), Launched("api", 1, 1), Started("api", 1), Exited("api", 1, CRASH))
    tell(ShutdownRequested("SIGTERM"), ShutdownRequested("again"))
    announcer.close()
    assert told == [
        "STATUS=starting: 0 of 1 ready; api is starting",
        "READY=1\nSTATUS=up: 1 of 1 ready",
        "STATUS=degraded: 0 of 1 ready; api is backoff",
        "STOPPING=1\nSTATUS=stopping: SIGTERM",
    ]


async def test_what_cannot_be_told_now_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager that is slow to read misses nothing that still holds, and a state that has passed is not told late."""
    monkeypatch.setattr(announce, "AGAIN", 0.01)
    tries: asyncio.Queue[str] = asyncio.Queue()
    answers = iter([False, False, False, True])

    def tell(lines: str) -> bool:
        tries.put_nowait(lines)
        return next(answers)

    announcer = Announcer(tell)
    fleet = FleetRunner(plan_of(component("api")))
    fleet.send(StartAllRequested())
    announcer.follow(view_of(fleet))
    fleet.send(Launched("api", 1, 1), Started("api", 1))
    announcer.follow(view_of(fleet))
    async with asyncio.timeout(PATIENCE):
        seen = [await tries.get() for _ in range(4)]
    assert seen[0].startswith("STATUS=starting")
    assert seen[1:] == ["READY=1\nSTATUS=up: 1 of 1 ready"] * 3
    announcer.close()


async def test_signs_of_life_until_the_end() -> None:
    """They come again and again while the loop turns, and no more after the end."""
    signs: asyncio.Queue[str] = asyncio.Queue()

    def take(lines: str) -> bool:
        signs.put_nowait(lines)
        return True

    announcer = Announcer(take, watchdog=0.02)
    fleet = FleetRunner(plan_of(component("api")))
    for _ in range(2):  # a second look does not begin a second series
        announcer.follow(view_of(fleet))
    async with asyncio.timeout(PATIENCE):
        assert (await signs.get()).startswith("STATUS=")
        assert [await signs.get() for _ in range(3)] == ["WATCHDOG=1"] * 3
    announcer.close()
    while not signs.empty():
        signs.get_nowait()
    await asyncio.sleep(0.05)  # longer than two signs would take
    assert signs.empty()
