"""Runs each incarnation in a Python process of its own, forked from the zygote where that is possible, else in a fresh interpreter."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from launcher.components.identity import Identity
from launcher.core.warm import told_start
from launcher.hosts import pipe
from launcher.hosts.base import Log, Report
from launcher.hosts.door import opened
from launcher.hosts.ends import of_status
from launcher.hosts.lives import Lives
from launcher.hosts.lookout import Lookout
from launcher.hosts.pulse import Pulse
from launcher.hosts.resource import resource_for
from launcher.hosts.spawn import Born, Child, Program, environment_for, start
from launcher.hosts.stacks import STACKS
from launcher.hosts.tree import Family
from launcher.hosts.warm import Birth, Warm
from launcher.model.answers import Answer
from launcher.model.events import Exited, Launched, Started
from launcher.model.logs import LogLine, Stream, clipped
from launcher.model.spec import Bind, ComponentSpec, LauncherSpec
from launcher.model.state import Exit, ExitKind


class ProcessHost(Lives):
    """Starts a child per incarnation; to be used on the thread of one running loop.

    That thread must outlive the children: the kernel kills them when the thread that started them ends.

    Args:
        sockets: listening sockets by declared component; each child inherits duplicates of its own.
        warm: forks children that need no interpreter of their own; without it all start cold.
    """

    def __init__(
        self,
        spec: LauncherSpec,
        sockets: Mapping[str, Sequence[socket.socket]],
        report: Report,
        log: Log,
        warm: Warm | None = None,
    ) -> None:
        self._lookout = Lookout(report, log)
        super().__init__(self._lookout.report)
        self._spec = spec
        self._sockets = sockets
        self._log = self._lookout.line
        self._warm = warm
        self._doors: dict[Identity, Bind] = {}

    def door(self, component: str, incarnation: int) -> Bind | None:
        """Return where an incarnation alone answers; ``None`` for none."""
        return self._doors.get(Identity(component, incarnation))

    def pulses(self) -> dict[Identity, Pulse]:
        """Return how each incarnation is asked whether its loop turns."""
        return {identity: life.pulse for identity, life in self._lives.items() if isinstance(life, _Life)}

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        """Start a child for an incarnation."""
        identity = Identity(spec.name, incarnation)
        try:
            door, address = opened(spec)
        except OSError as error:
            self._report(Exited(*identity, _unborn(error)))
            return
        self._lookout.expect(spec, incarnation)
        sockets = (*self._sockets.get(spec.declared_name, ()), *door)
        life = _Life(self._spec, spec, incarnation, sockets, door, self._report, self._log, self._warm)
        self._doors = {other: bind for other, bind in self._doors.items() if other in self._lives}
        if address is not None:
            self._doors[identity] = address
        self.begin(identity, life)

    def check(self, component: str, incarnation: int, timeout: float) -> asyncio.Future[Answer]:
        """Have the component's own code say whether it is ready; as long as its loop is blocked there is no answer."""
        life = self._lives.get(Identity(component, incarnation))
        if isinstance(life, _Life):
            return life.check(timeout)
        ended: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        ended.set_result(Answer(False, 0.0, "it is not running"))
        return ended

    def ping(self, component: str, incarnation: int) -> asyncio.Future[None]:
        """Return what is done as soon as the loop of an incarnation turns; for one that does not run, never."""
        life = self._lives.get(Identity(component, incarnation))
        return life.ping() if isinstance(life, _Life) else asyncio.get_running_loop().create_future()

    def show_stacks(self, component: str, incarnation: int) -> None:
        """Have the child write where its threads stand; one that is stopped (SIGSTOP) does not."""
        life = self._lives.get(Identity(component, incarnation))
        if isinstance(life, _Life):
            life.show_stacks()

    async def close(self) -> None:
        """Kill what is left, wait until it is gone, and let the zygote go."""
        await super().close()
        if self._warm is not None:
            await self._warm.close()


