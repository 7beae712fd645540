"""Named timers on a real loop."""

from __future__ import annotations

import asyncio

import pytest

from launcher.model.effects import SetTimer, Timer
from launcher.model.events import (
    BackoffOver,
    DependencyDeadline,
    Event,
    GraceOver,
    ShutdownDeadline,
    StartDeadline,
)
from launcher.supervisor.timers import Timers, fired
from tests.launcher.unit.supervisor.backend import PATIENCE

LONG = 600.0


@pytest.fixture
def inbox() -> asyncio.Queue[Event]:
    """Where the events of the timers go."""
    return asyncio.Queue()


@pytest.fixture
async def timers(inbox: asyncio.Queue[Event]) -> Timers:
    """Timers on the loop of the test."""
    return Timers(asyncio.get_running_loop(), inbox.put_nowait)


@pytest.mark.parametrize(
    ("timer", "event"),
    [
        (Timer.START, StartDeadline("api", 3)),
        (Timer.GRACE, GraceOver("api", 3)),
        (Timer.BACKOFF, BackoffOver("api", 3)),
        (Timer.DEPENDENCY, DependencyDeadline("api")),
        (Timer.SHUTDOWN, ShutdownDeadline()),
    ],
)
def test_each_timer_stands_for_an_event(timer: Timer, event: Event) -> None:
    """The event carries the name and the incarnation that the timer was armed for."""
    assert fired(SetTimer(timer, "api", 3, 1.0)) == event


async def test_timers_fire_in_order(timers: Timers, inbox: asyncio.Queue[Event]) -> None:
    """The shorter delay comes first, whichever was armed first."""
    timers.set(SetTimer(Timer.GRACE, "api", 1, 0.2))
    timers.set(SetTimer(Timer.START, "api", 1, 0.0))
    async with asyncio.timeout(PATIENCE):
        assert [await inbox.get(), await inbox.get()] == [StartDeadline("api", 1), GraceOver("api", 1)]


async def test_a_timer_replaces_its_predecessor(timers: Timers, inbox: asyncio.Queue[Event]) -> None:
    """One of each kind, name and incarnation is armed; others are left alone."""
    timers.set(SetTimer(Timer.GRACE, "api", 1, 0.0))
    timers.set(SetTimer(Timer.GRACE, "db", 1, 0.0))
    timers.set(SetTimer(Timer.GRACE, "api", 2, 0.01))
    timers.set(SetTimer(Timer.GRACE, "api", 1, 0.02))
    async with asyncio.timeout(PATIENCE):
        assert [await inbox.get() for _ in range(3)] == [
            GraceOver("db", 1),
            GraceOver("api", 2),
            GraceOver("api", 1),
        ]
    assert inbox.empty()


async def test_a_disarmed_timer_is_silent(timers: Timers, inbox: asyncio.Queue[Event]) -> None:
    """Disarming one leaves the others, and disarming what is not armed is no error."""
    timers.set(SetTimer(Timer.GRACE, "api", 1, 0.0))
    timers.set(SetTimer(Timer.START, "api", 1, 0.01))
    timers.cancel(Timer.GRACE, "api", 1)
    timers.cancel(Timer.GRACE, "api", 2)
    timers.cancel(Timer.GRACE, "nobody")
    async with asyncio.timeout(PATIENCE):
        assert await inbox.get() == StartDeadline("api", 1)
    assert inbox.empty()


async def test_a_timer_may_be_armed_again_after_it_fired(timers: Timers, inbox: asyncio.Queue[Event]) -> None:
    """What has fired is forgotten."""
    for incarnation in (1, 2):
        timers.set(SetTimer(Timer.GRACE, "api", incarnation, 0.0))
        async with asyncio.timeout(PATIENCE):
            assert await inbox.get() == GraceOver("api", incarnation)


async def test_closing_disarms_all(timers: Timers, inbox: asyncio.Queue[Event]) -> None:
    """After the end nothing fires any more."""
    timers.set(SetTimer(Timer.GRACE, "api", 1, 0.0))
    timers.set(SetTimer(Timer.SHUTDOWN, "", 0, LONG))
    timers.close()
    Timers(asyncio.get_running_loop(), inbox.put_nowait).set(SetTimer(Timer.BACKOFF, "db", 1, 0.0))
    async with asyncio.timeout(PATIENCE):
        assert await inbox.get() == BackoffOver("db", 1)
    assert inbox.empty()
