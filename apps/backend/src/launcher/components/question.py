"""Readiness that the component's own code answers: a function that is called on its loop, or, when it may block, beside it."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import cast

from launcher.components.blame import told
from launcher.components.resolve import ResolveError, accepts, kind_of, resolve
from launcher.model.answers import Answer

SHAPES = "name a function without parameters, plain or async: its component is ready when it returns anything true, or nothing"


class Question:
    """A function that is asked again and again, by one asking at a time.

    Args:
        target: ``module:attribute``, imported now.

    Raises:
        ResolveError: there is no such thing, or it cannot be called without arguments.
    """

    def __init__(self, target: str) -> None:
        try:
            found = resolve(target)
        except ResolveError as error:
            raise ResolveError(
                f"ready: {error.message}", hint=error.hint, traceback=error.traceback
            ) from None
        if inspect.isclass(found) or not callable(found):
            raise ResolveError(f"ready: {target} is {kind_of(found)}, not a function", hint=SHAPES)
        if not accepts(found, 0):
            raise ResolveError(f"ready: {target} needs arguments, but is called without any", hint=SHAPES)
        self._target = target
        self._function = cast("Callable[[], object]", found)
        self._blocking_since: float | None = None

    async def ask(self, timeout: float) -> Answer:
        """Return what the function answers within ``timeout`` seconds; what it raises is an answer, too.

        A plain function runs in the executor of the loop. While one call of it does not return, no other is begun: each would cost a thread.
        """
        began = time.monotonic()
        if self._blocking_since is not None:
            return Answer(
                False, 0.0, f"{self._target} has not returned for {began - self._blocking_since:.0f} s"
            )
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                result = await self._result()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (not even SystemExit: whoever is asked does not decide about the end)
            late = isinstance(error, TimeoutError) and limit.expired()
            reason = f"{self._target} did not answer within {timeout:g} s" if late else told(error)
            return Answer(False, time.monotonic() - began, reason)
        ok = result is None or bool(result)
        return Answer(ok, time.monotonic() - began, "" if ok else f"{self._target} returned {result!r:.100}")

    async def _result(self) -> object:
        if inspect.iscoroutinefunction(self._function):
            return await self._function()
        result = await asyncio.get_running_loop().run_in_executor(None, self._call)
        return await result if isinstance(result, Awaitable) else result

    def _call(self) -> object:
        self._blocking_since = time.monotonic()
        try:
            return self._function()
        finally:
            self._blocking_since = None
