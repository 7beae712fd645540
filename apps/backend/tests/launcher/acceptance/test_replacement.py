"""Replacement before removal, with real processes: clients do not notice a restart, and a bad version is never in the way."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

from tests.launcher.acceptance.project import PATIENCE, Project, eventually, fetch, free_port

if TYPE_CHECKING:
    from pathlib import Path

VERSION = """
    import os
    from contextlib import asynccontextmanager

    from fastapi import FastAPI

    @asynccontextmanager
    async def lifespan(app):
        with open("lives.txt", "a") as lives:
            lives.write(f"begin {VERSION}\\n")
        yield
        with open("lives.txt", "a") as lives:
            lives.write(f"end {VERSION}\\n")

    VERSION = "one"
    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def index():
        return {"version": VERSION, "pid": os.getpid()}

    @app.get("/health")
    async def health():
        return {"ok": True}
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def backend(project: Project, port: int) -> Project:
    """A FastAPI application that is asked whether it is ready."""
    return project.write(web=VERSION).declare(f"""
        [components.api]
        app = "web:app"
        port = {port}
        ready = "/health"
        start_timeout = "20s"
    """)


class Clients:
    """Asks for a page again and again, each time on a fresh connection."""

    def __init__(self, port: int, number: int = 2) -> None:
        self.answers: Counter[str] = Counter()
        self.errors: list[str] = []
        self._url = f"http://127.0.0.1:{port}/"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        eventually("an answer", lambda: self.answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                self.answers[fetch(self._url)[1]] += 1
            except (OSError, urllib.error.URLError) as error:
                self.errors.append(repr(error))
            time.sleep(0.005)  # a modest stream


def lives(root: Path) -> list[str]:
    return (root / "lives.txt").read_text().splitlines()


def test_no_request_is_lost_and_the_new_one_comes_first(backend: Project, port: int) -> None:
    """Under a stream of requests a restart loses none; the new lifespan begins before the old one ends."""
    backend.up_and_ready("--mode", "multi")
    with Clients(port) as clients:
        backend.write(web=VERSION.replace('VERSION = "one"', 'VERSION = "two"'))
        done = backend.run("restart", "api")
        assert done.returncode == 0, done.stderr
        eventually("an answer of the new version", lambda: '"two"' in fetch(f"http://127.0.0.1:{port}/")[1])
        eventually("the old one has ended", lambda: not backend.component("api")["retiring"])
    assert clients.errors == []
    assert lives(backend.root) == ["begin one", "begin two", "end one"]
    assert len(clients.answers) == 2
    document = backend.component("api")
    assert (document["incarnation"], document["restarts"]) == (2, 0)


def test_a_version_that_cannot_be_imported_leaves_the_old_one_serving(backend: Project, port: int) -> None:
    """The command fails with the reason, requests go on being answered, and the next good version takes over."""
    launcher = backend.up_and_ready("--mode", "multi")
    backend.write(web="import nowhere_to_be_found\n")
    with Clients(port) as clients:
        done = backend.run("restart", "api")
    assert done.returncode == 1
    assert "cannot restart api" in done.stderr
    assert "nowhere_to_be_found" in done.stderr
    assert "incarnation 1 goes on" in done.stderr
    assert clients.errors == []
    assert len(clients.answers) == 1
    document = backend.component("api")
    assert (document["phase"], document["incarnation"], document["restarts"]) == ("ready", 1, 0)
    assert "nowhere_to_be_found" in document["failed_restart"]["message"]
    assert "the restart failed" in backend.run("status").stdout

    backend.write(web=VERSION.replace('VERSION = "one"', 'VERSION = "two"'))
    assert backend.run("restart", "api").returncode == 0
    assert '"two"' in fetch(f"http://127.0.0.1:{port}/")[1]
    assert backend.component("api")["failed_restart"] is None
    backend.run("down")
    _, output = launcher.finished()
    assert "the restart failed" in output


def test_a_version_that_is_never_ready_is_not_mistaken_for_the_old_one(backend: Project, port: int) -> None:
    """Old and new share a port; the check asks the new one, whose answer it is that counts."""
    backend.declare((backend.root / "launcher.toml").read_text().replace('"20s"', '"10s"'))
    backend.up_and_ready("--mode", "multi")
    sick = VERSION.replace('return {"ok": True}', "raise RuntimeError('sick')").replace('"one"', '"two"')
    backend.write(web=sick)
    done = backend.run("restart", "api")
    assert done.returncode == 1
    assert f"not ready within 10 s: 127.0.0.1:{port} answered 500" in done.stderr
    assert '"one"' in fetch(f"http://127.0.0.1:{port}/")[1]
    eventually("the new one is gone", lambda: not backend.component("api")["retiring"])
    assert lives(backend.root) == ["begin one", "begin two", "end two"]


def test_status_shows_what_happens_beside_the_old_one(backend: Project) -> None:
    """While a new version starts, the component is ready, and both incarnations are seen."""
    backend.up_and_ready("--mode", "multi")
    backend.write(web="import time\n\nwhile True:\n    time.sleep(0.05)\n")
    assert backend.run("restart", "api", "--timeout", "0.2").returncode != 0

    eventually("the new one has a process", lambda: backend.component("api")["successor"]["pid"])
    document = backend.component("api")
    assert (document["phase"], document["incarnation"]) == ("ready", 1)
    assert document["successor"]["incarnation"] == 2
    assert document["successor"]["phase"] == "starting"
    assert document["successor"]["pid"] != document["pid"]
    assert "restarting: incarnation 2 is starting" in backend.run("status").stdout

    assert backend.run("stop", "api", "--timeout", str(PATIENCE)).returncode == 0
    document = backend.component("api")
    assert (document["phase"], document["successor"], document["retiring"]) == ("stopped", None, [])


def test_in_a_shared_process_it_is_stopped_first(backend: Project, port: int) -> None:
    """Two lifespans of one application object would share its state; clients wait in the queue meanwhile."""
    backend.up_and_ready("--mode", "single")
    with Clients(port) as clients:
        assert backend.run("restart", "api").returncode == 0
    assert clients.errors == []
    assert lives(backend.root)[:3] == ["begin one", "end one", "begin one"]


def test_overlap_can_be_switched_off_and_on(project: Project, port: int) -> None:
    """A server that must be alone is stopped first, and an agent that need not be is replaced."""
    agent = """
        import asyncio

        async def run():
            with open("agent.txt", "a") as lives:
                lives.write("begin\\n")
            try:
                await asyncio.Event().wait()
            finally:
                with open("agent.txt", "a") as lives:
                    lives.write("end\\n")
    """
    project.write(web=VERSION, jobs=agent).declare(f"""
        [components.api]
        app = "web:app"
        port = {port}
        overlap = false

        [components.worker]
        run = "jobs:run"
        overlap = true
    """)
    project.up_and_ready("--mode", "multi")
    assert project.run("restart", "api", "worker").returncode == 0
    assert lives(project.root) == ["begin one", "end one", "begin one"]
    eventually("the old agent has ended", lambda: not project.component("worker")["retiring"])
    assert (project.root / "agent.txt").read_text().split() == ["begin", "begin", "end"]
