"""Who runs: the name that every piece of code of a component carries with it.

A context variable is inherited by tasks, callbacks and `asyncio.to_thread`. So a line of output or an exception can be told apart by component,
although many components share one process.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple


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
