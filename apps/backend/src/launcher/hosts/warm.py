"""Keeps one zygote ready and has hosts forked from it, or says why a component has to start cold."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from launcher.components.identity import NOBODY
from launcher.core.restart import window_used_up, within_window
from launcher.core.warm import cold_reason
from launcher.hosts import packets
from launcher.hosts.base import Log
from launcher.hosts.linux import adopt_orphans
from launcher.hosts.memory import Memory
from launcher.hosts.spawn import Born, Child, Program, environment_for, start, watch_exit
from launcher.hosts.zygote import main
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec, Restart

PATIENCE = 15.0
"""Seconds that a start waits for a zygote, after which it goes on without: a fresh interpreter may be faster."""

STALL = 10.0
"""Seconds that one import may take in a zygote before it is left to the hosts."""

SETTLE = 2.0
"""Seconds after the last news of an import before the zygote makes it, too: hosts that start just now come first."""

UNTAGGED = 2**62
"""Tags count down from here: an unprivileged process can only lower its limits, and a launcher may run under another one."""

RENEWALS = Restart()
"""How often a zygote is replaced before the rest of the run does without: as often as a component is restarted."""

OWN = ("uvloop", "launcher.components.agent", "launcher.components.agents")
"""What hosts of agents need for themselves."""

OWN_ASGI = (
    "launcher.components.asgi",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
"""What hosts of ASGI applications need besides."""


@dataclass(frozen=True, slots=True)
class Birth:
    """A host that is to be forked.

    Attributes:
        environment: the whole of it.
        descriptors: the channel to the host, and its listening sockets.
    """

    spec: ComponentSpec
    directory: str
    environment: Mapping[str, str]
    descriptors: Sequence[int]


@dataclass(frozen=True, slots=True)
class Early:
    """A zygote that was forked before there was a loop."""

    born: Born
    end: socket.socket


def forked_early() -> Early | None:
    """Fork a zygote from this process, so that both share what is imported by now; to be called before any thread or loop exists.

    Nothing where that cannot be done: outside of Linux, or with threads about.
    """
    if not adopt_orphans() or len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
        return None
    ours, theirs = packets.pair()
    out, err = os.pipe(), os.pipe()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        ours.close()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (out[1], 1), (err[1], 2)):
            os.dup2(source, target)
        for descriptor in {nothing, *out, *err} - {0, 1, 2}:
            os.close(descriptor)
        main(theirs, parent)
    theirs.close()
    os.close(out[1])
    os.close(err[1])
    return Early(Born(pid, (out[0], err[0]), lambda: _collect(pid)), ours)


def _collect(pid: int) -> int:
    """Return the status of a child that has ended; somebody else may have taken it."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return -signal.SIGKILL


class ZygoteLost(Exception):
    """A zygote has ended, or must not be used any more; what it was importing says why."""


@dataclass(slots=True, eq=False)
class _Zygote:
    """One zygote, seen from the launcher."""

    child: Child
    end: socket.socket
    generation: int
    ready: asyncio.Future[None]
    importing: str = ""
    modules: set[str] = field(default_factory=set)
    answers: deque[asyncio.Future[packets.Packet]] = field(default_factory=deque)
    stalled: asyncio.TimerHandle | None = None


