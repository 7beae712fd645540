"""Replicas with real processes: they share a port, are restarted one by one, and come and go while everything runs."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.launcher.acceptance.project import Project, eventually, fetch, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

WEB = """
    import os

    VERSION = "one"

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        variables = ["LAUNCHER_COMPONENT", "LAUNCHER_REPLICA", "PORT"]
        body = " ".join([VERSION, str(os.getpid()), *(os.environ.get(name, "-") for name in variables)])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body.encode()})
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def backend(project: Project, port: int) -> Project:
    """A web application with three replicas."""
    return project.write(web=WEB).declare(f"""
        [components.api]
        app = "web:app"
        port = {port}
        replicas = 3
        ready = "/"
    """)


def names(project: Project) -> list[str]:
    return [one["name"] for one in project.status()["components"]]


def pids(project: Project) -> set[int]:
    return {one["pid"] for one in project.status()["components"]}


def answered_by(port: int, enough: Callable[[set[str]], bool]) -> set[str]:
    """Ask on fresh connections until enough different ones have answered."""
    seen: set[str] = set()

    def ask() -> bool:
        seen.add(fetch(f"http://127.0.0.1:{port}/")[1])
        return enough(seen)

    eventually("different answers", ask)
    return seen


def test_replicas_share_the_load(backend: Project, port: int) -> None:
    """Each answers on the one port, and knows its name, its number and the port."""
    backend.up_and_ready("--mode", "multi")
    assert names(backend) == ["api", "api.2", "api.3"]
    assert len(pids(backend)) == 3
    seen = answered_by(port, lambda answers: len(answers) == 3)
    assert {int(answer.split()[1]) for answer in seen} == pids(backend)
    assert {tuple(answer.split()[2:]) for answer in seen} == {
        ("api", "1", str(port)),
        ("api.2", "2", str(port)),
        ("api.3", "3", str(port)),
    }


def test_one_process_runs_one(backend: Project, port: int) -> None:
    """In single mode there is one, and ``check`` and ``up`` say why."""
    assert "one of 3 replicas runs" in backend.run("check", "--mode", "single").stdout
    assert "one of 3 replicas runs" not in backend.run("check", "--mode", "multi").stdout
    launcher = backend.up_and_ready("--mode", "single")
    assert names(backend) == ["api"]
    assert fetch(f"http://127.0.0.1:{port}/")[0] == 200
    done = backend.run("scale", "api=2")
    assert done.returncode == 1
    assert "runs in the launcher's own process" in done.stderr
    assert "--mode multi" in done.stderr
    backend.run("down")
    assert "one of 3 replicas runs" in launcher.finished()[1]


def test_the_death_of_one_leaves_the_others_serving(backend: Project, port: int) -> None:
    """No request is refused while it is replaced."""
    backend.up_and_ready("--mode", "multi")
    victim = backend.component("api.2")
    os.kill(victim["pid"], signal.SIGKILL)
    eventually("it is noticed", lambda: backend.component("api.2")["incarnation"] > victim["incarnation"])
    answered_by(port, lambda answers: len(answers) >= 2)
    assert backend.component("api")["incarnation"] == 1
    assert backend.component("api.3")["incarnation"] == 1
    backend.wait("api.2")


def test_a_rolling_restart_goes_one_by_one(backend: Project, port: int) -> None:
    """Each next one begins after the one before is ready; afterwards all have new code."""
    backend.up_and_ready("--mode", "multi")
    before = pids(backend)
    backend.write(web=WEB.replace('VERSION = "one"', 'VERSION = "two"'))
    done = backend.run("restart", "api", "-o", "json")
    assert done.returncode == 0, done.stderr
    restarted = json.loads(done.stdout)
    assert [one["name"] for one in restarted] == ["api", "api.2", "api.3"]
    began = [psutil.Process(one["pid"]).create_time() for one in restarted]
    assert began == sorted(began)
    assert not pids(backend) & before
    eventually("old ones are gone", lambda: not [pid for pid in before if psutil.pid_exists(pid)])
    seen = answered_by(port, lambda answers: len(answers) == 3)
    assert {answer.split()[0] for answer in seen} == {"two"}


