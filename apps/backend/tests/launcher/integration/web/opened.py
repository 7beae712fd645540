"""Both doors of a control interface, on a loop of their own, and clients that speak to them byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from launcher.core.view import View
from launcher.model.events import Transition
from launcher.model.state import Desired, Phase
from launcher.sse import Event, Parser
from launcher.supervisor.journal import Journal
from launcher.web.interface import Interface
from launcher.web.server import Limits
from tests.launcher.integration.web.scripted import ScriptedControl

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Control(ScriptedControl):
    """A control port whose logs are in a directory of the test."""

    def __init__(self, log_dir: Path) -> None:
        super().__init__()
        self.log_dir = log_dir

    def view(self) -> View:
        view = super().view()
        return replace(view, plan=replace(view.plan, spec=replace(view.plan.spec, log_dir=str(self.log_dir))))


class Opened:
    """A control interface behind both doors, as clients of another process see it."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.run_dir = directory / "run"
        self.log_dir = directory / "logs"
        self.path = self.run_dir / "control.sock"
        self.limits = limits
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.run_dir.mkdir()
        self.control: Control
        self.interface: Interface
        self.begin()

    @property
    def journal(self) -> Journal:
        return self.control.journal

    @property
    def port(self) -> int:
        assert self.interface.loopback is not None
        assert self.interface.loopback.sessions is not None
        return int(self.interface.loopback.sessions.origin.rpartition(":")[2])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.run_dir / "api.token").read_text().strip()

    def begin(self) -> None:
        """Open the doors: another run of a launcher, with a journal of its own."""
        self.control = self.do(self._made())
        self.interface = Interface(self.control, self.run_dir, 0, self.limits)
        self.do(self.interface.start())

    async def _made(self) -> Control:
        return Control(self.log_dir)

    def do(self, work: Coroutine[object, object, T]) -> T:
        """Run a coroutine on the interface's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def publish(self, *numbers: int, component: str = "api") -> None:
        """Let transitions happen, all of them before anybody is told."""

        async def happen() -> None:
            for number in numbers:
                self.journal.publish(
                    Transition(component, number, Phase.STARTING, Phase.READY, Desired.UP, "BecameReady", 0.0)
                )

        self.do(happen())

    def clients(self) -> int:
        return sum(len(server._clients) for server in self.interface._servers)

    def followers(self) -> int:
        return len(self.journal._subscribers)

    def close(self) -> None:
        self.do(self.interface.close())

    def end(self) -> None:
        self.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def connected(self, *, tcp: bool = False) -> socket.socket:
        """A connection to one of the doors."""
        if tcp:
            return socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(self.path))
        return connection

    def ask(
        self, line: str, given: Mapping[str, str] | None = None, *, tcp: bool = True, **headers: str
    ) -> Answer:
        """Send one request over TCP, with Host and token unless they are given, or left out as ``"-"``."""
        usual = {"host": self.host if tcp else "x", "authorization": f"Bearer {self.token}"}
        sent = {
            name.replace("_", "-"): value
            for name, value in {**usual, **(given or {}), **headers}.items()
            if value != "-"
        }
        # HTTP/1.0 may come without Host; the later protocol is refused without it before anybody looks.
        version = "1.1" if "host" in sent else "1.0"
        lines = [f"{line} HTTP/{version}", *(f"{name}: {value}" for name, value in sent.items())]
        with self.connected(tcp=tcp) as connection:
            connection.sendall("\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1"))
            data = b""
            while piece := connection.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        pairs = (text.partition(":") for text in rest)
        return Answer(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body)

    def followed(self, target: str, *, tcp: bool = False, **headers: str) -> Reading:
        """Begin to read a stream; the answer's head has been read."""
        connection = self.connected(tcp=tcp)
        usual = {"host": self.host, "authorization": f"Bearer {self.token}"}
        sent = {name.replace("_", "-"): value for name, value in {**usual, **headers}.items()}
        # HTTP/1.0: the body is not chunked, and ends with the connection.
        lines = [f"GET {target} HTTP/1.0", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        reading = Reading(connection)
        head, _, rest = reading.until(b"\r\n\r\n").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        reading.arrived += list(reading.parser.feed(rest))
        return reading


@dataclass
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reading:
    """One end of a stream."""

    connection: socket.socket
    parser: Parser = field(default_factory=Parser)
    arrived: list[Event] = field(default_factory=list)
    raw: bytes = b""

    def until(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            piece = self.connection.recv(4096)
            assert piece, data
            data += piece
        self.raw += data
        return data

    def take(self, number: int) -> list[Event]:
        """Return the next events, as many as are asked for."""
        while len(self.arrived) < number:
            piece = self.connection.recv(4096)
            assert piece, self.arrived
            self.raw += piece
            self.arrived += list(self.parser.feed(piece))
        taken, self.arrived = self.arrived[:number], self.arrived[number:]
        return taken

    def rest(self) -> list[Event]:
        """Return everything up to the end of the stream, and close."""
        while piece := self.connection.recv(65536):
            self.raw += piece
            self.arrived += list(self.parser.feed(piece))
        self.close()
        taken, self.arrived = self.arrived, []
        return taken

    def close(self) -> None:
        self.connection.close()


def numbers(events: list[Event]) -> list[int]:
    """The number of each transition, and 0 for each gap."""
    return [json.loads(event.data)["seq"] if event.kind == "transition" else 0 for event in events]


@contextlib.contextmanager
def opened(limits: Limits | None = None) -> Iterator[Opened]:
    """Both doors, in a directory that is short enough for a socket wherever the tests run."""
    with tempfile.TemporaryDirectory(prefix="ctl", dir="/tmp") as directory:
        both = Opened(Path(directory), limits)
        try:
            yield both
        finally:
            both.end()
