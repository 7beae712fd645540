"""A control port that does as it is told, on a real server, on a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from launcher.core.plan import build
from launcher.core.view import View
from launcher.model.events import Exited, Launched, StartAllRequested, Started
from launcher.model.spec import Bind, ComponentSpec, DependencySpec, Kind, LauncherSpec, Mode
from launcher.model.state import Exit, ExitKind
from launcher.model.stores import Record
from launcher.supervisor.journal import Journal
from launcher.testing import FleetRunner
from launcher.web.server import ControlServer, Limits

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

PLAN = build(
    LauncherSpec(
        name="newsdesk",
        root="/srv",
        components=(
            ComponentSpec(
                "api",
                Kind.ASGI,
                "api.main:app",
                bind=Bind(8000),
                depends_on=("db",),
                start_timeout=7,
                stop_grace=3,
            ),
            ComponentSpec("db", Kind.COMMAND, command=("serve",), depends_on=("cache",), start_timeout=20),
            ComponentSpec("näme/x", Kind.AGENT, "a:b"),
        ),
        dependencies=(DependencySpec("cache", "redis://u:s3cret@cache", timeout=30),),
        mode=Mode.MULTI,
        log_dir="/srv/logs",
    )
)


class ScriptedControl:
    """Remembers every command; raises ``error`` or waits for ``go`` where told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.blocked = False
        self.go = asyncio.Event()
        self.begun = threading.Event()
        self.viewed = threading.Event()
        self.cancelled = threading.Event()
        self.journal = Journal()
        self.fleet = FleetRunner(PLAN)
        self.fleet.send(StartAllRequested(), Launched("db", 1, 41), Started("db", 1))
        self.fleet.send(Exited("db", 1, Exit(ExitKind.EXITED, "exited with code 3", code=3)))

    def view(self) -> View:
        self.viewed.set()
        return View(PLAN, self.fleet.fleet, self.fleet.clock(), 1000.0, 1000.0, 77, "1.2.3")

    async def look(self, patience: float = 0.0) -> View:
        return self.view()

    def records(self) -> tuple[Record, ...]:
        return (Record(1, {"component": "api"}, 7),)

    async def start(self, name: str, timeout: float) -> None:
        await self._do("start", name, f"{timeout:g}")

    async def stop(self, name: str, timeout: float) -> None:
        await self._do("stop", name, f"{timeout:g}")

    async def restart(self, name: str, timeout: float) -> None:
        await self._do("restart", name, f"{timeout:g}")

    async def scale(self, name: str, replicas: int, timeout: float) -> None:
        await self._do("scale", name, str(replicas), f"{timeout:g}")

    async def wait(self, name: str, condition: str, timeout: float) -> None:
        await self._do("wait", name, condition, f"{timeout:g}")

    def shutdown(self, reason: str) -> None:
        self.calls.append(("shutdown", reason))

    async def _do(self, *call: str) -> None:
        self.calls.append(call)
        self.begun.set()
        if self.blocked:
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if self.error is not None:
            raise self.error


class Running:
    """A server on a thread with a loop of its own, as clients of another process see it."""

    def __init__(self, directory: Path, limits: Limits) -> None:
        self.path = directory / "run" / "control.sock"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.control = self.do(self._made())
        self.server = ControlServer(self.control, self.path, limits)
        self.do(self.server.start())

    async def _made(self) -> ScriptedControl:
        return ScriptedControl()

    def do(self, work: Coroutine[object, object, T]) -> T:
        """Run a coroutine on the server's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def release(self) -> None:
        """Let commands that wait go on."""
        self.loop.call_soon_threadsafe(self.control.go.set)

    @property
    def served(self) -> bool:
        """Whether any client was accepted so far."""
        return self.control.viewed.is_set()

    def clients(self) -> int:
        return len(self.server._clients)

    def end(self) -> None:
        self.do(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.close()


@contextlib.contextmanager
def running(limits: Limits | None = None) -> Iterator[Running]:
    """A running server; its directory is short enough for a socket wherever the tests run."""
    with tempfile.TemporaryDirectory(prefix="ctl", dir="/tmp") as directory:
        server = Running(Path(directory), limits or Limits())
        try:
            yield server
        finally:
            server.end()


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so that cannot be awaited."""
    waiting = threading.Event()
    for _ in range(3000):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError(f"not within 30 s: {what}")