class _Life:
    """One incarnation: its child and what that tells."""

    def __init__(
        self,
        launcher: LauncherSpec,
        spec: ComponentSpec,
        incarnation: int,
        sockets: Sequence[socket.socket],
        door: Sequence[socket.socket],
        report: Report,
        log: Log,
        warm: Warm | None,
    ) -> None:
        self._identity = Identity(spec.name, incarnation)
        self._launcher = replace(launcher, root=spec.directory or launcher.root)
        self._spec = spec
        self._sockets = sockets
        self._door = door
        self._report = report
        self._log = log
        self._warm = warm
        self._ended: Exit | None = None
        self._imported = False
        self._asked: asyncio.Future[Answer] | None = None
        self._asked_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._unwanted = asyncio.Event()
        self._channel: pipe.Channel | None = None
        self._child: Child | None = None
        self.pulse = Pulse(self._ask)

    def family(self) -> Family | None:
        """Return how its processes are told from others; nothing before there are any."""
        return None if self._child is None else self._child.kinship

    def request_stop(self) -> None:
        """Ask by message; a child that is still importing does not read messages, but takes a signal."""
        self._unwanted.set()
        if self._child is not None and self._channel is not None:
            self._channel.send({"stop": True})
            if not self._imported:
                self._child.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the child and everything it started."""
        self._unwanted.set()
        if self._child is not None:
            self._child.kill()

    def check(self, timeout: float) -> asyncio.Future[Answer]:
        """Ask the child's loop; only once until it answers, since a child that does not read must not fill the channel."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        now = self._loop.time()
        if self._channel is None or self._ended is not None:
            answer.set_result(Answer(False, 0.0, "it is not running"))
        elif self._asked is not None:
            answer.set_result(
                Answer(False, 0.0, f"its event loop has not answered for {now - self._asked_at:.0f} s")
            )
        else:
            self._asked, self._asked_at = answer, now
            self._channel.send({"check": timeout})
        return answer

    def ping(self) -> asyncio.Future[None]:
        """Return what is done with the next answer of the child's loop: whoever wants to know whether it turns asks the same question."""
        question = None if self._ended is not None else self.pulse.feel()
        return self._loop.create_future() if question is None else question.answered

    def show_stacks(self) -> None:
        """Ask for the stacks of all threads, which come as lines of its standard error."""
        text = (
            "its event loop does not turn; the stack of each of its threads follows, if it can still write it"
        )
        self._log(
            LogLine(
                time.time(),
                self._identity.component,
                Stream.LAUNCHER,
                text,
                self._identity.incarnation,
                level="ERROR",
            )
        )
        if self._child is not None:
            self._child.signal_alone(STACKS)

    async def end(self) -> Exit:
        """Start the child, wait until nothing is left of the incarnation, and return how it ended."""
        try:
            child, channel = await self._begun()
        except _UnwantedError:
            return Exit(ExitKind.RETURNED, "stopped before it began")
        except OSError as error:
            return _unborn(error)
        status = await child.cleared()
        while self._read():  # noqa: ASYNC110 (there is nothing to wait for; others are let in between)
            await asyncio.sleep(0)
        self._loop.remove_reader(channel.fileno())
        channel.close()
        self._answered(Answer(False, 0.0, "it has ended"))
        if self._ended is None:
            ended = of_status(status, killed=child.killed, starved=child.starved)
            return replace(ended, spent=child.spent)
        return replace(self._ended, killed=self._ended.killed or child.killed, spent=child.spent)

    async def _begun(self) -> tuple[Child, pipe.Channel]:
        """Bring the child into the world, warm if that can be.

        Raises:
            OSError: no process can be started.
            _UnwantedError: it was to be stopped before there was a child.
        """
        ours, theirs = pipe.pair()
        channel = pipe.Channel(ours)
        numbers = tuple(each.fileno() for each in self._sockets)
        setup = pipe.Setup(self._launcher, self._spec, self._identity.incarnation, numbers, os.getpid())
        # Before there is somebody to read it, who then need not wait for us.
        channel.send(pipe.of_setup(setup))
        try:
            born, cold = await self._born(theirs.fileno())
        except BaseException:
            channel.close()
            raise
        finally:
            for inherited in (theirs, *self._door):  # the child has them now, or never will
                inherited.close()
        child = self._child = Child(born, self._on_raw_line)
        self._channel = channel
        self._loop.add_reader(channel.fileno(), self._read)
        hazards = {} if cold or self._warm is None else self._warm.hazards_of(self._spec.declared_name)
        self._report(Launched(*self._identity, child.pid, told_start(cold, hazards)))
        if self._unwanted.is_set():  # by somebody who came while it was being born
            self.request_stop()
        return child, channel

    async def _born(self, channel: int) -> tuple[Born, str]:
        """Return the new process, and why it is a fresh interpreter if it is one."""
        own = {
            "LAUNCHER_COMPONENT": self._spec.name,
            "LAUNCHER_INCARNATION": str(self._identity.incarnation),
            "LAUNCHER_REPLICA": str(self._spec.replica),
            **({} if self._spec.bind is None else {"PORT": str(self._spec.bind.port)}),
        }
        environment = environment_for(self._launcher.environment, self._spec.environment, own)
        environment.update(resource_for(self._launcher, self._spec, environment))
        inherit = (channel, *(each.fileno() for each in self._sockets))
        cold = "nothing is kept warm"
        if self._warm is not None and Path(self._launcher.root).is_dir():
            birth = Birth(self._spec, self._launcher.root, environment, inherit)
            forked = await self._unless_unwanted(self._warm, birth)
            if isinstance(forked, Born):
                return forked, ""
            cold = forked
        # -P: without it the working directory would come first on the module path, and a file there could shadow ours.
        argv = (sys.executable, "-P", "-m", "launcher.hosts.child", str(channel))
        return start(Program(argv, environment, self._launcher.root, inherit)), cold

    async def _unless_unwanted(self, warm: Warm, birth: Birth) -> Born | str:
        """Have it forked, or give that up when it is to be stopped meanwhile."""
        forking = self._loop.create_task(warm.fork(birth))
        unwanted = self._loop.create_task(self._unwanted.wait())
        try:
            await asyncio.wait((forking, unwanted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            unwanted.cancel()
            if not forking.done():
                forking.cancel()
        if not forking.done():
            raise _UnwantedError
        return forking.result()

    def _ask(self, number: int) -> bool:
        """Ask the child's loop whether it turns; a child that still imports has none."""
        if not self._imported or self._channel is None:
            return False
        self._channel.send({"ask": number})
        return True

    def _read(self) -> bool:
        """Take what has arrived; return whether there may be more."""
        channel = self._channel
        if channel is None:
            return False
        try:
            messages, more = channel.read()
        except EOFError:
            self._loop.remove_reader(channel.fileno())
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
        elif "checked" in message:
            self._answered(Answer(**message["checked"]))
        elif "exited" in message:
            self._ended = pipe.to_exit(message)
        elif "answer" in message:
            self.pulse.answer(*message["answer"])
        else:
            self._take_rarely(message)

    def _take_rarely(self, message: pipe.Message) -> None:
        if "imported" in message and self._warm is not None:
            self._warm.learn(self._spec.declared_name, message["imported"])
        elif "torn" in message:
            self._log(self._torn(message["torn"]))

    def _torn(self, text: str) -> LogLine:
        """Return what is left of lines that two processes have written at once, one of them forked by the component."""
        told = clipped(f"a line was torn by a process that the component has forked: {text}")
        return LogLine(
            time.time(),
            self._identity.component,
            Stream.LAUNCHER,
            told,
            self._identity.incarnation,
            "WARNING",
        )

    def _answered(self, answer: Answer) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_result(answer)

    def _on_raw_line(self, descriptor: int, line: str) -> None:
        """Take what was written past Python: by native code, by the interpreter, by programs the component started."""
        stream = Stream.STDOUT if descriptor == 1 else Stream.STDERR
        self._log(LogLine(time.time(), self._identity.component, stream, line, self._identity.incarnation))


def _unborn(error: OSError) -> Exit:
    return Exit(ExitKind.RAISED, f"cannot start a process: {error.strerror or error}")


class _UnwantedError(Exception):
    """An incarnation was to end before it had begun."""
