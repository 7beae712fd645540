"""Every task of a component: known by name, missed when it dies, gone when the component is over.

asyncio reports a dead task only when nobody holds it any more, which for ``self.task = create_task(...)`` is never. Here each task belongs to
the life that created it, and a death that nobody waits for is noticed.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context
from dataclasses import dataclass
from types import CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any
from weakref import WeakSet

from launcher.components.blame import frame_place, is_own, told
from launcher.components.identity import CURRENT, IN_REQUEST, NOBODY, Identity

SETTLE = 0.5
"""Seconds that a dead task's exception may stay untaken before it counts as unnoticed: `await first; await second` takes the second's late."""

_WAITING_MODULES = ("asyncio.", "uvloop.", "anyio.", "launcher.")


class ComponentTask(asyncio.Task[Any]):
    """A task that knows whether somebody waits for its result.

    Attributes:
        awaiters: how many tasks, ``gather``, ``wait``, task groups and the like will look at its outcome.
        identity: the life it belongs to.
        in_request: created while answering a request, so it is that request's business.
    """

    __slots__ = ("awaiters", "identity", "in_request")

    def __init__(
        self,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        identity: Identity,
        in_request: bool,
        **options: Any,
    ) -> None:
        self.awaiters = 0
        self.identity = identity
        self.in_request = in_request
        super().__init__(coro, **options)

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        """Add a callback; `await` comes this way too."""
        self.awaiters += _awaits(fn)
        super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Remove a callback."""
        removed = super().remove_done_callback(fn)
        self.awaiters -= removed * _awaits(fn)
        return removed

    def watch(self, fn: Callable[[ComponentTask], object]) -> None:
        """Add a callback that does not count as waiting."""
        super().add_done_callback(fn)


def _awaits(callback: Callable[..., object]) -> bool:
    """Whether a done callback is the wake-up of somebody who waits, and not bookkeeping such as ``tasks.discard``."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    if isinstance(getattr(callback, "__self__", None), asyncio.Task):
        return True
    return f"{getattr(callback, '__module__', None)}.".startswith(_WAITING_MODULES)


@dataclass(frozen=True, slots=True)
class Death:
    """A task ended with an exception that nobody took.

    Attributes:
        what: which task, and of what, for people.
        vital: the component cannot be what it is without that task, whatever its policy.
    """

    what: str
    error: BaseException
    vital: bool = False


class Scope:
    """The tasks of one life.

    Args:
        on_death: told of each task that ended with an exception which nobody waits for or took within `SETTLE` seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_death: Callable[[Death], None]) -> None:
        self._loop = loop
        self._on_death = on_death
        self._tasks: WeakSet[ComponentTask] = WeakSet()
        self._mains: WeakSet[ComponentTask] = WeakSet()

    def adopt(self, task: ComponentTask) -> None:
        """Take a new task in."""
        self._tasks.add(task)
        task.watch(self._done)

    def pending(self) -> list[ComponentTask]:
        """Return the tasks that are not done, without the one that asks."""
        asking = asyncio.current_task(self._loop)
        return [task for task in self._tasks if task is not asking and not task.done()]

    def watch_closely(self, tasks: list[ComponentTask]) -> None:
        """Let the death of these tasks count at once: they are what the component is there for."""
        self._mains.update(tasks)

    async def all_done(self, tasks: Sequence[ComponentTask]) -> None:
        """Return when all of these tasks are done, without counting as somebody who looks at their outcome.

        Raises:
            BaseException: what the first of them that failed ended with.
        """
        done = asyncio.Event()

        def look(_task: ComponentTask) -> None:
            if all(task.done() for task in tasks):
                done.set()

        for task in tasks:
            task.watch(look)
        await done.wait()
        errors = [error for error in map(outcome, tasks) if error is not None]
        if errors:
            raise errors[0]

    def died(self, what: str, error: BaseException) -> None:
        """Report a death that was noticed elsewhere."""
        self._on_death(Death(what, error))

    def raised(self, error: BaseException) -> bool:
        """Whether a task of this life ended with just this exception."""
        return any(outcome(task) is error for task in self._tasks)

    def _done(self, task: ComponentTask) -> None:
        error = outcome(task)
        if error is None:
            return
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            task.exception()
            self._on_death(Death(f"{described(task)} ended the program", error, vital=True))
        elif not task.awaiters and not task.in_request:
            self._loop.call_later(0 if task in self._mains else SETTLE, self._judge, task)

    def _judge(self, task: ComponentTask) -> None:
        if task._log_traceback:  # noqa: SLF001  # the one way to learn that nobody has taken the exception yet
            error = task.exception()
            if error is not None:
                self._on_death(
                    Death(f"{described(task)} died: {told(error)}", error, vital=task in self._mains)
                )


def outcome(task: asyncio.Task[Any]) -> BaseException | None:
    """Return the exception of a finished task without taking it: asyncio still knows that nobody has."""
    return None if not task.done() or task.cancelled() else task._exception  # noqa: SLF001  # exception() would take it


class Scopes:
    """All lives on one loop; new tasks find their scope by the context they are created in."""

    def __init__(self) -> None:
        self._open: dict[Identity, Scope] = {}

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the loop create its tasks here."""
        loop.set_task_factory(self._create)

    def open(self, identity: Identity, scope: Scope) -> None:
        """From now on tasks of this life belong to the scope."""
        self._open[identity] = scope

    def close(self, identity: Identity) -> None:
        """The life is over."""
        self._open.pop(identity, None)

    def raised(self, error: BaseException) -> bool:
        """Whether a task of any life ended with just this exception."""
        return any(scope.raised(error) for scope in self._open.values())

    def _create(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        context: Context | None = None,
        **options: Any,
    ) -> ComponentTask:
        identity = CURRENT.get() if context is None else context.get(CURRENT, NOBODY)
        in_request = IN_REQUEST.get() if context is None else context.get(IN_REQUEST, False)
        task = ComponentTask(
            coro, loop=loop, context=context, identity=identity, in_request=in_request, **options
        )
        scope = self._open.get(identity)
        if scope is not None:
            scope.adopt(task)
        return task


def described(task: asyncio.Task[Any]) -> str:
    """Return the name of a task, its coroutine, and where it waits: ``task 'Task-5' (Writer.loop, at agents/writer.py:33)``."""
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    where = waiting_at(coroutine)
    return f"task {task.get_name()!r} ({name}{f', at {where}' if where else ''})"


def waiting_at(awaitable: object) -> str:
    """Return ``file:line`` of the innermost frame of the user's own code that a suspended coroutine waits in."""
    found = ""
    code: CodeType | None = getattr(awaitable, "cr_code", None)
    if code is not None and is_own(code.co_filename):
        found = f"{code.co_filename}:{code.co_firstlineno}"
    while awaitable is not None:
        frame, awaitable = _suspended(awaitable)
        if frame is not None and is_own(frame.f_code.co_filename):
            found = frame_place(frame)
    return found


def _suspended(awaitable: object) -> tuple[FrameType | None, object]:
    if isinstance(awaitable, CoroutineType):
        return awaitable.cr_frame, awaitable.cr_await
    if isinstance(awaitable, GeneratorType):
        return awaitable.gi_frame, awaitable.gi_yieldfrom
    return None, None
