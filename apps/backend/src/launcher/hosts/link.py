"""One zygote, seen from the launcher: what is asked of it, what it tells, and its end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from launcher.hosts import packets
from launcher.hosts.linux import adopt_orphans
from launcher.hosts.spawn import Born, Child, Program, collected, start, watch_exit
from launcher.hosts.tree import Family
from launcher.hosts.zygote import main

STALL = 10.0
"""Seconds that one import may take in a zygote before it is left to the hosts."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """A zygote that has just begun: its process, and our end of the socket to it."""

    born: Born
    end: socket.socket


def forked_early(brief: packets.Packet) -> Beginning | None:
    """Fork a zygote from this process, so that both share what is imported by now; to be called before any thread or loop exists.

    It begins at once with what it is told. Nothing where a fork is not possible: outside of Linux, or with threads about.
    """
    if not adopt_orphans() or len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  # a plain count
        return None
    ours, theirs = packets.pair()
    out, err = os.pipe(), os.pipe()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    parent = os.getpid()
    gc.freeze()  # a collection would write to every object there is, and thereby undo the sharing
    pid = os.fork()
    if pid == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (out[1], 1), (err[1], 2)):
            os.dup2(source, target)
        _close_all_but(0, 1, 2, theirs.fileno())
        main(theirs, parent, brief)
    theirs.close()
    os.close(out[1])
    os.close(err[1])
    return Beginning(Born(pid, (out[0], err[0]), lambda: collected(pid)), ours)


def _close_all_but(*kept: int) -> None:
    """Close what a copy of the launcher has open: sockets and locks that only the launcher is to hold."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names only
        if int(name) not in kept:
            with suppress(OSError):  # the one that the directory is read through
                os.close(int(name))


def started(environment: dict[str, str], directory: str) -> Beginning:
    """Start a zygote in a fresh interpreter: a process with a loop or threads must not be forked.

    Raises:
        OSError: that is not possible.
    """
    ours, theirs = packets.pair()
    # -P: without it the working directory would come first on the module path.
    argv = (sys.executable, "-P", "-m", "launcher.hosts.zygote", str(theirs.fileno()), str(os.getpid()))
    try:
        born = start(Program(argv, environment, directory, (theirs.fileno(),)), marked=False)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Beginning(born, ours)


class ZygoteLost(Exception):
    """A zygote has ended, or must not be used any more."""


class Link:
    """The launcher's side of one zygote.

    Args:
        on_line: told each line that the zygote writes, and the descriptor (1 or 2).
        on_prepared: told what it has imported, every time that it has.
        on_lost: told once why it cannot be used any more, and which import is to blame, if one is.

    Attributes:
        ready: done when it can fork; fails with `ZygoteLost` when it never will.
        modules: what it has imported so far.
    """

    def __init__(
        self,
        beginning: Beginning,
        on_line: Callable[[int, str], None],
        on_prepared: Callable[[Link, packets.Packet], None],
        on_lost: Callable[[Link, str, str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = beginning.end
        self._child = Child(beginning.born, on_line)
        self._on_prepared = on_prepared
        self._on_lost = on_lost
        self._importing = ""
        self._answers: deque[asyncio.Future[packets.Packet]] = deque()
        self._stalled: asyncio.TimerHandle | None = None
        self._lost = False
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.ready.add_done_callback(_retrieved)
        self.modules: set[str] = set()
        self._end.setblocking(False)
        self._loop.add_reader(self._end.fileno(), self._read)

    @property
    def family(self) -> Family:
        """How its processes are told from others."""
        return self._child.kinship

    def prepare(self, brief: packets.Packet) -> None:
        """Have it become what hosts need, and import what they need."""
        self._send({"prepare": brief})

    def preload(self, modules: Sequence[str]) -> None:
        """Have it import more."""
        self._send({"preload": modules})

    async def fork(self, packet: packets.Packet, descriptors: Sequence[int]) -> packets.Packet:
        """Ask for a host and return the answer: ``forked`` with its PID, ``stale``, ``refused``, or ``lost``."""
        answer: asyncio.Future[packets.Packet] = self._loop.create_future()
        self._answers.append(answer)
        self._send(packet, descriptors)
        return await answer

    def lose(self, why: str, module: str = "") -> None:
        """Give it up; hosts that were forked from it live on."""
        if self._lost:
            return
        self._lost = True
        self._watch_progress()
        self._loop.remove_reader(self._end.fileno())
        self._end.close()
        self._child.kill()
        for answer in self._answers:
            if not answer.done():
                answer.set_result({"lost": why})
        self._on_lost(self, why, module)
        if not self.ready.done():
            self.ready.set_exception(ZygoteLost(why))

    async def gone(self) -> None:
        """Wait until nothing is left of it, after it was lost."""
        await self._child.cleared()

    def _send(self, packet: packets.Packet, descriptors: Sequence[int] = ()) -> None:
        try:
            packets.send(self._end, packet, descriptors)
        except OSError as error:
            self.lose(f"the zygote cannot be reached: {error.strerror or error}")

    def _read(self) -> None:
        try:
            while not self._lost:
                self._hear(packets.receive(self._end)[0])
        except BlockingIOError:
            return
        except EOFError:
            if self._importing:
                self.lose(f"the zygote ended while it imported {self._importing}", self._importing)
            else:
                self.lose("the zygote ended")

    def _hear(self, packet: packets.Packet) -> None:
        if "importing" in packet:
            self._importing = packet["importing"]
        elif "prepared" in packet:
            self._importing = ""
            self._prepared(packet)
        elif self._answers:
            answer = self._answers.popleft()
            if answer.cancelled():
                self._disown(packet)
            else:
                answer.set_result(packet)
        self._watch_progress()

    def _prepared(self, packet: packets.Packet) -> None:
        done = packet["prepared"]
        self.modules.update(done["modules"])
        self._on_prepared(self, packet)
        hazard = done["hazard"]
        if hazard is not None:
            self.lose(f"{hazard['module']} {hazard['what']}", hazard["module"])
        elif not self.ready.done():
            self.ready.set_result(None)

    def _watch_progress(self) -> None:
        """Expect the next sign of life of a zygote that imports."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self._importing and not self._lost:
            self._stalled = self._loop.call_later(STALL, self._on_stall)

    def _on_stall(self) -> None:
        self.lose(f"the import of {self._importing} takes more than {STALL:g} s", self._importing)

    def _disown(self, packet: packets.Packet) -> None:
        """End a host that nobody waits for any more."""
        if "forked" in packet:
            pid = packet["forked"]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            watch_exit(self._loop, pid).add_done_callback(lambda _ended: collected(pid))


def _retrieved(ready: asyncio.Future[None]) -> None:
    """Somebody may wait for it, or nobody; neither is an error."""
    if not ready.cancelled():
        ready.exception()
