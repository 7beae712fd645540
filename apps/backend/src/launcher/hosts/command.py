"""Runs commands: any program, in a session of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from launcher.components.identity import Identity
from launcher.hosts.base import Log, Report
from launcher.hosts.ends import of_status
from launcher.hosts.lives import Lives
from launcher.hosts.lookout import Lookout
from launcher.hosts.notify import NotifySocket, Said
from launcher.hosts.program import failure, refusal
from launcher.hosts.resource import resource_for
from launcher.hosts.spawn import Child, Program, environment_for, start
from launcher.hosts.tree import Family
from launcher.model.events import BecameReady, BecameUnready, Exited, Launched, Started
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, LauncherSpec, ProbeKind
from launcher.model.state import Exit

_EXEC_WITH_SOCKETS = str(Path(__file__).with_name("exec_with_sockets.py"))


class CommandHost(Lives):
    """Starts commands; to be used on the thread of one running loop.

    ``Started`` follows at once: a command does not say more by being there. Readiness by a line of output or by ``NOTIFY_SOCKET`` is seen here, all
    other probes ask from outside.

    Args:
        sockets: listening sockets by component, for those that inherit them.
    """

    def __init__(
        self,
        spec: LauncherSpec,
        report: Report,
        log: Log,
        sockets: Mapping[str, Sequence[socket.socket]] | None = None,
    ) -> None:
        self._lookout = Lookout(report, log)
        super().__init__(self._lookout.report)
        self._spec = spec
        self._log = self._lookout.line
        self._sockets = sockets or {}

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        """Start a command."""
        identity = Identity(spec.name, incarnation)
        self._lookout.expect(spec, incarnation)
        sockets = self._sockets.get(spec.name, ())
        life = _Life(self._spec, spec, incarnation, sockets, self._report, self._log)
        refused = life.start()
        if refused is not None:
            self._report(Exited(*identity, refused))
            return
        self.begin(identity, life)


class _Life:
    """One run of a command."""

    def __init__(
        self,
        launcher: LauncherSpec,
        spec: ComponentSpec,
        incarnation: int,
        sockets: Sequence[socket.socket],
        report: Report,
        log: Log,
    ) -> None:
        self._launcher = launcher
        self._spec = spec
        self._identity = Identity(spec.name, incarnation)
        self._sockets = sockets
        self._report = report
        self._log = log
        self._notify: NotifySocket | None = None
        self._ready = False
        self._stopping = False
        self.child: Child | None = None

    def start(self) -> Exit | None:
        """Start the command; return why that cannot be, or nothing."""
        directory = self._spec.directory or self._launcher.root
        probe = self._spec.ready
        environment = environment_for(
            self._launcher.environment, self._spec.environment, self._own_variables()
        )
        environment.update(resource_for(self._launcher, self._spec, environment))
        refused = refusal(self._spec.command, directory, environment)
        if refused is not None:
            return refused
        try:
            if probe is not None and probe.kind is ProbeKind.NOTIFY:
                self._notify = NotifySocket(self._launcher.run_dir, self._on_said)
                environment["NOTIFY_SOCKET"] = self._notify.address
            self.child = Child(start(self._program(environment, directory)), self._on_line)
        except OSError as error:
            self._close_notify()
            return failure(self._spec.command, directory, error)
        self._report(Launched(*self._identity, self.child.pid))
        self._report(Started(*self._identity))
        return None

    def family(self) -> Family | None:
        """Return how its processes are told from others; nothing before there are any."""
        return None if self.child is None else self.child.kinship

    def request_stop(self) -> None:
        """Send the stop signal."""
        self._stopping = True
        if self.child is not None:
            self.child.signal(signal.Signals[self._spec.stop_signal])

    def kill(self) -> None:
        """Kill the command and everything it started."""
        if self.child is not None:
            self.child.kill()

    async def end(self) -> Exit:
        """Wait until nothing is left of the command, and return how it ended."""
        if self.child is None:
            raise RuntimeError("the command was not started")
        await self.child.exited()
        left = self.child.family()
        if left and not self._stopping and not self.child.killed:
            pids = ", ".join(str(process.pid) for process in left)
            self._say(f"left {len(left)} process{'es' if len(left) != 1 else ''} behind, now ended: {pids}")
        status = await self.child.cleared()
        self._close_notify()
        ended = of_status(status, killed=self.child.killed, starved=self.child.starved)
        return replace(ended, hint="" if self._stopping else ended.hint, spent=self.child.spent)

    def _own_variables(self) -> dict[str, str]:
        own = {
            "LAUNCHER_COMPONENT": self._identity.component,
            "LAUNCHER_INCARNATION": str(self._identity.incarnation),
        }
        if self._spec.bind is not None:
            own["PORT"] = str(self._spec.bind.port)
        if self._sockets:
            own["LISTEN_FDS"] = str(len(self._sockets))
            own["LISTEN_FDNAMES"] = ":".join([self._spec.name] * len(self._sockets))
        return own

    def _program(self, environment: Mapping[str, str], directory: str) -> Program:
        if not self._sockets:
            return Program(self._spec.command, environment, directory)
        numbers = tuple(each.fileno() for each in self._sockets)
        for number in numbers:
            # As systemd hands them over; whoever had them before may have changed that, and it is a property of the socket.
            os.set_blocking(number, True)
        listed = ",".join(map(str, numbers))
        between = (sys.executable, "-I", "-S", _EXEC_WITH_SOCKETS, listed, environment.get("LC_CTYPE", ""))
        return Program((*between, *self._spec.command), environment, directory, numbers)

    def _on_line(self, descriptor: int, line: str) -> None:
        stream = Stream.STDOUT if descriptor == 1 else Stream.STDERR
        self._log(LogLine(time.time(), self._identity.component, stream, line, self._identity.incarnation))

    def _on_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self._report(BecameReady(*self._identity))

    def _on_said(self, said: Said) -> None:
        """Take what the command tells of itself; a status is the reason why it is not ready yet."""
        if said.ready:
            self._on_ready()
        elif self._ready and said.away and not self._stopping:
            self._ready = False
            self._report(BecameUnready(*self._identity, said.status or said.away))
        elif not self._ready and said.status:
            self._report(BecameUnready(*self._identity, said.status))

    def _say(self, message: str) -> None:
        self._log(
            LogLine(
                time.time(),
                self._identity.component,
                Stream.LAUNCHER,
                message,
                self._identity.incarnation,
                level="WARNING",
            )
        )

    def _close_notify(self) -> None:
        if self._notify is not None:
            self._notify.close()
            self._notify = None
