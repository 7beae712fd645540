"""Named timers on the supervisor's loop; a timer that fires is an event like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.model.effects import Timer
from launcher.model.events import (
    BackoffOver,
    DependencyDeadline,
    Event,
    GraceOver,
    ReturnOver,
    ShutdownDeadline,
    StartDeadline,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import TypeAlias

    from launcher.model.effects import SetTimer

    _Key: TypeAlias = tuple[Timer, str, int]


class Timers:
    """At most one armed timer for each kind, name and incarnation."""

    def __init__(self, loop: asyncio.AbstractEventLoop, submit: Callable[[Event], None]) -> None:
        self._loop = loop
        self._submit = submit
        self._armed: dict[_Key, asyncio.TimerHandle] = {}

    def set(self, request: SetTimer) -> None:
        """Arm a timer; an armed one of the same kind, name and incarnation is replaced."""
        self.cancel(request.timer, request.name, request.incarnation)
        key = (request.timer, request.name, request.incarnation)
        self._armed[key] = self._loop.call_later(request.delay, self._fire, key, fired(request))

    def cancel(self, timer: Timer, name: str, incarnation: int = 0) -> None:
        """Disarm a timer, if it is armed."""
        handle = self._armed.pop((timer, name, incarnation), None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        """Disarm all."""
        for handle in self._armed.values():
            handle.cancel()
        self._armed.clear()

    def _fire(self, key: _Key, event: Event) -> None:
        self._armed.pop(key, None)
        self._submit(event)


def fired(request: SetTimer) -> Event:
    """Return the event that the timer stands for."""
    match request.timer:
        case Timer.START:
            return StartDeadline(request.name, request.incarnation)
        case Timer.GRACE:
            return GraceOver(request.name, request.incarnation)
        case Timer.BACKOFF:
            return BackoffOver(request.name, request.incarnation)
        case Timer.RETURN:
            return ReturnOver(request.name, request.incarnation)
        case Timer.DEPENDENCY:
            return DependencyDeadline(request.name)
        case Timer.SHUTDOWN:
            return ShutdownDeadline()
