"""One run of a plan: the threads, the loops, who is connected to whom, and how all of it ends."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.config.secrets import redacted
from launcher.core.plan import MAIN
from launcher.core.structured import structured
from launcher.core.view import differs
from launcher.documents import change_document
from launcher.errors import ExitCode
from launcher.hosts.command import CommandHost
from launcher.hosts.guard import guard_of_this_process
from launcher.hosts.inline import InlineHost
from launcher.hosts.inside import Inside
from launcher.hosts.process import ProcessHost
from launcher.hosts.warm import Warm
from launcher.model.events import ShutdownForced, ShutdownRequested
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import Kind, StateSpec
from launcher.model.state import FleetState, Phase, Role
from launcher.model.stores import Snapshot
from launcher.probes.runner import Probes
from launcher.records import snapshot_document
from launcher.stores.choose import launcher_id
from launcher.stores.keeper import keeper, lifetime, shared
from launcher.supervisor.announce import Announcer
from launcher.supervisor.control import Control
from launcher.supervisor.crashes import CrashReporter
from launcher.supervisor.hold import Holder
from launcher.supervisor.hooks import Hooks
from launcher.supervisor.journal import Entry, Journal
from launcher.supervisor.notices import Notices
from launcher.supervisor.observer import Observer
from launcher.supervisor.supervisor import Supervisor
from launcher.web.interface import Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from launcher.core.view import View
    from launcher.hosts.base import Host
    from launcher.hosts.link import Beginning
    from launcher.hosts.manager import Manager
    from launcher.hosts.memory import Memory
    from launcher.model.stores import StoreState
    from launcher.observe.console import Console
    from launcher.observe.logs import LogStore
    from launcher.stores.keeper import Keeper
    from launcher.supervisor.sockets import Listening

DEBOUNCE = 0.5
"""Seconds within which the same signal counts once: a terminal and a script runner may both deliver one Ctrl-C."""

EXIT_PATIENCE = 3.0
"""Seconds that code of the backend may keep the process from ending after everything was stopped."""

TICK = 0.1
"""Seconds between two looks of the console while something starts or stops; at rest it does not look at all."""


class Backend:
    """One run of a plan: the threads, the loops and how they end.

    In ``single`` mode the backend has the main thread, as it would without the launcher, and the supervisor a thread of its own, so that
    ``status`` and ``stop`` answer while a component blocks the backend's loop. Otherwise the supervisor has the main thread.

    Args:
        listening: the plan, and the sockets that are held for it.
        logs: where every line goes.
        console: who watches.
        manager: the service manager that has started us, if one has.
        controlled: whether other terminals may give commands.
        memory: what is known of the imports of processes of their own.
        early: the zygote that was forked before there was a loop, if one was.
    """

    def __init__(
        self,
        listening: Listening,
        logs: LogStore,
        console: Console,
        manager: Manager,
        *,
        controlled: bool,
        memory: Memory,
        early: Beginning | None = None,
    ) -> None:
        self.plan = listening.plan
        self.listening = listening
        self.logs = logs
        self.console = console
        self.manager = manager
        self.controlled = controlled
        self.memory = memory
        self.early = early
        self.code: int = ExitCode.FAILED
        self.failure: BaseException | None = None
        journal = Journal()
        journal.subscribe(console.on_entry)
        journal.subscribe(self._keep)
        self.supervisor = Supervisor(self.plan, journal, self._connect)
        self.observer = Observer(self.supervisor.view, guard_of_this_process(), self._lost_lines)
        # Before the end of a life is written to its log: a report holds what was there by then.
        journal.subscribe(CrashReporter(self.supervisor.view).on_entry)
        journal.subscribe(self._record)
        self.hooks = Hooks(self.plan.spec, self._say)
        journal.subscribe(self.hooks.on_entry)
        self.hosts: list[Host] = []
        self.inline = self._inline_host()
        self.keeper = self._keeper()
        self._known: View | None = None

    def run(self) -> int:
        """Run to the end and return the exit code."""
        with _signals(self._on_signal):
            if self.inline is None:
                asyncio.run(self._supervise())
            else:
                self._run_inline(self.inline)
        if self.failure is not None:
            raise self.failure
        _end_regardless(self.code)
        return self.code

    def _inline_host(self) -> InlineHost | None:
        inside = [spec for name, spec in self.plan.components.items() if self.plan.placement[name] == MAIN]
        if not inside:
            return None
        # All of them agree on the directory; the plan has seen to it.
        spec = replace(self.plan.spec, root=inside[0].directory or self.plan.spec.root)
        return InlineHost(spec, inside, self.listening.sockets, self.supervisor.submit, self._line)

    def _run_inline(self, inline: InlineHost) -> None:
        # A crash in native code cannot be caught; its stacks say at least whose it was.
        with suppress(OSError, ValueError):
            if sys.__stderr__ is not None:
                faulthandler.enable(sys.__stderr__)
        thread = threading.Thread(target=self._supervise_in_thread, name="supervisor")
        thread.start()
        try:
            inline.run()
        finally:
            self.supervisor.submit(ShutdownForced("the backend's loop has ended", ExitCode.FAILED))
            thread.join()

    def _supervise_in_thread(self) -> None:
        try:
            asyncio.run(self._supervise())
        except BaseException as error:  # noqa: BLE001 (raised again on the main thread)
            self.failure = error
            asyncio.run(self._close_hosts())

    async def _supervise(self) -> None:
        spec = self.plan.spec
        control = Interface(
            Control(self.supervisor, self.observer, self.keeper), Path(spec.run_dir), spec.api or None
        )
        if self.controlled:
            await control.start()
            self.keeper.start()
            self.supervisor.follow(self._follow)
        ticker = asyncio.get_running_loop().create_task(self._tick())
        holder = Holder(self.listening.sockets, self._line)
        self.supervisor.follow(holder.follow)
        self.supervisor.follow(Notices(self._line).follow)
        announcer = Announcer(self.manager.tell, self.manager.watchdog)
        if self.manager.address:
            self.supervisor.follow(announcer.follow)
        try:
            self.code = await self.supervisor.run()
        finally:
            ticker.cancel()
            announcer.close()
            await holder.close()
            self.console.finished(self.supervisor.view(), self.supervisor.finish)
            await control.close()
            if self.controlled:
                await asyncio.to_thread(self.keeper.close)
            await self._close_hosts()
            if self.plan.spec.hooks:
                await asyncio.to_thread(self.hooks.close)

    async def _close_hosts(self) -> None:
        """Nothing of a process host is left afterwards; a blocked inline host ends with the process."""
        for host in self.hosts:
            await host.close()
        if self.inline is not None:
            watchdog = _end_regardless(self.code)
            await self.inline.close()
            watchdog.cancel()

    def _connect(self) -> tuple[Callable[[str], Host], Probes]:
        spec = self.plan.spec
        submit = self.supervisor.submit
        hosts = self.plan.forked()
        warm = Warm(spec, hosts, self.memory, self._line, self.early) if hosts else None
        process = ProcessHost(spec, self.listening.sockets, submit, self._line, warm)
        command = CommandHost(spec, submit, self._line, self.listening.sockets)
        self.hosts = [process, command]

        def host_of(name: str) -> Host:
            plan = self.supervisor.plan
            if plan.components[name].kind is Kind.COMMAND:
                return command
            if self.inline is not None and plan.placement[name] == MAIN:
                return self.inline
            return process

        self.observer.attach((process, command), process.pulses, self.inline, warm)
        return host_of, Probes(submit, process.door, Inside(host_of), spec)

    # -- what readers are told --

    def _lost_lines(self) -> dict[str, int]:
        return {"disk": self.logs.lost}

    def _line(self, line: LogLine) -> None:
        line = structured(line)
        self.observer.on_line(line)
        self.logs.write(line)
        self.console.on_line(line)

    def _say(self, message: str, level: str) -> None:
        """Say something in the launcher's own log."""
        self._line(LogLine(time.time(), "", Stream.LAUNCHER, message, level=level))

    def _record(self, entry: Entry) -> None:
        """Keep in the component's log how a life ended; the console and status only show one line of it."""
        change = entry.transition
        if change.exit is None:
            return
        what = f"{change.before} -> {change.after}" if change.role is Role.CURRENT else str(change.role)
        text = change.exit.traceback or f"{what}: {change.exit.message}"
        self.logs.write(LogLine(entry.time, change.component, Stream.LAUNCHER, text, change.incarnation))

    # -- what outlives the launcher --

    def _keeper(self) -> Keeper:
        state = self.plan.spec.state if self.controlled else StateSpec()
        identity = launcher_id(state.machine, self.plan.spec.run_dir)
        return keeper(state, identity, redacted(state.url), self._snapshot, self._said)

    def _keep(self, entry: Entry) -> None:
        self.keeper.put(change_document(entry.time, entry.transition))

    def _follow(self, view: View) -> None:
        """Have a new snapshot kept when this one looks different."""
        if differs(self._known, view):
            self._known = view
            self.keeper.touch()

    def _snapshot(self, store: StoreState, ended: bool) -> Snapshot:  # noqa: FBT001 (called by the writer alone)
        """Return how all stands; called on the writer's thread."""
        state = self.plan.spec.state
        view = replace(self.supervisor.view(), store=store)
        expiry = state.expiry if shared(state) else None
        return Snapshot(snapshot_document(view, state.machine, expiry, ended=ended), lifetime(state))

    def _said(self, message: str) -> None:
        self._line(LogLine(time.time(), "", Stream.LOG, message, level="WARNING", logger="launcher"))

    async def _tick(self) -> None:
        """Let the console show how long things take, while something starts or stops."""
        while True:
            await self.supervisor.until(_moving)
            while _moving(self.supervisor.view().fleet):
                self.console.tick(self.supervisor.view())
                await asyncio.sleep(TICK)
            self.console.tick(self.supervisor.view())

    # -- signals --

    def _on_signal(self, signum: int, *, again: bool) -> None:
        name = signal.Signals(signum).name
        if again:
            self.supervisor.submit(ShutdownForced(f"{name} again", ExitCode.INTERRUPTED))
        else:
            self.supervisor.submit(ShutdownRequested(name))
        if self.inline is not None:
            self.inline.interrupt()


def _moving(fleet: FleetState) -> bool:
    """Whether there is something to watch: a start, or a stop."""
    stopping = any(state.phase is Phase.STOPPING for state in fleet.components.values())
    return not fleet.settled or fleet.draining or stopping


@contextmanager
def _signals(handle: Callable[..., None]) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into calls of ``handle(signum, again=...)``.

    Only a later Ctrl-C is ``again``: service managers and script runners repeat their signals, people press keys.
    """
    last: dict[int, float] = {}

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        counted = last.get(signum)
        if counted is not None and now - counted <= DEBOUNCE:
            return
        last[signum] = now
        if counted is None:
            handle(signum, again=False)
        elif signum == signal.SIGINT:
            handle(signum, again=True)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_regardless(code: int) -> threading.Timer:
    """See that the process ends with ``code`` even when the backend left threads behind, or its loop is blocked."""
    watchdog = threading.Timer(EXIT_PATIENCE, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()
    return watchdog
