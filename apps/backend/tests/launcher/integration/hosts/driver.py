"""Drives a host from outside: launches, asks, and waits for what is reported, with deadlines."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from launcher.hosts.command import CommandHost
from launcher.hosts.inline import InlineHost
from launcher.hosts.linux import adopt_orphans
from launcher.hosts.memory import Memory
from launcher.hosts.process import ProcessHost
from launcher.hosts.warm import Warm
from launcher.model.answers import Answer
from launcher.model.events import Event, Exited, IncarnationEvent, Launched, Started
from launcher.model.logs import LogLine
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec
from launcher.model.state import Exit

DEADLINE = 30.0
"""Seconds to wait for anything; only a failing test waits that long."""

IMPORTS_FOR_EVER = "import time\nprint('importing')\nwhile True: time.sleep(0.01)"
"""A module whose import does not end. It sleeps in pieces: a signal that comes just before a long sleep would not shorten it."""

E = TypeVar("E", bound=IncarnationEvent)


class Seen:
    """Everything a host has reported so far; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.events: list[Event] = []
        self.lines: list[LogLine] = []

    def report(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def log(self, line: LogLine) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true value of the condition."""
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            while True:
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what} did not come")
                self._changed.wait(left)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let a failure of the block tell what was reported until then."""
        try:
            yield
        except BaseException as error:
            error.add_note("\n".join(["reported:", *map(str, self.events), *map(str, self.lines[-40:])]))
            raise


class AnyHost(Protocol):
    def launch(self, spec: ComponentSpec, incarnation: int) -> None: ...
    def request_stop(self, component: str, incarnation: int) -> None: ...
    def kill(self, component: str, incarnation: int) -> None: ...
    def show_stacks(self, component: str, incarnation: int) -> None: ...


class Driver:
    """A host in operation."""

    def __init__(
        self, host: AnyHost, seen: Seen, components: Sequence[ComponentSpec], call: Callable[..., object]
    ) -> None:
        self.seen = seen
        self._host = host
        self._call = call
        self._components = {spec.name: spec for spec in components}

    def launch(self, name: str, incarnation: int = 1) -> None:
        self._call(self._host.launch, self._components[name], incarnation)

    def stop(self, name: str, incarnation: int = 1) -> None:
        self._call(self._host.request_stop, name, incarnation)

    def kill(self, name: str, incarnation: int = 1) -> None:
        self._call(self._host.kill, name, incarnation)

    def check(self, name: str, incarnation: int = 1, timeout: float = 1.0) -> Answer:
        """Have the component's own code say whether it is ready."""
        answer: Future[Answer] = Future()

        def ask() -> None:
            asking = self._host.check(name, incarnation, timeout)  # type: ignore[attr-defined]  # not of every host
            asking.add_done_callback(lambda done: answer.set_result(done.result()))

        self._call(ask)
        return answer.result(DEADLINE)

    def ping(self, name: str, incarnation: int = 1) -> threading.Event:
        """Ask for a sign of life; the event is set when it comes."""
        alive = threading.Event()
        which = () if isinstance(self._host, InlineHost) else (name, incarnation)

        def ask() -> None:
            self._host.ping(*which).add_done_callback(lambda _done: alive.set())  # type: ignore[attr-defined]  # not of every host

        self._call(ask)
        return alive

    def show_stacks(self, name: str, incarnation: int = 1) -> None:
        self._call(self._host.show_stacks, name, incarnation)

    def event(self, kind: type[E], name: str, incarnation: int = 1) -> E:
        """Wait for an event of an incarnation."""

        def find() -> E | None:
            for event in self.seen.events:
                if isinstance(event, kind) and (event.component, event.incarnation) == (name, incarnation):
                    return event
            return None

        found: E = self.seen.until(find, f"{kind.__name__} of {name}/{incarnation}")
        return found

    def started(self, name: str, incarnation: int = 1) -> None:
        self.event(Started, name, incarnation)

    def pid(self, name: str, incarnation: int = 1) -> int:
        return self.event(Launched, name, incarnation).pid

    def exited(self, name: str, incarnation: int = 1) -> Exit:
        return self.event(Exited, name, incarnation).exit

    def is_over(self, name: str, incarnation: int = 1) -> bool:
        return any(
            isinstance(event, Exited) and (event.component, event.incarnation) == (name, incarnation)
            for event in self.seen.events
        )

    def up(self, name: str, incarnation: int = 1) -> None:
        """Launch and wait for the start."""
        self.launch(name, incarnation)
        self.started(name, incarnation)

    def down(self, name: str, incarnation: int = 1) -> Exit:
        """Stop and wait for the end."""
        self.stop(name, incarnation)
        return self.exited(name, incarnation)

    def to_the_end(self, name: str, incarnation: int = 1) -> None:
        """Launch and wait for the end."""
        self.launch(name, incarnation)
        self.exited(name, incarnation)

    def line(self, text: str) -> LogLine:
        """Wait for a line that holds a text."""
        found: LogLine = self.seen.until(
            lambda: next((line for line in self.seen.lines if text in line.message), None), f"line {text!r}"
        )
        return found


Scenario = Callable[[Driver], None]


class Project:
    """A directory with the user's code."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, **files: str) -> Project:
        """Write modules; two underscores stand for a slash."""
        for name, text in files.items():
            path = self.root / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return self

    def spec(self, **changes: Any) -> LauncherSpec:
        values: dict[str, Any] = {
            "name": "test",
            "root": str(self.root),
            "components": (),
            "pythonpath": (str(self.root),),
        }
        return LauncherSpec(**(values | changes))


def agent(name: str, target: str, **changes: Any) -> ComponentSpec:
    return ComponentSpec(name, Kind.AGENT, target, **changes)


def asgi(name: str, target: str, **changes: Any) -> ComponentSpec:
    return ComponentSpec(name, Kind.ASGI, target, **changes)


def command(name: str, *argv: str, **changes: Any) -> ComponentSpec:
    return ComponentSpec(name, Kind.COMMAND, command=argv, **changes)


def python(name: str, code: str, **changes: Any) -> ComponentSpec:
    """A command that runs Python code."""
    return command(name, sys.executable, "-u", "-c", textwrap.dedent(code), **changes)


@contextmanager
def listening(*names: str) -> Iterator[dict[str, list[socket.socket]]]:
    """Listening sockets on loopback, as the supervisor makes them."""
    sockets = {name: [_listener()] for name in names}
    try:
        yield sockets
    finally:
        for group in sockets.values():
            for each in group:
                each.close()


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def drive_inline(
    spec: LauncherSpec,
    components: Sequence[ComponentSpec],
    scenario: Scenario,
    sockets: Mapping[str, Sequence[socket.socket]] | None = None,
) -> Seen:
    """Run a scenario against an inline host, which has the main thread."""
    seen = Seen()
    host = InlineHost(spec, components, sockets or {}, seen.report, seen.log)
    driver = Driver(host, seen, components, lambda function, *arguments: function(*arguments))
    failures: list[BaseException] = []

    def play() -> None:
        try:
            with seen.told():
                scenario(driver)
        except BaseException as error:  # noqa: BLE001  # handed to the main thread
            failures.append(error)
        finally:
            asyncio.run(host.close())

    thread = threading.Thread(target=play, name="driver")
    thread.start()
    host.run()
    thread.join()
    if failures:
        raise failures[0]
    return seen


def drive_processes(
    spec: LauncherSpec,
    components: Sequence[ComponentSpec],
    scenario: Scenario,
    sockets: Mapping[str, Sequence[socket.socket]] | None = None,
) -> Seen:
    """Run a scenario against a process host that starts fresh interpreters; its loop has a thread of its own."""
    return _drive_on_thread(
        lambda seen: ProcessHost(spec, sockets or {}, seen.report, seen.log), components, scenario
    )


def drive_warm(
    spec: LauncherSpec,
    components: Sequence[ComponentSpec],
    scenario: Scenario,
    sockets: Mapping[str, Sequence[socket.socket]] | None = None,
    memory: Memory | None = None,
) -> Seen:
    """Run a scenario against a process host whose children are forked from a zygote."""

    def make(seen: Seen) -> ProcessHost:
        warm = Warm(spec, components, memory or Memory(), seen.log)
        return ProcessHost(spec, sockets or {}, seen.report, seen.log, warm)

    with adopting():
        return _drive_on_thread(make, components, scenario)


@contextmanager
def adopting() -> Iterator[None]:
    """Have this process adopt orphans, as the launcher does, for the time of the block."""
    adopt_orphans()
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(36, ctypes.c_ulong(0), 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def drive_commands(spec: LauncherSpec, components: Sequence[ComponentSpec], scenario: Scenario) -> Seen:
    """Run a scenario against a command host, whose loop has a thread of its own."""
    return _drive_on_thread(lambda seen: CommandHost(spec, seen.report, seen.log), components, scenario)


def _drive_on_thread(
    make: Callable[[Seen], ProcessHost | CommandHost], components: Sequence[ComponentSpec], scenario: Scenario
) -> Seen:
    seen = Seen()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="supervisor")
    thread.start()

    async def made() -> ProcessHost | CommandHost:
        return make(seen)

    host = asyncio.run_coroutine_threadsafe(made(), loop).result()
    try:
        with seen.told():
            scenario(Driver(host, seen, components, loop.call_soon_threadsafe))
    finally:
        asyncio.run_coroutine_threadsafe(host.close(), loop).result(DEADLINE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    return seen


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def marked(name: str, value: str) -> list[int]:
    """Every living process that has a variable of this value in its environment."""
    needle = f"{name}={value}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if (
                entry.name.isdecimal()
                and needle in (entry / "environ").read_bytes()
                and alive(int(entry.name))
            ):
                found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Poll a condition that nothing can be awaited for."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come")


def here(root: Path) -> dict[str, Any]:
    """What code under test, which lies below ``root``, may change in this process."""
    return {
        "root": root,
        "path": sys.path[:],
        "modules": set(sys.modules),
        "environment": dict(os.environ),
        "directory": Path.cwd(),
    }


def restore(before: Mapping[str, Any]) -> None:
    """Undo what code under test has changed."""
    sys.path[:] = before["path"]
    for name in set(sys.modules) - before["modules"]:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        # Nothing else: a library that is imported a second time has other classes, which those who know the first do not catch.
        if Path(origin).is_relative_to(before["root"]):
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(before["environment"])
    os.chdir(before["directory"])
