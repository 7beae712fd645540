"""The signals that stop the whole backend stay with the launcher, whatever a component does to them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from launcher.components.identity import Identity

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class KeptSignals:
    """Remembers who handles the stopping signals, and puts it back.

    A component that has the process to itself may install handlers of its own; in a shared process they would take Ctrl-C away from all.
    """

    def __init__(self, say: Callable[[Identity, str], object]) -> None:
        self._say = say
        self._kept: dict[signal.Signals, Any] = {}

    def keep(self) -> None:
        """Remember the handlers of this moment; to be called on the main thread."""
        self._kept = {number: signal.getsignal(number) for number in STOPPING}

    def reclaim(self, identity: Identity) -> None:
        """Put the handlers back that were replaced, and say who did it; on another thread nothing happens."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, ours in self._kept.items():
            if signal.getsignal(number) is not ours:
                signal.signal(number, ours)
                self._say(identity, f"took {number.name}; taken back, because it stops the whole backend")
