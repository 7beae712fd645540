"""What the control interface needs of the supervisor, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from launcher.core.view import View
    from launcher.model.stores import Record
    from launcher.supervisor.journal import Journal


class ControlPort(Protocol):
    """Commands on a running backend; each coroutine returns when its state is reached and raises a ``LauncherError`` otherwise."""

    @property
    def journal(self) -> Journal:
        """What has happened in this run."""
        ...

    def view(self) -> View:
        """Return an immutable picture of this moment."""
        ...

    async def look(self, patience: float = 0.0) -> View:
        """Return the picture together with what is seen of it; loops get ``patience`` seconds to answer."""
        ...

    def records(self) -> tuple[Record, ...]:
        """Return the transitions that are kept in memory, oldest first; none when they are kept in a store that others can read."""
        ...

    async def start(self, name: str, timeout: float) -> None:
        """Start a component and what it needs."""
        ...

    async def stop(self, name: str, timeout: float) -> None:
        """Stop a component."""
        ...

    async def restart(self, name: str, timeout: float) -> None:
        """Stop a component and start a new incarnation."""
        ...

    async def scale(self, name: str, replicas: int, timeout: float) -> None:
        """Run another number of replicas."""
        ...

    async def wait(self, name: str, condition: str, timeout: float) -> None:
        """Wait for a condition of a component, or of the whole backend."""
        ...

    def shutdown(self, reason: str) -> None:
        """Begin to stop the whole backend; returns at once."""
        ...
