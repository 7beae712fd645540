"""Looks at what runs, on loops that answer when the test lets them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import pytest

from launcher.components.identity import Identity
from launcher.core.view import View
from launcher.hosts.pulse import Pulse
from launcher.hosts.tree import Family
from launcher.model.events import Launched, StartAllRequested, Started
from launcher.model.logs import LOST, LogLine, Stream
from launcher.model.usage import Part, Usage
from launcher.observe.usage import Meter
from launcher.supervisor import observer
from launcher.supervisor.observer import Observer
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import component, plan_of
from tests.launcher.unit.supervisor.backend import view_of

PATIENCE = 20.0
"""Seconds for which something is awaited that comes at once."""


class Loop:
    """A loop elsewhere: keeps the questions, and answers when it is told to."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.questions: list[int] = []
        self.asked = asyncio.Event()
        self.pulse = Pulse(self._ask)

    def _ask(self, number: int) -> bool:
        if self.there:
            self.questions.append(number)
            self.asked.set()
        return self.there

    def answer(self, at: float, **left: list[str]) -> None:
        self.pulse.answer(self.questions[-1], at, left)


class Nobody:
    """A host without processes."""

    def families(self) -> Mapping[Identity, Family]:
        return {}


def fleet() -> FleetRunner:
    runner = FleetRunner(plan_of(component("db")))
    runner.send(StartAllRequested(), Launched("db", 1, 41), Started("db", 1))
    return runner


def observing(loop: Loop, runner: FleetRunner | None = None) -> Observer:
    fleet_runner = runner or fleet()
    made = Observer(lambda: view_of(fleet_runner), 0, dict)
    made.attach((Nobody(),), lambda: {Identity("db", 1): loop.pulse}, None, None)
    return made


def usage(view: View) -> Usage:
    assert view.usage is not None
    return view.usage


async def test_a_loop_that_answers() -> None:
    """The lag is the time from the question to the moment at which the loop came to it, whenever that is read."""
    loop = Loop()
    looking = asyncio.create_task(observing(loop).look(PATIENCE))
    await loop.asked.wait()
    asked = asyncio.get_running_loop().time()
    loop.answer(asked + 5.0, db=["task x"])
    beat = usage(await looking).beats["db", 1]
    assert beat.answered
    assert beat.lag == pytest.approx(5.0, abs=1.0)
    assert beat.tasks == ("task x",)


async def test_a_question_stays_open_until_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that does not answer is asked once, however often somebody looks; afterwards it is asked again."""
    monkeypatch.setattr(observer, "FRESH", 0.0)
    loop = Loop()
    seen = observing(loop)
    first = usage(await seen.look(0.0)).beats["db", 1]
    second = usage(await seen.look(0.0)).beats["db", 1]
    assert (first.answered, second.answered) == (False, False)
    assert second.lag > first.lag
    assert loop.questions == [1]
    loop.answer(0.0)
    await seen.look(0.0)
    assert loop.questions == [1, 2]


async def test_an_answer_to_another_question_is_none() -> None:
    """What answers twice, or something that was never asked, changes nothing."""
    loop = Loop()
    seen = observing(loop)
    await seen.look(0.0)
    loop.pulse.answer(7, 0.0, {})
    assert not usage(await seen.look(0.0)).beats["db", 1].answered
    loop.answer(0.0)
    loop.answer(1e9)
    beat = loop.pulse.beat("db", 0.0)
    assert beat is not None
    assert beat.lag == 0.0


async def test_whoever_looks_shortly_after_another_wakes_nobody() -> None:
    """Within two seconds an answer is good enough for all, but for who asks whether a loop is blocked."""
    loop = Loop()
    seen = observing(loop)
    await seen.look(0.0)
    loop.answer(0.0)
    assert usage(await seen.look(0.0)).beats["db", 1].answered
    assert loop.questions == [1]
    looking = asyncio.create_task(seen.look(PATIENCE))
    loop.asked.clear()
    await loop.asked.wait()
    loop.answer(0.0)
    await looking
    assert loop.questions == [1, 2]


async def test_where_there_is_no_loop_yet_nothing_is_told() -> None:
    """A process that still imports has no loop, and nobody waits for it."""
    assert usage(await observing(Loop(there=False)).look(PATIENCE)).beats == {}


async def test_processes_are_read_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the same time, and shortly after one another, share one reading; the next one comes when that is old."""
    readings = 0
    read = Meter.look

    def counted(self: Meter, households: Any) -> Any:
        nonlocal readings
        readings += 1
        return read(self, households)

    monkeypatch.setattr(Meter, "look", counted)
    seen = observing(Loop(there=False))
    views = await asyncio.gather(*(seen.look(0.0) for _ in range(10)))
    await seen.look(0.0)
    assert readings == 1
    assert {usage(view).families for view in views} == {usage(views[0]).families}
    monkeypatch.setattr(observer, "FRESH", 0.0)
    await seen.look(0.0)
    assert readings == 2


async def test_whoever_gives_up_does_not_take_the_reading_from_others() -> None:
    """A client that leaves in the middle of a look costs the others nothing."""
    seen = observing(Loop(there=False))
    leaving = asyncio.create_task(seen.look(0.0))
    staying = asyncio.create_task(seen.look(0.0))
    await asyncio.sleep(0)
    leaving.cancel()
    families = usage(await staying).families
    assert [(each.part, each.pid) for each in families] == [(Part.LAUNCHER, os.getpid())]


async def test_at_rest_nothing_is_scheduled() -> None:
    """Between two looks no timer is armed and no task runs: a launcher that nobody asks does not wake up."""
    loop = Loop()
    await observing(loop).look(0.0)
    timers: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert [timer for timer in timers if not timer.cancelled()] == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_lost_lines_are_counted() -> None:
    """What a host says it had to drop is counted; a line of a component with a field of that name is not."""
    seen = observing(Loop(there=False))
    seen.on_line(LogLine(0.0, "db", Stream.LAUNCHER, "3 lines were dropped", extra={LOST: 3}))
    seen.on_line(LogLine(0.0, "db", Stream.LOG, "mine", extra={LOST: 5}))
    assert usage(await seen.look(0.0)).lost_lines == {"pipe": 3}


async def test_what_cannot_be_read_does_not_keep_the_state_from_being_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A system that shows something odd about its processes costs the figures, never the answer."""

    def odd(_meter: Meter, _households: Any) -> Any:
        raise ValueError("odd")

    monkeypatch.setattr(Meter, "look", odd)
    seen = await observing(Loop(there=False)).look(0.0)
    assert usage(seen).families == ()
    assert "cannot read what the processes cost" in caplog.text
