"""The few messages between a process host and its child: JSON, one per line, over a socket pair.

The setup, ``stop``, ``check`` and ``ask`` go down; ``launched``, ``started``, ``imported``, ``checked``, ``answer``, ``exited`` and ``log`` come up.
Everything is written synchronously: what was said before a crash lies in the kernel's buffer and is read afterwards. A slow reader makes the writer
wait, as every pipe does; one that stalls does not: what is said meanwhile is kept here, within a bound, and sent in order when it reads again.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from launcher.model.events import Event, Exited, Launched, Started
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec, Probe, ProbeKind, TaskDeath
from launcher.model.state import Exit, ExitKind

BUFFER = 4 * 1024 * 1024
"""Bytes asked of the kernel for what the child has said and the parent has not read; the kernel may grant less."""

PATIENCE = 5.0
"""Seconds that a log line waits for a reader that takes nothing, once per stall; from then on lines are kept instead of sent.

A launcher that has not come round to one of its pipes for so long is not busy but stopped, even on a machine that is far too small.
"""

STEP = 0.05
"""Seconds between two looks at a full pipe: the kernel calls it writable only when three quarters of it are free, but takes bytes before that."""

KEPT = 4 * 1024 * 1024
"""Bytes of log lines that are kept for a reader that has stalled; what is said beyond that is dropped, and counted."""

READ = 64 * 1024
"""Bytes read at once; small, so that one talkative child does not keep the others waiting until they take us for stalled."""

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
        self._unread = b""
        # Reentrant: the collector may run while it is held, and what it collects may print or log, which comes here again.
        self._lock = threading.RLock()
        self._unsent = bytearray()
        self._pushing = False
        self._stalled = False
        self._dropped = 0
        self._said: Callable[[int], Message] | None = None
        self._gone = False

    def fileno(self) -> int:
        """Return the descriptor, to wait for messages."""
        return self._end.fileno()

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def send(self, message: Message) -> None:
        """Send a message that is never dropped; to a reader that is gone, nothing is sent."""
        with self._lock:
            if not self._gone:
                self._unsent += _encoded(message)
                self._push_or_keep()

    def send_line(self, message: Message, said: Callable[[int], Message]) -> None:
        """Send a log line; ``said`` makes the message about lines that had to be dropped.

        When it returns, the line is in the kernel's keeping and outlives this process; only while the reader has stalled it is kept here.
        """
        with self._lock:
            if self._gone:
                return
            if self._stalled and len(self._unsent) >= KEPT:
                self._dropped += 1
                self._said = said
                return
            self._unsent += _encoded(message)
            self._push_or_keep()

    def flush(self) -> None:
        """Send what is kept, whatever it takes; to be done before the process ends."""
        with self._lock:
            self._push(patience=None)

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
        return list(_decoded(lines)), True

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
        self._unsent = bytearray()
        self._pushing = self._stalled = False
        self._dropped = 0

    def _push_or_keep(self) -> None:
        """Send what is unsent; when the reader has stalled, leave that to a thread."""
        if not self._stalled and not self._push(PATIENCE):
            self._stalled = True
            threading.Thread(target=self._send_kept, name="unsent messages", daemon=True).start()

    def _push(self, patience: float | None) -> bool:
        """Send what is unsent, as long as the reader takes something every ``patience`` seconds; ``None`` waits for ever.

        Returns false when the reader has stalled; one that is gone has not, and gets nothing.
        """
        if self._pushing:
            return True  # a finaliser that says something in the middle of this: the loop below sends it, too
        self._pushing = True
        waited = 0.0
        try:
            while self._unsent and not self._gone:
                sent = self._send_some()
                del self._unsent[:sent]
                if sent:
                    waited = 0.0
                elif patience is not None and waited >= patience:
                    return False
                else:
                    _until_writable(self._end, STEP)
                    waited += STEP
        finally:
            self._pushing = False
        return True

    def _send_some(self) -> int:
        try:
            return self._end.send(self._unsent[:READ], socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the reader is gone
            self._gone = True
            self._unsent.clear()
            return 0

    def _send_kept(self) -> None:
        """Send what is kept as soon as the reader takes something again, even if nothing more is said.

        Whoever says something meanwhile waits for the lock: from then on the reader is slow at most, and what it is told is in order.
        """
        while self._stalled:
            _until_writable(self._end, None)
            with self._lock:
                if self._push(PATIENCE):
                    if self._dropped and self._said is not None:
                        self._unsent += _encoded(self._said(self._dropped))
                        self._dropped = 0
                    self._stalled = not self._push(PATIENCE)


def _until_writable(end: socket.socket, seconds: float | None) -> None:
    """Wait for much room, or for the end of the reader, but no longer than this."""
    poll = select.poll()  # unlike select(), it takes descriptors of any number
    poll.register(end, select.POLLOUT)
    poll.poll(None if seconds is None else seconds * 1000)


def _decoded(lines: Sequence[bytes]) -> Iterator[Message]:
    """Yield the messages; what is none was torn by a process that the user's code has forked, and hides no other."""
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        yield message if isinstance(message, dict) else {"torn": line.decode("utf-8", "backslashreplace")}


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
