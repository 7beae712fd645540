"""What can be asked of the process that runs a component, wherever that is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from launcher.hosts.base import Host
from launcher.hosts.inline import InlineHost
from launcher.hosts.process import ProcessHost
from launcher.model.answers import Answer


class Inside:
    """Questions to components; to be used on the supervisor's loop.

    Args:
        host_of: returns the host of a component.
    """

    def __init__(self, host_of: Callable[[str], Host]) -> None:
        self._host_of = host_of

    def check(self, component: str, incarnation: int, timeout: float) -> asyncio.Future[Answer]:
        """Have the component's own code say whether it is ready."""
        host = self._host_of(component)
        if isinstance(host, InlineHost):
            return asyncio.wrap_future(host.check(component, incarnation, timeout))
        if isinstance(host, ProcessHost):
            return host.check(component, incarnation, timeout)
        return _done(Answer(False, 0.0, "it is a command, which cannot be called"))

    def ping(self, component: str, incarnation: int) -> asyncio.Future[None]:
        """Return what is done as soon as the event loop of the component turns."""
        host = self._host_of(component)
        if isinstance(host, InlineHost):
            return asyncio.wrap_future(host.ping())
        if isinstance(host, ProcessHost):
            return host.ping(component, incarnation)
        return _done(None)

    def blocking(self, component: str) -> str:
        """Return who keeps the loop that the component shares from turning, and where; empty when that is not known here."""
        host = self._host_of(component)
        return host.blocking() if isinstance(host, InlineHost) else ""


T = TypeVar("T")


def _done(value: T) -> asyncio.Future[T]:
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    done.set_result(value)
    return done
