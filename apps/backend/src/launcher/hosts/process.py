"""Runs each incarnation in a Python process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from launcher.components.identity import Identity
from launcher.hosts import pipe
from launcher.hosts.base import Log, Report
from launcher.hosts.door import opened
from launcher.hosts.ends import of_status
from launcher.hosts.lives import Lives
from launcher.hosts.spawn import Child, Program, environment_for
from launcher.model.events import Exited, Launched, Started
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import Bind, ComponentSpec, LauncherSpec
from launcher.model.state import Exit, ExitKind


class ProcessHost(Lives):
    """Starts a child per incarnation; to be used on the thread of one running loop.

    That thread must outlive the children: the kernel kills them when the thread that started them ends.

    Args:
        sockets: listening sockets by declared component; each child inherits duplicates of its own.
    """

    def __init__(
        self, spec: LauncherSpec, sockets: Mapping[str, Sequence[socket.socket]], report: Report, log: Log
    ) -> None:
        super().__init__(report)
        self._spec = spec
        self._sockets = sockets
        self._log = log
        self._doors: dict[Identity, Bind] = {}

    def door(self, component: str, incarnation: int) -> Bind | None:
        """Return where an incarnation alone answers; ``None`` for none."""
        return self._doors.get(Identity(component, incarnation))

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        """Start a child for an incarnation."""
        identity = Identity(spec.name, incarnation)
        try:
            with opened(spec) as (door, address):
                sockets = (*self._sockets.get(spec.declared_name, ()), *door)
                life = _Life(self._spec, spec, incarnation, sockets, self._report, self._log)
        except OSError as error:
            reason = f"cannot start a process: {error.strerror or error}"
            self._report(Exited(*identity, Exit(ExitKind.RAISED, reason)))
            return
        self._doors = {other: bind for other, bind in self._doors.items() if other in self._lives}
        if address is not None:
            self._doors[identity] = address
        self.begin(identity, life)


class _Life:
    """One incarnation: its child and what that tells."""

    def __init__(
        self,
        launcher: LauncherSpec,
        spec: ComponentSpec,
        incarnation: int,
        sockets: Sequence[socket.socket],
        report: Report,
        log: Log,
    ) -> None:
        self._identity = Identity(spec.name, incarnation)
        self._report = report
        self._log = log
        self._ended: Exit | None = None
        self._imported = False
        self._loop = asyncio.get_running_loop()
        directory = spec.directory or launcher.root
        inherited = tuple(each.fileno() for each in sockets)
        ours, theirs = pipe.pair()
        try:
            program = _program(launcher, spec, incarnation, directory, (theirs.fileno(), *inherited))
            self.child = Child(program, self._on_raw_line)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = pipe.Channel(ours)
        setup = pipe.Setup(replace(launcher, root=directory), spec, incarnation, inherited, os.getpid())
        self._channel.send(pipe.of_setup(setup))
        self._loop.add_reader(self._channel.fileno(), self._read)
        report(Launched(*self._identity, self.child.pid))

    def request_stop(self) -> None:
        """Ask by message; a child that is still importing does not read messages, but takes a signal."""
        self._channel.send({"stop": True})
        if not self._imported:
            self.child.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the child and everything it started."""
        self.child.kill()

    async def end(self) -> Exit:
        """Wait until nothing is left of the incarnation, and return how it ended."""
        status = await self.child.cleared()
        while self._read():
            pass
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        if self._ended is None:
            return of_status(status, killed=self.child.killed)
        return replace(self._ended, killed=self._ended.killed or self.child.killed)

    def _read(self) -> bool:
        """Take what has arrived; return whether there may be more."""
        try:
            messages, more = self._channel.read()
        except EOFError:
            self._loop.remove_reader(self._channel.fileno())
            return False
        for message in messages:
            self._take(message)
        return more

    def _take(self, message: pipe.Message) -> None:
        if "log" in message:
            self._log(pipe.to_line(message))
        elif "launched" in message:
            self._imported = True
        elif "started" in message:
            self._report(Started(*self._identity))
        elif "exited" in message:
            self._ended = pipe.to_exit(message)

    def _on_raw_line(self, descriptor: int, line: str) -> None:
        """Take what was written past Python: by native code, by the interpreter, by programs the component started."""
        stream = Stream.STDOUT if descriptor == 1 else Stream.STDERR
        self._log(LogLine(time.time(), self._identity.component, stream, line, self._identity.incarnation))


def _program(
    launcher: LauncherSpec, spec: ComponentSpec, incarnation: int, directory: str, inherit: tuple[int, ...]
) -> Program:
    own = {
        "LAUNCHER_COMPONENT": spec.name,
        "LAUNCHER_INCARNATION": str(incarnation),
        "LAUNCHER_REPLICA": str(spec.replica),
        **({} if spec.bind is None else {"PORT": str(spec.bind.port)}),
    }
    return Program(
        # -P: without it the working directory would come first on the module path, and a file there could shadow ours.
        argv=(sys.executable, "-P", "-m", "launcher.hosts.child", str(inherit[0])),
        environment=environment_for(launcher.environment, spec.environment, own),
        directory=directory,
        inherit=inherit,
    )
