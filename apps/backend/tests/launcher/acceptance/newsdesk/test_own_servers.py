"""The reference backend as it comes out of the box: no server configured, so the launcher starts the three it declares."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from services.pipeline import PIPELINE
from services.schema import seeds
from services.settings import Settings
from tests.launcher.acceptance.newsdesk.backend import APP, Newsdesk
from tests.launcher.acceptance.newsdesk.wire import get, post
from tests.launcher.acceptance.project import Launcher, Project, eventually, free_port, gone, processes_of

pytestmark = pytest.mark.timeout(240)

PORTS = {"api": "8000", "postgres": "15432", "redis": "16379", "neo4j": "17687"}
"""The ports of the declaration, by component."""

SERVERS = frozenset({"postgres", "redis", "neo4j"})
ARTICLE = {"id": "kept", "title": "Kept", "body": "Neil Armstrong came home. He was glad."}


@dataclass(frozen=True, slots=True)
class Copy:
    """The reference backend in a directory of the test, on other ports."""

    project: Project
    ports: dict[str, int]

    @property
    def newsdesk(self) -> Newsdesk:
        """Where it answers, and the streams of its own server."""
        return Newsdesk(self.ports["api"], Settings(redis_url=f"redis://127.0.0.1:{self.ports['redis']}/0"))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copy]:
    """The same code and the same declaration, but for the ports; data, logs and run directory are in the test's directory."""
    for name in list(os.environ):
        if name.startswith(("POSTGRES_", "REDIS_", "NEO4J_", "NEWSDESK_")):
            monkeypatch.delenv(name)
    declaration = (APP / "launcher.toml").read_text()
    ports = {name: free_port() for name in PORTS}
    for name, port in PORTS.items():
        assert port in declaration
        declaration = declaration.replace(port, str(ports[name]))
    (tmp_path / "src").symlink_to(APP / "src")
    project = Project(tmp_path).declare(declaration)
    yield Copy(project, ports)
    project.close()


def listening(processes: list[psutil.Process]) -> set[int]:
    """The ports that any of the processes listens on."""
    ports = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            ports |= {
                one.laddr.port for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN
            }
    return ports


def refused(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def down(project: Project, launcher: Launcher) -> None:
    """``down`` ends with 0 and leaves no process, grandchildren included, and no port."""
    tree = processes_of(launcher.pid)
    ports = listening(tree)
    done = project.run("down")
    assert done.returncode == 0, done.stderr
    code, output = launcher.finished()
    assert code == 0, output
    assert gone(tree), [one for one in tree if one.is_running()]
    assert [port for port in ports if not refused(port)] == []


def expected_phases() -> dict[str, str]:
    agents = {f"agents.{stage.name}": "ready" for stage in PIPELINE}
    return {"api": "ready", "migrate": "completed", **dict.fromkeys(SERVERS, "ready"), **agents}


def test_out_of_the_box(copy: Copy, mode: str) -> None:
    """``up`` starts servers, schema, API and agents; the first articles are enriched; ``down`` leaves nothing; data outlives it."""
    project, newsdesk = copy.project, copy.newsdesk
    first = project.up_and_ready("--mode", mode)
    status = project.status()
    assert {one["name"]: one["phase"] for one in status["components"]} == expected_phases()
    assert status["launcher"]["mode"] == mode
    assert listening(processes_of(first.pid)) >= set(copy.ports.values())
    assert newsdesk.settled()["complete"] == len(seeds())
    assert newsdesk.ask(post("/articles", ARTICLE)).status == 201
    newsdesk.settled()
    written = newsdesk.ask(get("/articles/kept")).json()
    assert written["complete"]
    down(project, first)

    second = project.up_and_ready("--mode", mode)
    assert {one["name"]: one["phase"] for one in project.status()["components"]} == expected_phases()
    assert newsdesk.ask(get("/articles/kept")).json() == written
    related = newsdesk.ask(get("/articles/kept/related"))
    assert related.status == 200
    assert newsdesk.settled()["articles"] == len(seeds()) + 1
    down(project, second)


def killed(project: Project, name: str) -> None:
    """Kill a server with -9 and wait for its next incarnation."""
    os.kill(project.component(name)["pid"], signal.SIGKILL)
    eventually(f"{name} is a new one", lambda: project.component(name).get("incarnation") == 2)
    project.wait(name)


def test_a_server_that_dies_comes_back(copy: Copy, mode: str) -> None:
    """Each server is killed with -9: it is started again, what was stored is there, and the next article is enriched."""
    project, newsdesk = copy.project, copy.newsdesk
    launcher = project.up_and_ready("--mode", mode)
    newsdesk.settled()
    for name in sorted(SERVERS):
        killed(project, name)
    eventually(
        "an article is accepted", lambda: newsdesk.ask(post("/articles", ARTICLE)).status in (200, 201)
    )
    eventually("the article is complete", lambda: newsdesk.ask(get("/articles/kept")).json().get("complete"))
    newsdesk.settled()
    down(project, launcher)
