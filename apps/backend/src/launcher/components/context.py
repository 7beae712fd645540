"""What a component is given to run, and threads that remember who they work for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from socket import socket
from typing import Any

from launcher.components.scope import Scope
from launcher.model.spec import ComponentSpec


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
