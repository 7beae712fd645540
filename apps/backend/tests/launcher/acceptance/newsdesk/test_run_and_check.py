"""Parts of the reference backend alone in the foreground, and its plan without starting anything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.pipeline import PIPELINE
from services.schema import seeds
from services.settings import Settings
from tests.launcher.acceptance.newsdesk.backend import APP, Newsdesk, launched
from tests.launcher.acceptance.newsdesk.wire import get, post
from tests.launcher.acceptance.project import PATIENCE, Project, eventually, free_port

UNSET = dict.fromkeys(("POSTGRES_URL", "REDIS_URL", "NEO4J_URL"), "")
"""An environment that names no servers; an empty variable counts as none."""

AGENTS = [f"agents.{stage.name}" for stage in PIPELINE]

ARTICLE = {"id": "alone", "title": "Alone", "body": "Neil Armstrong came home. He was glad."}


@pytest.fixture
def project(own: Settings, tmp_path: Path) -> Iterator[Project]:
    """The reference backend with a newsdesk of its own."""
    made = launched(tmp_path, own)
    yield made
    made.close()


@contextmanager
def alone(project: Project, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``launcher run`` in the foreground; killed at the end unless the test has ended it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", "run", *arguments],
        cwd=project.root,
        env=project._environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ends_in_order(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output


def answers(newsdesk: Newsdesk) -> bool:
    try:
        return newsdesk.ask(get("/health")).status == 200
    except OSError:
        return False


def test_the_api_runs_alone(project: Project, own: Settings) -> None:
    """``launcher run api`` serves without agents: articles are accepted and wait; Ctrl-C ends it with 0."""
    newsdesk = Newsdesk(free_port(), own)
    with alone(project, "api", "--set", f"components.api.port={newsdesk.port}") as process:
        eventually("the gateway answers", lambda: process.poll() is not None or answers(newsdesk))
        accepted = newsdesk.ask(post("/articles", ARTICLE))
        assert (accepted.status, accepted.json()["enqueued"]) == (201, True)
        assert newsdesk.stats()["waiting"] == 1
        assert project.run("status").returncode == 4, "a component alone is not the backend"
        ends_in_order(process, signal.SIGINT)


def test_a_one_shot_job_runs_alone(project: Project) -> None:
    """``launcher run migrate`` does its work, says so, and ends with its status."""
    done = project.run("run", "migrate")
    assert done.returncode == 0, done.stderr
    assert f"{len(seeds())} stored articles put on the stream" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(AGENTS, id="names"),
        pytest.param(["agents"], id="entry"),
        pytest.param(["agents.*"], id="wildcard"),
    ],
)
def test_the_agents_run_beside_an_api_run_elsewhere(
    project: Project, own: Settings, words: list[str]
) -> None:
    """Two ``launcher run`` in two terminals, API and agents, work on an article together."""
    newsdesk = Newsdesk(free_port(), own)
    with (
        alone(project, "api", "--set", f"components.api.port={newsdesk.port}") as api,
        alone(project, *words) as agents,
    ):
        eventually("the gateway answers", lambda: api.poll() is not None or answers(newsdesk))
        assert newsdesk.ask(post("/articles", ARTICLE)).status == 201
        eventually(
            "the article is complete",
            lambda: agents.poll() is not None or newsdesk.ask(get("/articles/alone")).json()["complete"],
        )
        assert agents.poll() is None
        ends_in_order(agents, signal.SIGTERM)
        ends_in_order(api, signal.SIGTERM)


def waves(text: str) -> list[set[str]]:
    """The waves that ``check`` prints, in order."""
    lines = text.partition("order of start:\n")[2].partition("\n\n")[0].splitlines()
    numbers = [line.strip().partition(". ")[0] for line in lines]
    assert numbers == [str(number) for number in range(1, len(lines) + 1)], text
    return [set(line.partition(". ")[2].split(", ")) for line in lines]


@pytest.mark.parametrize("configured", [False, True])
def test_check_prints_the_plan(tmp_path: Path, mode: str, configured: bool) -> None:
    """``check`` shows which component starts after which, with servers of its own or with those of the environment."""
    given = {
        "POSTGRES_URL": "postgresql://u:secret@db.test/news",
        "REDIS_URL": "redis://db.test:6379/0",
        "NEO4J_URL": "bolt://db.test:7687",
    }
    project = Project(APP, {"LAUNCHER_RUN_DIR": str(tmp_path), **(given if configured else UNSET)})

    done = project.run("check", "--mode", mode)

    assert done.returncode == 0, done.stderr
    servers = [] if configured else [{"postgres", "redis", "neo4j"}]
    assert waves(done.stdout) == [*servers, {"migrate"}, {"api", *AGENTS}]
    assert "secret" not in done.stdout
    assert f"mode {mode}" in done.stdout


def test_check_prints_the_same_plan_for_programs(tmp_path: Path, mode: str) -> None:
    """``check -o json`` is one document that names every component, what it waits for, and where it runs."""
    project = Project(APP, {"LAUNCHER_RUN_DIR": str(tmp_path), **UNSET})
    done = project.run("check", "--mode", mode, "-o", "json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["mode"] == mode
    assert [set(wave) for wave in plan["waves"]] == [
        {"postgres", "redis", "neo4j"},
        {"migrate"},
        {"api", *AGENTS},
    ]
    components = {one["name"]: one for one in plan["components"]}
    assert components.keys() == {name for wave in plan["waves"] for name in wave}
    assert components["migrate"]["oneshot"]
    assert components["api"]["depends_on"] == ["migrate", "redis", "neo4j"]
    assert len({components[name]["placement"] for name in ("api", *AGENTS)}) == (1 if mode == "single" else 8)
