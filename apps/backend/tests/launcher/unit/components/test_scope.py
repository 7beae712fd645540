"""Whose task it is, and who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from launcher.components import scope as scopes
from launcher.components.identity import CURRENT, IN_REQUEST, Identity
from launcher.components.scope import Death, Scope, Scopes, described

ME = Identity("me", 1)


@pytest.fixture
async def deaths(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Death]]:
    """A scope around the test itself; the deaths it notices."""
    monkeypatch.setattr(scopes, "SETTLE", 0.05)
    loop = asyncio.get_running_loop()
    found: list[Death] = []
    all_scopes = Scopes()
    all_scopes.install(loop)
    all_scopes.open(ME, Scope(loop, found.append))
    yield found
    loop.set_task_factory(None)


async def fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("boom")


async def tick() -> None:
    """Let every judgement that is due be made."""
    await asyncio.sleep(0.2)


async def wait_for_it(task: asyncio.Task[None]) -> None:
    with suppress(ValueError):
        await asyncio.wait_for(task, 5)


async def shield_it(task: asyncio.Task[None]) -> None:
    with suppress(ValueError):
        await asyncio.shield(task)


async def group_it(_task: asyncio.Task[None]) -> None:
    _task.cancel()
    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())


async def gather_it(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, asyncio.sleep(0.2), return_exceptions=True)


async def wait_all(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task, asyncio.create_task(asyncio.sleep(0.2))])
    task.exception()


async def await_late(task: asyncio.Task[None]) -> None:
    await asyncio.sleep(0.01)
    with suppress(ValueError):
        await task


@pytest.mark.parametrize("waiter", [wait_for_it, shield_it, group_it, gather_it, wait_all, await_late])
async def test_somebody_waits(
    deaths: list[Death], waiter: Callable[[asyncio.Task[None]], Awaitable[None]]
) -> None:
    """An exception that somebody takes, or will take, is no death."""
    CURRENT.set(ME)
    await waiter(asyncio.create_task(fails()))
    await tick()
    assert deaths == []


async def test_nobody_waits(deaths: list[Death]) -> None:
    """Bookkeeping callbacks and references do not count as waiting."""
    CURRENT.set(ME)
    kept: set[asyncio.Task[None]] = set()

    async def fails_later() -> None:
        await asyncio.sleep(0.02)
        await fails()

    task = asyncio.create_task(fails_later(), name="kept")
    kept.add(task)
    task.add_done_callback(lambda _task: None)
    task.add_done_callback(kept.discard)
    await asyncio.wait([task], timeout=0)  # somebody has waited, but gave up
    await tick()
    (death,) = deaths
    assert "task 'kept' (" in death.what
    assert "ValueError: boom" in death.what
    assert not death.vital


async def test_requests_are_their_own_business(deaths: list[Death]) -> None:
    """A task that a request has started does not count."""
    CURRENT.set(ME)
    IN_REQUEST.set(True)
    task = asyncio.create_task(fails())
    await tick()
    assert deaths == []
    assert isinstance(task.exception(), ValueError)


async def test_tasks_of_others_do_not_count(deaths: list[Death]) -> None:
    """A task belongs to the context it was created in."""
    CURRENT.set(Identity("other", 1))
    task = asyncio.create_task(fails())
    await tick()
    assert deaths == []
    assert isinstance(task.exception(), ValueError)


async def test_descriptions_name_the_line(deaths: list[Death]) -> None:
    """A task is described by the innermost line of the user's own code that it waits in."""

    async def outer() -> None:
        await inner()

    async def inner() -> None:
        await asyncio.sleep(3600)

    task = asyncio.create_task(outer(), name="t")
    await asyncio.sleep(0)
    line = inner.__code__.co_firstlineno + 1
    assert described(task).startswith("task 't' (test_descriptions_name_the_line.<locals>.outer, at ")
    assert described(task).endswith(f"test_scope.py:{line})")
    task.cancel()
