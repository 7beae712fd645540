"""The few messages between a process host and its child: JSON, one per line, over a socket pair.

The setup, ``stop``, ``check`` and ``ping`` go down; ``launched``, ``started``, ``imported``, ``checked``, ``alive``, ``exited`` and ``log`` come up. Everything is written
synchronously: what was said before a crash lies in the kernel's buffer and is read afterwards. A reader that stalls costs log lines, with a count, never the loop.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from launcher.model.events import Event, Exited, Launched, Started
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec, Probe, ProbeKind, TaskDeath
from launcher.model.state import Exit, ExitKind

BUFFER = 4 * 1024 * 1024
"""Bytes asked of the kernel for what the child has said and the parent has not read; the kernel may grant less."""

PATIENCE = 0.5
"""Longest time in seconds that a log line waits for a full pipe, once per stall, before lines are dropped."""

READ = 256 * 1024
"""Bytes read at once."""

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a child needs to know to run one incarnation.

    Attributes:
        launcher: name, root, module path and log level; the root is the working directory.
        sockets: descriptors of the inherited listening sockets.
        parent: PID of the process that started it.
    """

    launcher: LauncherSpec
    component: ComponentSpec
    incarnation: int
    sockets: tuple[int, ...]
    parent: int


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends, with room for what a busy child says."""
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    return ends


class Channel:
    """One end; any thread may send, one reads."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lock = threading.RLock()
        self._unsent = b""
        self._stalled = False
        self._dropped = 0
        self._unread = b""
        self._gone = False

    def fileno(self) -> int:
        """Return the descriptor, to wait for messages."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def send(self, message: Message) -> None:
        """Send a message, whatever it takes; to a reader that is gone, nothing is sent."""
        with self._lock:
            self._unsent += _encoded(message)
            self._push(until=None)

    def send_line(self, message: Message, said: Callable[[int], Message]) -> None:
        """Send a log line, or drop it when the reader has stalled; ``said`` makes the message about dropped lines."""
        with self._lock:
            if self._unsent:
                self._push(until=time.monotonic() + (0 if self._stalled else PATIENCE))
            if self._unsent:
                self._stalled = True
                self._dropped += 1
                return
            if self._dropped:
                self._unsent += _encoded(said(self._dropped))
            self._stalled, self._dropped = False, 0
            self._unsent += _encoded(message)
            self._push(until=time.monotonic())

    def read(self) -> tuple[list[Message], bool]:
        """Return messages that have arrived, and whether there may be more by now; does not wait.

        Raises:
            EOFError: the other side is gone, and everything it said was read.
        """
        try:
            data = self._end.recv(READ, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return [], False
        except OSError:
            data = b""
        if not data:
            raise EOFError
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [json.loads(line) for line in lines], True

    def wait(self) -> Message:
        """Wait for one message, the first of all.

        Raises:
            EOFError: the other side is gone.
        """
        while b"\n" not in self._unread:
            data = self._end.recv(READ)
            if not data:
                raise EOFError
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        message: Message = json.loads(line)
        return message

    def forked(self) -> None:
        """Forget what the parent's threads were doing: a fork by the user's code may have come in the middle of it."""
        self._lock = threading.RLock()
        self._unsent = b""

    def _push(self, until: float | None) -> None:
        """Send what is unsent, waiting for room until a moment of the monotonic clock, or as long as it takes."""
        while self._unsent and not self._gone:
            try:
                sent = self._end.send(self._unsent, socket.MSG_DONTWAIT)
                self._unsent = self._unsent[sent:]
            except (BlockingIOError, InterruptedError):
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return
                _until_writable(self._end, left)
            except OSError:  # the reader is gone
                self._gone = True
        if self._gone:
            self._unsent = b""


def _until_writable(end: socket.socket, seconds: float | None) -> None:
    poll = select.poll()  # unlike select(), it takes descriptors of any number
    poll.register(end, select.POLLOUT)
    poll.poll(None if seconds is None else seconds * 1000)


def _encoded(message: Message) -> bytes:
    # Lone surrogates, which file names may hold, cannot be encoded; the reader gets them as escapes.
    return json.dumps(message, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace") + b"\n"


def of_setup(setup: Setup) -> Message:
    """Return a setup as a message."""
    spec = setup.component
    component = {
        "name": spec.name,
        "kind": spec.kind,
        "target": spec.target,
        "agent": spec.agent,
        "factory": spec.factory,
        "stop_grace": spec.stop_grace,
        "on_task_death": spec.on_task_death,
        "access_log": spec.access_log,
        "root_path": spec.root_path,
        "call": spec.ready.target if spec.ready is not None and spec.ready.kind is ProbeKind.CALL else "",
    }
    launcher = {
        "name": setup.launcher.name,
        "root": setup.launcher.root,
        "pythonpath": setup.launcher.pythonpath,
        "log_level": setup.launcher.log_level,
    }
    return {
        "launcher": launcher,
        "component": component,
        "incarnation": setup.incarnation,
        "sockets": setup.sockets,
        "parent": setup.parent,
    }


def to_setup(message: Message) -> Setup:
    """Return the setup that a message holds."""
    component = message["component"]
    component["kind"] = Kind(component["kind"])
    call = component.pop("call")
    component["ready"] = Probe(ProbeKind.CALL, call) if call else None
    component["on_task_death"] = TaskDeath(component["on_task_death"])
    launcher = message["launcher"]
    launcher["pythonpath"] = tuple(launcher["pythonpath"])
    return Setup(
        launcher=LauncherSpec(components=(), **launcher),
        component=ComponentSpec(**component),
        incarnation=message["incarnation"],
        sockets=tuple(message["sockets"]),
        parent=message["parent"],
    )


def of_line(line: LogLine) -> Message:
    """Return a log line as a message."""
    return {"log": asdict(line)}


def to_line(message: Mapping[str, Any]) -> LogLine:
    """Return the log line that a message holds."""
    fields = dict(message["log"])
    fields["stream"] = Stream(fields["stream"])
    return LogLine(**fields)


def of_event(event: Event) -> Message:
    """Return what a child reports as a message."""
    match event:
        case Launched(pid=pid):
            return {"launched": pid}
        case Started():
            return {"started": True}
        case Exited(exit=ended):
            return {"exited": asdict(ended)}
        case _:
            raise TypeError(f"a child does not report {type(event).__name__}")


def to_exit(message: Mapping[str, Any]) -> Exit:
    """Return the exit that a message holds."""
    fields = dict(message["exited"])
    fields["kind"] = ExitKind(fields["kind"])
    return Exit(**fields)
