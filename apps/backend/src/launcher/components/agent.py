"""An agent: a coroutine function, or an object with ``start()`` and ``stop()``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from launcher.components.context import RunContext
from launcher.components.resolve import ResolveError, accepts, called, kind_of
from launcher.components.scope import ComponentTask

START_SETTLE = 1.0
"""Seconds after which a ``start()`` that has not returned counts as one that runs for ever, unless there is a ``wait()``."""

STOP_SETTLE = 1.0
"""Seconds that a ``start()`` which runs for ever has to return after ``stop()``, before it is cancelled."""

Step = Callable[[], object]

SHAPES = "an agent is an `async def` without parameters, or a class or object with start() and stop()"


def require_agent(target: str, found: object, *, factory: bool = False) -> object:
    """Return ``found`` if it can be run as an agent.

    Raises:
        ResolveError: it cannot.
    """
    if factory:
        return found
    if not (_is_coroutine_function(found) or callable(getattr(found, "start", None))):
        hint = SHAPES
        if inspect.isroutine(found):
            hint += (
                "; a function that blocks is run by `command`, one that returns the agent by `factory = true`"
            )
        raise ResolveError(f"{target} is not an agent but {kind_of(found)}", hint=hint)
    if (
        callable(found)
        and (_is_coroutine_function(found) or inspect.isclass(found))
        and not accepts(found, 0)
    ):
        raise ResolveError(f"{target} needs arguments, but an agent is called without any", hint=SHAPES)
    return found


async def run(context: RunContext, target: str, found: object) -> None:
    """Run an agent until it returns or is asked to stop.

    Raises:
        ResolveError: a factory returned something else than an agent.
        BaseException: whatever the agent raises.
    """
    if context.spec.factory:
        found = require_agent(target, called(target, found))
    if _is_coroutine_function(found):
        await _run_coroutine(context, found)
        return
    agent = found() if inspect.isclass(found) else found
    await run_object(
        context,
        start=agent.start,  # type: ignore[attr-defined]  # checked by `require_agent`
        stop=getattr(agent, "stop", None),
        wait=_waiter(agent),
    )


def _is_coroutine_function(found: Any) -> bool:
    if inspect.isclass(found):
        return False
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None))  # noqa: B004


def _waiter(agent: object) -> Step | None:
    """Return ``agent.wait`` if it says how the agent ended: a coroutine function without parameters."""
    wait = getattr(agent, "wait", None)
    return wait if inspect.iscoroutinefunction(wait) and accepts(wait, 0) else None


async def _run_coroutine(context: RunContext, function: Any) -> None:
    work = asyncio.ensure_future(function())
    await asyncio.sleep(0)  # it runs to its first suspension, or to its end
    if not work.done():
        context.ready()
    if await _first(work, context.stopping):
        work.cancel()
        await asyncio.wait((work,))
        if work.cancelled():
            return
    work.result()


async def run_object(context: RunContext, start: Step, stop: Step | None, wait: Step | None) -> None:
    """Run something that is started and stopped, by functions that may be plain or async.

    ``start`` may return and leave tasks behind, or run for as long as the agent does. Where ``wait`` is given, it says when and how the agent
    ended; otherwise it has ended when all tasks that ``start`` left behind have.
    """
    earlier = set(context.scope.pending())
    starting = asyncio.ensure_future(_step(start))
    asked = await _first(starting, context.stopping, timeout=None if wait else START_SETTLE)
    if starting.done():
        starting.result()
    if not asked:
        context.ready()
        await _work(context, starting, earlier, wait)
    if stop is None:
        starting.cancel()
    else:
        await _step(stop)
    await _settled(starting)


async def _work(
    context: RunContext, starting: asyncio.Future[object], earlier: set[ComponentTask], wait: Step | None
) -> None:
    """Return when the agent has ended or is to stop."""
    if not starting.done() and await _first(starting, context.stopping):
        return
    starting.result()
    left = [task for task in context.scope.pending() if task not in earlier and not task.cancelling()]
    context.scope.watch_closely(left)
    if wait is not None:
        ending = asyncio.ensure_future(_step(wait))
    elif left:
        ending = asyncio.ensure_future(context.scope.all_done(left))
    else:
        await context.stopping.wait()
        return
    if await _first(ending, context.stopping):
        ending.cancel()
        await asyncio.wait((ending,))
    else:
        ending.result()


async def _step(function: Step) -> object:
    """Call a plain or async function."""
    result = function()
    return await result if isinstance(result, Awaitable) else result


async def _first(work: asyncio.Future[Any], stopping: asyncio.Event, timeout: float | None = None) -> bool:
    """Wait until the work is done, the request to stop arrives, or the time is over; return whether to stop."""
    asked = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((work, asked), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
    return stopping.is_set() and not work.done()


async def _settled(starting: asyncio.Future[object]) -> None:
    if not starting.done():
        await asyncio.wait((starting,), timeout=STOP_SETTLE)
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
    if not starting.cancelled():
        starting.result()
