"""What hosts have in common that run each incarnation as processes of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol

from launcher.components.identity import Identity
from launcher.hosts.base import Report
from launcher.hosts.tree import Family
from launcher.model.events import Exited
from launcher.model.state import Exit

CLOSE_PATIENCE = 10.0
"""Seconds that `close` waits for killed processes; only the kernel can make them take that long."""


class Life(Protocol):
    """One incarnation, from its first process to its last."""

    def family(self) -> Family | None:
        """Return how its processes are told from others; nothing before there are any."""

    def request_stop(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """Kill it and everything it started."""

    async def end(self) -> Exit:
        """Wait until nothing of it is left, and return how it ended."""


class Lives:
    """The incarnations of one host; to be used on the thread of one running loop."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lives: dict[Identity, Life] = {}
        self._tasks: dict[Identity, asyncio.Task[None]] = {}

    def begin(self, identity: Identity, life: Life) -> None:
        """Follow a life to its end, and report that."""
        self._lives[identity] = life
        self._tasks[identity] = asyncio.get_running_loop().create_task(self._follow(identity, life))

    def families(self) -> dict[Identity, Family]:
        """Return the families of processes that there are, by incarnation."""
        found = {identity: life.family() for identity, life in self._lives.items()}
        return {identity: family for identity, family in found.items() if family is not None}

    def request_stop(self, component: str, incarnation: int) -> None:
        """Ask an incarnation to end."""
        life = self._lives.get(Identity(component, incarnation))
        if life is not None:
            life.request_stop()

    def kill(self, component: str, incarnation: int) -> None:
        """Kill an incarnation and everything it started."""
        life = self._lives.get(Identity(component, incarnation))
        if life is not None:
            life.kill()

    def show_stacks(self, component: str, incarnation: int) -> None:
        """Do nothing: where a program of any kind stands is not known here."""

    async def close(self) -> None:
        """Kill what is left and wait until it is gone."""
        for life in list(self._lives.values()):
            life.kill()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=CLOSE_PATIENCE)

    async def _follow(self, identity: Identity, life: Life) -> None:
        try:
            ended = await life.end()
        finally:
            del self._lives[identity]
            del self._tasks[identity]
        self._report(Exited(*identity, ended))