class Warm:
    """Forks hosts; to be used on the thread of one running loop.

    Args:
        spec: variables, module path and root that all hosts have in common.
        components: those that run in processes of their own.
        early: a zygote that was forked before the loop; otherwise the first is started when it is needed.
    """

    def __init__(
        self,
        spec: LauncherSpec,
        components: Sequence[ComponentSpec],
        memory: Memory,
        log: Log,
        early: Early | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spec = spec
        self._shared = environment_for(spec.environment)
        self._components = {each.name: each for each in components if each.kind is not Kind.COMMAND}
        self._memory = memory
        self._log = log
        self._zygote: _Zygote | None = None
        self._excluded: dict[str, str] = dict(memory.hazards)
        self._generation = 0
        self._tags = count(UNTAGGED, -1)
        self._lost: tuple[float, ...] = ()
        self._without = "" if adopt_orphans() else "this system cannot fork hosts that outlive a zygote"
        self._learning: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[int]] = set()
        self._closed = False
        if early is not None:
            self._take(early.born, early.end)

    @property
    def pid(self) -> int | None:
        """Process of the zygote; ``None`` when there is none."""
        return None if self._zygote is None else self._zygote.child.pid

    async def fork(self, birth: Birth) -> Born | str:
        """Return a new host, or why it has to be started cold."""
        reason = self._reason(birth.spec)
        if reason:
            return reason
        try:
            async with asyncio.timeout(PATIENCE):
                zygote = await self._prepared()
        except TimeoutError:
            return f"the zygote was not ready within {PATIENCE:g} s"
        except ZygoteLost as lost:
            return str(lost)
        reason = self._reason(birth.spec)
        return reason or await self._forked(zygote, birth)

    def hazards_of(self, component: str) -> Mapping[str, str]:
        """Return the libraries that a component has to import for itself, and what each does."""
        needs = self._memory.needs.get(component, {})
        return {module: what for module, what in self._excluded.items() if module in needs}

    def learn(self, component: str, modules: Iterable[str]) -> None:
        """Take note of what a host had to import for itself; the zygote will have it for the next one."""
        self._memory.learn(component, modules)
        zygote = self._zygote
        if zygote is None or not zygote.ready.done() or not self._missing(zygote):
            return
        if self._learning is not None:
            self._learning.cancel()
        self._learning = self._loop.call_later(SETTLE, self._teach)

    async def close(self) -> None:
        """End the zygote."""
        self._closed = True
        if self._learning is not None:
            self._learning.cancel()
        if self._zygote is not None:
            self._lose(self._zygote, "the launcher ends")
        if self._ending:
            await asyncio.wait(self._ending)
        self._memory.save()

    # -- one zygote after the other --

    async def _prepared(self) -> _Zygote:
        while True:
            if self._without:
                raise ZygoteLost(self._without)
            zygote = self._zygote or self._renew()
            try:
                await asyncio.shield(zygote.ready)
            except ZygoteLost:
                continue
            return zygote

    def _renew(self) -> _Zygote:
        """Start a zygote in a fresh interpreter: this process has a loop by now, and may have threads."""
        ours, theirs = packets.pair()
        # -P: without it the working directory would come first on the module path.
        argv = (sys.executable, "-P", "-m", "launcher.hosts.zygote", str(theirs.fileno()), str(os.getpid()))
        try:
            born = start(
                Program(argv, environment_for(self._spec.environment), self._spec.root, (theirs.fileno(),)),
                marked=False,
            )
        except OSError as error:
            ours.close()
            self._without = f"cannot start a zygote: {error.strerror or error}"
            raise ZygoteLost(self._without) from error
        finally:
            theirs.close()
        return self._take(born, ours)

    def _take(self, born: Born, end: socket.socket) -> _Zygote:
        end.setblocking(False)
        self._generation += 1
        zygote = _Zygote(Child(born, self._on_line), end, self._generation, self._loop.create_future())
        zygote.ready.add_done_callback(_retrieve)
        self._zygote = zygote
        self._loop.add_reader(end.fileno(), self._read, zygote)
        self._watch_progress(zygote)
        needs = {
            name: (spec.target, list(self._memory.needs.get(name, ())))
            for name, spec in self._components.items()
            if not self._reason(spec)
        }
        asgi = any(spec.kind is Kind.ASGI for spec in self._components.values())
        brief = {
            "environment": dict(self._spec.environment),
            "root": self._spec.root,
            "pythonpath": self._spec.pythonpath,
            "excluded": list(self._excluded),
            "own": [*OWN, *(OWN_ASGI if asgi else ())],
            "components": needs,
        }
        self._send(zygote, {"prepare": brief})
        return zygote

    def _send(self, zygote: _Zygote, packet: packets.Packet, descriptors: Sequence[int] = ()) -> None:
        try:
            packets.send(zygote.end, packet, descriptors)
        except OSError as error:
            self._lose(zygote, f"the zygote cannot be reached: {error.strerror or error}")

    def _read(self, zygote: _Zygote) -> None:
        try:
            while zygote is self._zygote:
                self._hear(zygote, packets.receive(zygote.end)[0])
        except BlockingIOError:
            return
        except EOFError:
            self._lose(zygote, self._last_words(zygote))

    def _hear(self, zygote: _Zygote, packet: packets.Packet) -> None:
        self._watch_progress(zygote)
        if "importing" in packet:
            zygote.importing = packet["importing"]
        elif "prepared" in packet:
            self._on_prepared(zygote, packet)
        elif zygote.answers:
            answer = zygote.answers.popleft()
            if answer.cancelled():
                self._disown(packet)
            else:
                answer.set_result(packet)

    def _on_prepared(self, zygote: _Zygote, packet: packets.Packet) -> None:
        zygote.importing = ""
        self._watch_progress(zygote)
        done = packet["prepared"]
        for component, needs in packet.get("needs", {}).items():
            self._memory.learn(component, needs)
        for module in done["absent"]:
            for needs in self._memory.needs.values():
                needs.pop(module, None)
        self._memory.read.update(done["read"])
        hazard = done["hazard"]
        if hazard is not None:
            self._memory.hazards[hazard["module"]] = hazard["what"]
            self._exclude(hazard["module"], hazard["what"])
            self._lose(zygote, f"{hazard['module']} {hazard['what']}")
            return
        zygote.modules.update(done["modules"])
        if not zygote.ready.done():
            zygote.ready.set_result(None)
        self._memory.save()

    def _watch_progress(self, zygote: _Zygote) -> None:
        """Expect the next sign of life of a zygote that imports."""
        if zygote.stalled is not None:
            zygote.stalled.cancel()
            zygote.stalled = None
        if zygote is self._zygote and (zygote.importing or not zygote.ready.done()):
            zygote.stalled = self._loop.call_later(STALL, self._on_stall, zygote)

    def _on_stall(self, zygote: _Zygote) -> None:
        self._exclude(zygote.importing, f"takes more than {STALL:g} s to import")
        self._lose(zygote, f"{zygote.importing or 'the zygote'} takes more than {STALL:g} s")

    def _last_words(self, zygote: _Zygote) -> str:
        if not zygote.importing:
            return "the zygote ended"
        self._exclude(zygote.importing, "ends the process that imports it")
        return f"the zygote ended while it imported {zygote.importing}"

    def _exclude(self, module: str, what: str) -> None:
        if module:
            self._excluded[module] = what

    def _lose(self, zygote: _Zygote, why: str) -> None:
        """Give a zygote up; hosts that were forked from it live on."""
        if zygote is not self._zygote:
            return
        self._zygote = None
        if zygote.stalled is not None:
            zygote.stalled.cancel()
        self._loop.remove_reader(zygote.end.fileno())
        zygote.end.close()
        zygote.child.kill()
        ending = self._loop.create_task(zygote.child.cleared())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        for answer in zygote.answers:
            if not answer.done():
                answer.set_result({"lost": why})
        if self._closed:
            self._without = why
        else:
            self._count_loss(why)
        if not zygote.ready.done():
            zygote.ready.set_exception(ZygoteLost(why))
        if not self._without:
            with suppress(ZygoteLost):
                self._renew()

    def _count_loss(self, why: str) -> None:
        now = time.monotonic()
        if window_used_up(self._lost, now, RENEWALS):
            self._without = f"{RENEWALS.max_restarts + 1} zygotes were lost, the last one because {why}"
            self._say(f"components start cold from now on: {self._without}")
            return
        self._lost = (*within_window(self._lost, now, RENEWALS.window), now)
        self._say(f"another zygote is made: {why}")

    # -- one host --

    def _reason(self, spec: ComponentSpec) -> str:
        if self._without:
            return self._without
        if spec.name not in self._components:
            return "the zygote does not know it"
        return cold_reason(spec, self._shared, self._memory.read, self._memory.needs.get(spec.name, ()))

    async def _forked(self, zygote: _Zygote, birth: Birth) -> Born | str:
        out, err = os.pipe(), os.pipe()
        tag = next(self._tags)
        packet = {
            "fork": birth.spec.name,
            "name": birth.spec.name,
            "directory": birth.directory,
            "environment": dict(birth.environment),
            "tag": tag,
            "parent": os.getpid(),
        }
        answer: asyncio.Future[packets.Packet] = self._loop.create_future()
        zygote.answers.append(answer)
        try:
            self._send(zygote, packet, (out[1], err[1], *birth.descriptors))
            told = await answer
        except BaseException:
            os.close(out[0])
            os.close(err[0])
            raise
        finally:
            os.close(out[1])
            os.close(err[1])
        if "forked" in told:
            pid = told["forked"]
            return Born(pid, (out[0], err[0]), lambda: _collect(pid), tag=tag)
        os.close(out[0])
        os.close(err[0])
        if "stale" in told:
            reason = f"{told['stale']} has changed since it was imported"
            self._lose(zygote, reason)
            return reason
        return str(told.get("refused") or told.get("lost"))

    def _disown(self, packet: packets.Packet) -> None:
        """End a host that nobody waits for any more."""
        if "forked" in packet:
            pid = packet["forked"]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            watch_exit(self._loop, pid).add_done_callback(lambda _ended: _collect(pid))

    # -- what is learned --

    def _missing(self, zygote: _Zygote) -> list[str]:
        wanted = dict.fromkeys(module for needs in self._memory.needs.values() for module in needs)
        return [module for module in wanted if module not in zygote.modules and module not in self._excluded]

    def _teach(self) -> None:
        self._learning = None
        zygote = self._zygote
        if zygote is not None and (missing := self._missing(zygote)):
            self._send(zygote, {"preload": missing})
        self._memory.save()

    def _on_line(self, descriptor: int, line: str) -> None:
        stream = Stream.STDOUT if descriptor == 1 else Stream.STDERR
        self._log(LogLine(time.time(), NOBODY.component, stream, line))

    def _say(self, message: str) -> None:
        self._log(LogLine(time.time(), NOBODY.component, Stream.LAUNCHER, message, level="WARNING"))


def _retrieve(ready: asyncio.Future[None]) -> None:
    """Somebody may wait for it, or nobody; neither is an error."""
    if not ready.cancelled():
        ready.exception()
