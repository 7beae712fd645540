"""Starting a process so that it can be watched, stopped and cleared away with everything it started."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from launcher.components.lines import LineBuffer
from launcher.hosts.oom import oom_kills
from launcher.hosts.tree import MARK, Family, Process, collect_adopted, look
from launcher.model.state import Spent

LEFTOVER_GRACE = 2.0
"""Seconds that processes which outlive the main one have to end, after they were asked with SIGTERM."""

LOOK_AGAIN = 0.25
"""Seconds after which a family that does not shrink is looked at again; deaths are noticed at once."""

DRAIN = 1.0
"""Seconds to wait for the end of a pipe when nobody of the family can write to it any more: a stranger may still hold it open."""

LEFT = 1024 * 1024
"""Bytes that may be left in a pipe then, and are read whatever the time: what a process of an ordinary user can make it hold (pipe(7))."""

SWEEP = 30.0
"""Seconds between two looks for dead orphans of a running process: without them they would stay zombies until it ends."""

READ = 64 * 1024
"""Bytes read at once: the capacity of a pipe on Linux."""

NOT_INHERITED = (
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "INVOCATION_ID",
)
"""What a service manager tells the launcher is not meant for the components."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start.

    Attributes:
        environment: the whole of it.
        inherit: further descriptors that the process gets, under the same numbers.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str
    inherit: Sequence[int] = ()


def environment_for(*layers: Mapping[str, str]) -> dict[str, str]:
    """Return our own environment without what is meant for us alone, overlaid by the layers in order."""
    merged = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    for layer in layers:
        merged.update(layer)
    return merged


@dataclass(frozen=True, slots=True)
class Born:
    """A child process that has just begun, in a session of its own.

    Attributes:
        outputs: descriptors to read its standard output and standard error from; they become the reader's.
        collect: waits for its end and returns its status as `subprocess` does, and what it has used, if that is known.
        mark: see `Family`.
        tag: see `Family`.
    """

    pid: int
    outputs: tuple[int, int]
    collect: Callable[[], tuple[int, Spent | None]]
    mark: str = ""
    tag: int = 0


def start(program: Program, *, marked: bool = True) -> Born:
    """Start a program.

    Args:
        program: what to start.
        marked: whether whoever carries the mark in its environment belongs to it; not so where it forks others that are to outlive it.

    Raises:
        OSError: the program cannot be started.
    """
    mark = uuid.uuid4().hex if marked else ""
    process = subprocess.Popen(
        program.argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=program.directory,
        env={**program.environment, MARK: mark} if marked else program.environment,
        pass_fds=tuple(program.inherit),
        start_new_session=True,
    )
    outputs = []
    for stream in (process.stdout, process.stderr):
        if stream is None:
            raise RuntimeError("both outputs were asked for")
        outputs.append(os.dup(stream.fileno()))
        stream.close()

    def collect() -> tuple[int, Spent | None]:
        ended = collected(process.pid)
        process.returncode = ended[0]  # or it would be taken for one that still runs
        return ended

    return Born(process.pid, (outputs[0], outputs[1]), collect, mark)


def collected(pid: int) -> tuple[int, Spent | None]:
    """Wait for a child; return its status and what it has used, or SIGKILL and nothing where somebody else has taken it."""
    try:
        _, status, used = os.wait4(pid, 0)
    except ChildProcessError:
        return -signal.SIGKILL, None
    return os.waitstatus_to_exitcode(status), spent(used)


