"""Tells a service manager how the backend stands, each thing once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from launcher.core.announce import announced

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.core.view import View


AGAIN = 0.1
"""Seconds after which what could not be told is tried again."""


class Announcer:
    """Follows the supervisor; to be used on its loop.

    Args:
        tell: takes lines of ``sd_notify(3)``; returns false when it cannot just now.
        watchdog: seconds within which a sign of life is wanted, 0 for never. It is given twice as often, and says that the supervisor's loop
            turns; whether components live is the supervisor's own business.
    """

    def __init__(self, tell: Callable[[str], bool], watchdog: float = 0.0) -> None:
        self._tell = tell
        self._pause = watchdog / 2
        self._told: tuple[str, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None

    def follow(self, view: View) -> None:
        """Tell what is new."""
        lines = announced(view.fleet)
        new = [line for line in lines if line not in self._told]
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not new or self._tell("\n".join(new)):
            self._told = lines
        else:
            self._retry = asyncio.get_running_loop().call_later(AGAIN, self.follow, view)
        if self._pause and self._timer is None:
            self._give_sign()

    def close(self) -> None:
        """Tell nothing more."""
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()

    def _give_sign(self) -> None:
        self._tell("WATCHDOG=1")
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._give_sign)
