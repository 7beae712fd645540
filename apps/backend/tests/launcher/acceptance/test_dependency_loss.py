"""What happens to those that depend on a real server when it goes away and comes back, in every mode."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.launcher.acceptance.project import AGENT, Project, eventually, free_port
from tests.launcher.integration.probes.servers import valkey


class Server:
    """A Valkey that can be taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._running = ExitStack()

    def start(self) -> None:
        self._running.enter_context(valkey(self._folder, self.port))

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Server(tmp_path_factory.mktemp("valkey"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def backend(project: Project, server: Server) -> Project:
    """Three agents on one server, one for each policy, and one on top of the one that goes down."""
    agents = "\n".join(
        f"""
        [components.{name}]
        run = "jobs:run"
        depends_on = ["{needed}"]
        on_dependency_loss = "{loss}"
        """
        for name, needed, loss in (
            ("keeps", "redis", "keep"),
            ("stops", "redis", "stop"),
            ("restarts", "redis", "restart"),
            ("follows", "stops", "stop"),
        )
    )
    return project.write(jobs=AGENT).declare(
        f"""{agents}
        [dependencies.redis]
        url = "redis://127.0.0.1:{server.port}"
        period = "100ms"
        """
    )


def phases(project: Project) -> dict[str, tuple[str, int]]:
    """Phase and incarnation of everything."""
    return {one["name"]: (one["phase"], one["incarnation"]) for one in project.status().get("components", [])}


def test_a_server_goes_and_comes_back(backend: Project, server: Server, mode: str) -> None:
    """One keeps going, one goes down with the server, one on top of that, too; all are well again when it is back, each once."""
    launcher = backend.up_and_ready("--mode", mode)
    server.stop()
    gone = {
        "keeps": ("ready", 1),
        "stops": ("waiting", 1),
        "restarts": ("ready", 1),
        "follows": ("waiting", 1),
    }
    eventually("those that follow are down", lambda: phases(backend) == gone, launcher=launcher)
    keeps = backend.component("keeps")
    assert [(need["name"], need["what"]) for need in keeps["needs"]] == [("redis", "down")]
    assert keeps["needs"][0]["seconds"] > 0
    assert [wait["name"] for wait in backend.component("follows")["waits_for"]] == ["stops"]
    assert "needs redis: down for" in backend.run("status").stdout

    server.start()
    back = {"keeps": ("ready", 1), "stops": ("ready", 2), "restarts": ("ready", 2), "follows": ("ready", 2)}
    eventually("all are ready again", lambda: phases(backend) == back, launcher=launcher)
    assert [one["restarts"] for one in backend.status()["components"]] == [0, 0, 0, 0]
    assert backend.component("keeps")["needs"] == []
    assert backend.status()["dependencies"][0]["latency"] > 0

    assert backend.run("down").returncode == 0
    code, output = launcher.finished()
    assert code == 0
    assert "redis is lost" in output
    assert "needed by keeps, stops, restarts" in output
    assert "redis is back after" in output


def test_a_component_is_restarted_with_its_dependents(project: Project, mode: str) -> None:
    """A component that is restarted by hand takes those along that declare it, once it is ready again."""
    project.write(jobs=AGENT).declare("""
        [components.store]
        run = "jobs:run"

        [components.cache]
        run = "jobs:run"
        depends_on = ["store"]
        on_dependency_loss = "restart"

        [components.other]
        run = "jobs:run"
        depends_on = ["store"]
    """)
    launcher = project.up_and_ready("--mode", mode)
    assert project.run("restart", "store").returncode == 0
    after = {"store": ("ready", 2), "cache": ("ready", 2), "other": ("ready", 1)}
    eventually("the dependent has a new incarnation", lambda: phases(project) == after, launcher=launcher)


def test_check_says_who_follows(backend: Project) -> None:
    """``check`` names the policy of those that do not keep going."""
    shown = backend.run("check").stdout
    assert "redis (on loss: stop)" in shown
    assert "redis (on loss: restart)" in shown
    assert "on loss: keep" not in shown


def test_a_policy_that_does_not_exist(project: Project) -> None:
    """A wrong word is answered with the right ones."""
    project.write(jobs=AGENT).declare("""
        [components.worker]
        run = "jobs:run"
        on_dependency_loss = "restrat"

        [components.job]
        run = "jobs:run"
        oneshot = true
        on_dependency_loss = "stop"
    """)
    done = project.run("check")
    assert done.returncode == 2
    assert 'must be one of "keep", "stop", "restart"' in done.stderr
    assert 'did you mean "restart"?' in done.stderr
    assert "it runs to its end, whatever becomes of what it needed to start" in done.stderr
