"""Who runs: the name that every piece of code of a component carries with it, and what a component is given to run.

A context variable is inherited by tasks, callbacks and `asyncio.to_thread`; an executor of our own extends that to `run_in_executor`. So a
line of output or an exception can be told apart by component, although many components share one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from socket import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.model.spec import ComponentSpec

if TYPE_CHECKING:
    import asyncio

    from launcher.components.scope import Scope


class Identity(NamedTuple):
    """One life of one component."""

    component: str
    incarnation: int


NOBODY = Identity("", 0)
"""Code that belongs to no component, or to nobody knows which."""

CURRENT: ContextVar[Identity] = ContextVar("launcher_component", default=NOBODY)
"""The life that the running code belongs to."""

IN_REQUEST: ContextVar[bool] = ContextVar("launcher_in_request", default=False)
"""Whether the running code answers a request, so that its failure is the failure of that request and not of the component."""


@dataclass(frozen=True, slots=True, eq=False)
class RunContext:
    """What a component is given to run.

    Attributes:
        sockets: listening sockets; they stay the property of the host.
        ready: to be called when the component's own start is complete; further calls mean nothing.
        stopping: set when the component is asked to end.
        scope: the tasks of this life.
    """

    spec: ComponentSpec
    incarnation: int
    sockets: Sequence[socket]
    ready: Callable[[], None]
    stopping: asyncio.Event
    scope: Scope


class ContextExecutor(ThreadPoolExecutor):
    """A thread pool whose jobs run in a copy of the context that they were submitted from.

    The default executor of asyncio does not do that, so what a job prints could not be attributed.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule ``fn(*args, **kwargs)``."""
        return super().submit(copy_context().run, fn, *args, **kwargs)