def spent(used: resource.struct_rusage) -> Spent:
    """Return what the system says of use, in our words."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) there and here
    return Spent(used.ru_utime, used.ru_stime, used.ru_maxrss * unit, used.ru_minflt, used.ru_majflt)


class Child:
    """A process in a session of its own, with both outputs read line by line.

    It is watched from the running loop, on whichever thread that is. When it has ended, it is left a zombie until its family is gone: so long
    its PID and group number cannot become somebody else's, and signals cannot hit a stranger.

    Args:
        on_line: told each line of output and the descriptor (1 or 2) it was written to.

    Attributes:
        killed: we have killed it.
        starved: the system has killed a process for want of memory while this one ran.
        spent: what it has used, known when it is cleared.
    """

    def __init__(self, born: Born, on_line: Callable[[int, str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.pid = born.pid
        self.killed = False
        self.starved = False
        self.spent: Spent | None = None
        self._starved_before = oom_kills()
        self._born = born
        self._collected = False
        self._family = Family(born.pid, born.mark, born.tag)
        self._pumps = [
            _Pump(self._loop, descriptor, partial(on_line, number))
            for number, descriptor in enumerate(born.outputs, 1)
        ]
        self._ended: asyncio.Future[None] = watch_exit(self._loop, self.pid)
        self._sweeping = self._loop.call_later(SWEEP, self._sweep)

    async def exited(self) -> None:
        """Wait until the process itself has ended; its family may live on."""
        await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Send a signal to the process and its group."""
        if not self._collected:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def signal_alone(self, number: int) -> None:
        """Send a signal to the process, not to its group."""
        if not self._collected:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process and its whole family now."""
        self.killed = True
        members = self._family.members()
        self.signal(signal.SIGKILL)
        for member in members:
            send(member, signal.SIGKILL)

    @property
    def kinship(self) -> Family:
        """How its family is told from others."""
        return self._family

    def family(self) -> list[Process]:
        """Return who of the family is alive, beside the process itself."""
        return self._family.members()

    async def cleared(self) -> int:
        """Wait for the process, end what it leaves behind, read the rest of its output; return its status as `subprocess` does."""
        await self.exited()
        deadline = self._loop.time() + LEFTOVER_GRACE
        asked: set[int] = set()
        while members := self._family.members():
            force = self.killed or self._loop.time() >= deadline
            for member in members:
                if force:
                    send(member, signal.SIGKILL)
                elif member.pid not in asked:
                    asked.add(member.pid)
                    send(member, signal.SIGTERM)
            await _until_gone(self._loop, members, LOOK_AGAIN)
        for pump in self._pumps:
            await pump.drained()
        return self._reap()

    def _sweep(self) -> None:
        collect_adopted()
        self._sweeping = self._loop.call_later(SWEEP, self._sweep)

    def _reap(self) -> int:
        self._sweeping.cancel()
        for descriptor in self._born.outputs:
            os.close(descriptor)
        self._collected = True
        status, self.spent = self._born.collect()
        if status == -signal.SIGKILL:
            self.starved = oom_kills() > self._starved_before
        return status


class _Pump:
    """Reads a pipe as fast as it fills, so that nobody ever waits in a write."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, on_line: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._on_line = on_line
        self._buffer = LineBuffer()
        self._ended = asyncio.Event()
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._read)

    def _read(self) -> int:
        """Take what has arrived, and return how many bytes that was."""
        try:
            data = os.read(self._descriptor, READ)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if data:
            for line in self._buffer.feed_bytes(data):
                self._on_line(line)
        else:
            self._end()
        return len(data)

    def _end(self) -> None:
        if not self._ended.is_set():
            self._loop.remove_reader(self._descriptor)
            for line in self._buffer.flush():
                self._on_line(line)
            self._ended.set()

    async def drained(self) -> None:
        """Wait for the end of the pipe, but not for ever; what the family has written is read even if this loop had no time for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self._ended.wait()
        left = LEFT
        while left > 0 and not self._ended.is_set():
            taken = self._read()
            if not taken:
                break
            left -= taken
        self._end()


def send(process: Process, number: int) -> None:
    """Send a signal to a process if it is still the same one."""
    with suppress(ProcessLookupError, PermissionError):
        descriptor = _pidfd(process.pid)
        if descriptor is None:
            os.kill(process.pid, number)
            return
        try:
            now = look(process.pid)
            if now is not None and now.started == process.started:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def watch_exit(loop: asyncio.AbstractEventLoop, pid: int) -> asyncio.Future[None]:
    """Return a future that is done when a process has ended; our own child stays a zombie."""
    ended: asyncio.Future[None] = loop.create_future()
    try:
        descriptor = _pidfd(pid)
    except ProcessLookupError:
        ended.set_result(None)
        return ended
    if descriptor is None:
        _watch_by_thread(loop, pid, ended)
        return ended

    def close(_ended: asyncio.Future[None]) -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)

    def on_end() -> None:
        loop.remove_reader(descriptor)
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, on_end)
    ended.add_done_callback(close)
    return ended


def _pidfd(pid: int) -> int | None:
    """Return a descriptor that stands for a process, or nothing where that does not exist: outside of Linux, in some sandboxes.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return None


def _watch_by_thread(loop: asyncio.AbstractEventLoop, pid: int, ended: asyncio.Future[None]) -> None:
    def wait() -> None:
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:  # not ours: nothing better than to look again later
            time.sleep(LOOK_AGAIN)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if ended.done() else ended.set_result(None))

    threading.Thread(target=wait, name=f"exit of {pid}", daemon=True).start()


async def _until_gone(loop: asyncio.AbstractEventLoop, processes: Sequence[Process], timeout: float) -> None:
    """Wait until all of these processes have ended, but no longer than a time in seconds."""
    watches = [watch_exit(loop, process.pid) for process in processes]
    try:
        await asyncio.wait(watches, timeout=timeout)
    finally:
        for watch in watches:
            watch.cancel()