def test_a_rolling_restart_stops_at_the_first_failure(backend: Project, port: int) -> None:
    """A bad version reaches nobody, and the command says what was left as it was."""
    backend.up_and_ready("--mode", "multi")
    before = pids(backend)
    backend.write(web="raise RuntimeError('bad version')\n")
    done = backend.run("restart", "api")
    assert done.returncode == 1
    assert "cannot restart api" in done.stderr
    assert "bad version" in done.stderr
    assert "left as they were, since api failed: api.2, api.3" in done.stderr
    assert pids(backend) == before
    assert fetch(f"http://127.0.0.1:{port}/")[0] == 200


def test_scale_up_and_down_live(backend: Project, port: int) -> None:
    """``scale`` returns when new ones are ready, and when others are gone; what stays is not touched."""
    backend.up_and_ready("--mode", "multi")
    first = backend.component("api")["pid"]

    done = backend.run("scale", "api=5", "-o", "json")
    assert done.returncode == 0, done.stderr
    grown: list[dict[str, Any]] = json.loads(done.stdout)
    assert [one["name"] for one in grown] == ["api", "api.2", "api.3", "api.4", "api.5"]
    assert {one["phase"] for one in grown} == {"ready"}
    answered_by(port, lambda answers: any("api.5" in answer for answer in answers))
    surplus = [one["pid"] for one in grown[1:]]

    done = backend.run("scale", "api", "1")
    assert done.returncode == 0, done.stderr
    assert names(backend) == ["api"]
    assert backend.component("api")["pid"] == first
    assert not [pid for pid in surplus if psutil.pid_exists(pid)]
    assert fetch(f"http://127.0.0.1:{port}/")[1].split()[1] == str(first)

    assert backend.run("scale", "api=2").returncode == 0
    assert backend.component("api.2")["incarnation"] == 2
    assert backend.run("logs", "api.2").returncode == 0
    assert backend.run("down").returncode == 0


def test_one_replica_can_be_stopped_by_its_name(backend: Project) -> None:
    """``NAME`` means all of them, ``NAME.2`` the second, ``NAME.1`` the first."""
    backend.up_and_ready("--mode", "multi")
    assert backend.run("stop", "api.1", "api.2").returncode == 0
    phases = {one["name"]: one["phase"] for one in backend.status()["components"]}
    assert phases == {"api": "stopped", "api.2": "stopped", "api.3": "ready"}
    assert backend.run("start", "api").returncode == 0
    assert backend.run("wait", "api").returncode == 0
    assert {one["phase"] for one in backend.status()["components"]} == {"ready"}


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["apy=2"], 2, 'no component called "apy"'),
        (["api.2=2"], 2, "name the component, not one of its replicas"),
        (["api=0"], 2, "launcher stop api"),
        (["api=1000"], 2, "more than 100"),
        (["tool=2"], 1, "it is a command"),
        (["api=many"], 2, "no number of replicas"),
    ],
)
def test_what_cannot_be_scaled(backend: Project, words: list[str], code: int, what: str) -> None:
    """Each mistake is answered with what to do, and changes nothing."""
    backend.declare(
        (backend.root / "launcher.toml").read_text() + '\n[components.tool]\ncommand = "sleep 1000"\n'
    )
    backend.up_and_ready("--mode", "multi")
    done = backend.run("scale", *words)
    assert what in done.stderr
    assert done.returncode == code
    assert names(backend) == ["api", "api.2", "api.3", "tool"]


def test_agents_have_replicas(project: Project) -> None:
    """Each runs the same agent in a process of its own."""
    agent = """
        import asyncio, os

        async def run():
            print("I am", os.environ["LAUNCHER_REPLICA"])
            await asyncio.Event().wait()
    """
    project.write(jobs=agent).declare("""
        [components.worker]
        run = "jobs:run"
        replicas = 2
    """)
    project.up_and_ready("--mode", "multi")
    assert len(pids(project)) == 2
    eventually("the second one has spoken", lambda: "I am 2" in project.run("logs", "worker.2").stdout)
