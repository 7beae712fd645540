"""What every host can do. A host is told what to run and reports what becomes of it; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from launcher.model.events import Event
from launcher.model.logs import LogLine
from launcher.model.spec import ComponentSpec

Report = Callable[[Event], None]
"""Takes what happened to an incarnation; may be called from any thread."""

Log = Callable[[LogLine], None]
"""Takes a line of output; may be called from any thread."""


class Host(Protocol):
    """Runs components."""

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        """Begin to start an incarnation and return at once.

        Reports ``Launched`` and ``Started`` as they come, and ``Exited`` exactly once, when nothing of the incarnation is left. A launch that
        cannot work is an ``Exited`` with an exit of kind ``UNSTARTABLE``.
        """

    def request_stop(self, component: str, incarnation: int) -> None:
        """Ask an incarnation to end politely; an unknown or ended one is no error."""

    def kill(self, component: str, incarnation: int) -> None:
        """End an incarnation by force; an unknown or ended one is no error."""

    def show_stacks(self, component: str, incarnation: int) -> None:
        """Write into the log where every thread of the process of an incarnation stands, as far as that can be known."""

    async def close(self) -> None:
        """End what is left; afterwards nothing of this host exists."""
