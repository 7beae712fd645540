"""Keeps one zygote ready and has hosts forked from it, or says why a component has to start cold."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from launcher.components.identity import NOBODY
from launcher.core.restart import window_used_up, within_window
from launcher.core.warm import cold_reason
from launcher.hosts import packets
from launcher.hosts.base import Log
from launcher.hosts.brief import brief
from launcher.hosts.link import STALL, Beginning, Link, ZygoteLost, started
from launcher.hosts.linux import adopt_orphans
from launcher.hosts.memory import Memory
from launcher.hosts.spawn import Born, collected, environment_for
from launcher.hosts.tree import Family, fresh_tag
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec, Restart

PATIENCE = 15.0
"""Seconds that a start waits for a zygote, after which it goes on without: a fresh interpreter may be faster."""

SETTLE = 2.0
"""Seconds after the last news of an import before the zygote makes it, too: hosts that start just now come first."""

RENEWALS = Restart()
"""How often a zygote is replaced before the rest of the run does without: as often as a component is restarted."""


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


class Warm:
    """Forks hosts; to be used on the thread of one running loop.

    Args:
        spec: variables, module path and root that all hosts have in common.
        components: those that run in processes of their own.
        memory: what is known of their imports.
        log: where the zygote's output goes.
        early: a zygote that was forked before the loop, and knows already what to do; otherwise the first is started when it is needed.
    """

    def __init__(
        self,
        spec: LauncherSpec,
        components: Sequence[ComponentSpec],
        memory: Memory,
        log: Log,
        early: Beginning | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spec = spec
        self._shared = environment_for(spec.environment)
        self._components = {each.declared_name: each for each in components if each.kind is not Kind.COMMAND}
        self._memory = memory
        self._log = log
        self._link: Link | None = None
        self._excluded: dict[str, str] = dict(memory.hazards)
        # What modules of the project read and do is not remembered: it changes with every edit.
        self._read: dict[str, str] = {}
        self._losses: tuple[float, ...] = ()
        self._without = "" if adopt_orphans() else "only Linux can fork hosts that outlive a zygote"
        self._learning: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        if early is not None:
            self._take(early)

    async def fork(self, birth: Birth) -> Born | str:
        """Return a new host, or why it has to be started cold."""
        reason = self._reason(birth.spec)
        if reason:
            return reason
        try:
            async with asyncio.timeout(PATIENCE):
                link = await self._prepared()
        except TimeoutError:
            return f"no zygote was ready within {PATIENCE:g} s"
        except ZygoteLost as lost:
            return str(lost)
        # What it has imported may have read a variable that this component has of its own.
        return self._reason(birth.spec) or await self._forked(link, birth)

    def hazards_of(self, component: str) -> Mapping[str, str]:
        """Return the libraries that a component has to import for itself, and what each does."""
        needs = self._memory.needs.get(component, {})
        return {
            module: what
            for module, what in self._excluded.items()
            if module in needs or module in self._spec.preload
        }

    def learn(self, component: str, modules: Iterable[str]) -> None:
        """Take note of what a host had to import for itself; the zygote will have it for the next one."""
        self._memory.learn(component, modules)
        if self._learning is not None:
            self._learning.cancel()
        self._learning = self._loop.call_later(SETTLE, self._teach)

    def family(self) -> Family | None:
        """Return how the processes of the zygote are told from others; nothing while there is none."""
        return None if self._link is None else self._link.family

    async def close(self) -> None:
        """End the zygote."""
        self._closed = True
        if self._learning is not None:
            self._learning.cancel()
        if self._link is not None:
            self._link.lose("the launcher ends")
        if self._ending:
            await asyncio.wait(self._ending)
        self._memory.save()

    # -- one zygote after the other --

    async def _prepared(self) -> Link:
        while True:
            if self._link is None:
                self._renew()
            link = self._link
            if link is None:
                raise ZygoteLost(self._without)
            try:
                await asyncio.shield(link.ready)
            except ZygoteLost:
                continue
            return link

    def _renew(self) -> None:
        if self._without or self._closed:
            return
        try:
            beginning = started(self._shared, self._spec.root)
        except OSError as error:
            self._without = f"cannot start a zygote: {error.strerror or error}"
            return
        self._take(beginning)
        if self._link is not None:
            told = brief(self._spec, self._components.values(), self._memory, self._excluded)
            self._link.prepare(told)

    def _take(self, beginning: Beginning) -> None:
        self._link = Link(beginning, self._on_line, self._on_prepared, self._on_lost)

    def _on_prepared(self, _link: Link, packet: packets.Packet) -> None:
        done = packet["prepared"]
        for component, needs in packet.get("needs", {}).items():
            self._memory.learn(component, needs)
        self._memory.forget(done["absent"])
        for module, why in done["absent"].items():
            if module in self._spec.preload:
                self._say(f"cannot preload {module}: {why}")
        for variable, module in done["read"].items():
            (self._read if module in self._spec.preload else self._memory.read).setdefault(variable, module)
        hazard = done["hazard"]
        if hazard is not None:
            self._excluded[hazard["module"]] = hazard["what"]
            if hazard["module"] not in self._spec.preload:
                self._memory.hazards[hazard["module"]] = hazard["what"]
        self._memory.save()

    def _on_lost(self, link: Link, why: str, module: str) -> None:
        ending = self._loop.create_task(link.gone())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        if link is not self._link:
            return
        self._link = None
        if module:
            self._excluded.setdefault(module, f"ends the zygote, or takes it more than {STALL:g} s")
        if self._closed:
            self._without = why
            return
        now = time.monotonic()
        if window_used_up(self._losses, now, RENEWALS):
            self._without = f"{RENEWALS.max_restarts + 1} zygotes were lost, the last one because {why}"
            self._say(f"components start cold from now on: {self._without}")
            return
        self._losses = (*within_window(self._losses, now, RENEWALS.window), now)
        self._say(f"another zygote is made: {why}")
        self._renew()

    # -- one host --

    def _reason(self, spec: ComponentSpec) -> str:
        if self._without:
            return self._without
        needs = self._memory.needs.get(spec.declared_name, ())
        return cold_reason(spec, self._shared, {**self._read, **self._memory.read}, needs)

    async def _forked(self, link: Link, birth: Birth) -> Born | str:
        out, err = os.pipe(), os.pipe()
        tag = fresh_tag()
        packet: packets.Packet = {
            "name": birth.spec.name,
            "directory": birth.directory,
            "environment": dict(birth.environment),
            "tag": tag,
            "parent": os.getpid(),
        }
        pid = 0
        try:
            answer = await link.fork(packet, (out[1], err[1], *birth.descriptors))
            pid = answer.get("forked", 0)
        finally:
            for descriptor in (out[1], err[1], *(() if pid else (out[0], err[0]))):
                os.close(descriptor)
        if pid:
            return Born(pid, (out[0], err[0]), lambda: collected(pid), tag=tag)
        if "stale" in answer:
            reason = f"{answer['stale']} has changed since it was imported"
            link.lose(reason)
            return reason
        return str(answer.get("refused") or answer.get("lost"))

    # -- what is learned --

    def _teach(self) -> None:
        self._learning = None
        self._memory.save()
        link = self._link
        if link is None or not link.ready.done():
            return
        wanted = dict.fromkeys(module for needs in self._memory.needs.values() for module in needs)
        missing = [each for each in wanted if each not in link.modules and each not in self._excluded]
        if missing:
            link.preload(missing)

    def _on_line(self, descriptor: int, line: str) -> None:
        stream = Stream.STDOUT if descriptor == 1 else Stream.STDERR
        self._log(LogLine(time.time(), NOBODY.component, stream, line))

    def _say(self, message: str) -> None:
        self._log(LogLine(time.time(), NOBODY.component, Stream.LAUNCHER, message, level="WARNING"))
