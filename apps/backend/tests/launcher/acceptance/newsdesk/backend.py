"""The reference backend on servers of the test, started as anybody would start it: without the launcher, or by it in a mode."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis import Redis

from services.settings import Settings
from tests.backend_servers import environment, own_newsdesk, variables
from tests.launcher.acceptance.newsdesk.wire import Request, Response, ask, get
from tests.launcher.acceptance.project import PATIENCE, Project, eventually

APP = Path(__file__).resolve().parents[4]
"""The directory of the reference backend, where its ``launcher.toml`` is."""

LEGACY = "legacy"
"""The name of the way without the launcher: uvicorn and the agents' own launcher, in two terminals."""

HASHES = {"PYTHONHASHSEED": "0"}
"""In every way of starting: the framework writes ``allow`` in the order of a set, which differs from process to process otherwise."""


@dataclass(frozen=True, slots=True)
class Newsdesk:
    """A running backend: where it answers, and where it keeps things."""

    port: int
    own: Settings

    def ask(self, request: Request) -> Response:
        """Send a request on a connection of its own."""
        return ask(self.port, request)

    def stats(self) -> dict[str, Any]:
        """The totals."""
        return dict(self.ask(get("/stats")).json())

    def settled(self) -> dict[str, Any]:
        """Wait until nothing is outstanding, not even an announcement that nobody needs; return the totals."""

        def quiet() -> dict[str, Any] | None:
            now = self.stats()
            done = now["complete"] + now["failed"] == now["articles"]
            return now if done and now["waiting"] == 0 and drained(self.own) else None

        return dict(eventually("the agents have nothing left to do", quiet, patience=3 * PATIENCE))


def drained(own: Settings) -> bool:
    """Whether every agent has read and acknowledged all that is on its stream."""
    with Redis.from_url(own.redis_url, decode_responses=True) as client:
        for stream in (f"{own.namespace}:articles", f"{own.namespace}:results"):
            for group in cast(Any, client.xinfo_groups(stream)) if client.exists(stream) else ():
                unread = client.xrange(stream, f"({group['last-delivered-id']}", "+", count=1)
                if group["pending"] or unread:
                    return False
    return True


@contextmanager
def own_settings(servers: Settings) -> Iterator[Settings]:
    """A database with tables and a namespace, for the time of the block and for code that is not asynchronous."""
    with asyncio.Runner() as runner:
        newsdesk = own_newsdesk(servers)
        own = runner.run(newsdesk.__aenter__())
        try:
            yield own
        finally:
            runner.run(newsdesk.__aexit__(None, None, None))


def launched(folder: Path, own: Settings) -> Project:
    """The reference backend as a project of the launcher: its own declaration, run directory and logs below ``folder``."""
    places = {"LAUNCHER_RUN_DIR": str(folder / "run"), "LAUNCHER_LOG_DIR": str(folder / "logs")}
    return Project(APP, {**variables(own), **places, **HASHES})


def flags(mode: str, port: int) -> tuple[str, ...]:
    """What ``launcher up`` is given: the declaration, the mode, and a port of the test's own."""
    return "-f", str(APP / "launcher.toml"), "--mode", mode, "--set", f"components.api.port={port}"


@contextmanager
def running(way: str, folder: Path, own: Settings, port: int) -> Iterator[Newsdesk]:
    """The backend, ready, its first articles enriched; stopped in order at the end."""
    starting = _legacy(folder, own, port) if way == LEGACY else _by_launcher(way, folder, own, port)
    with starting:
        newsdesk = Newsdesk(port, own)
        eventually(
            "the backend is ready", lambda: newsdesk.ask(get("/health/ready")).json()["status"] == "ready"
        )
        newsdesk.settled()
        yield newsdesk


@contextmanager
def _by_launcher(mode: str, folder: Path, own: Settings, port: int) -> Iterator[None]:
    project = launched(folder, own)
    try:
        launcher = project.up_and_ready(*flags(mode, port))
        assert project.status()["launcher"]["mode"] == mode
        yield
        done = project.run("down")
        assert done.returncode == 0, done.stderr
        code, output = launcher.finished()
        assert code == 0, output
    finally:
        project.close()


@contextmanager
def _legacy(folder: Path, own: Settings, port: int) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    given = environment(**variables(own), **HASHES)
    subprocess.run(
        [sys.executable, "-m", "services.schema"], env=given, check=True, capture_output=True, cwd=folder
    )
    listening = ("--host", "127.0.0.1", "--port", str(port))
    with ExitStack() as stack:
        agents = stack.enter_context(_program(folder, given, "agents.launcher"))
        api = stack.enter_context(_program(folder, given, "uvicorn", "api.main:app", *listening))
        eventually("the agents are ready", lambda: "ready: " in _output(folder, "agents.launcher"))
        eventually("uvicorn serves", lambda: "Uvicorn running on" in _output(folder, "uvicorn"))
        yield
        assert api.poll() is None, _output(folder, "uvicorn")
        assert agents.poll() is None, _output(folder, "agents.launcher")


@contextmanager
def _program(
    folder: Path, given: dict[str, str], module: str, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{module}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=given,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _output(folder: Path, module: str) -> str:
    return (folder / f"{module}.log").read_text(errors="replace")
