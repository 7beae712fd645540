"""``launcher compare`` on a real backend: it is started in every mode, measured, broken and stopped, and nothing else is disturbed."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest

from launcher.errors import ExitCode
from tests.launcher.acceptance.project import (
    AGENT,
    WEB,
    Project,
    eventually,
    fetch,
    free_port,
    gone,
    processes_of,
)

pytestmark = pytest.mark.timeout(400)
"""Seconds; a comparison starts the backend eight times, and the machine may be slow and busy."""

LONG = 350.0
"""Seconds that a whole comparison may take."""

PIDFILE_WEB = f"""
    import os
    from pathlib import Path

    Path("web.pid").write_text(str(os.getpid()))
    {WEB}
"""

WATCHER = """
    import asyncio, os
    from pathlib import Path

    def alive(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    async def run():
        while not alive(pid := int(Path("web.pid").read_text())):
            await asyncio.sleep(0.02)
        while alive(pid):
            await asyncio.sleep(0.02)
        raise RuntimeError("the web application is gone")
"""
"""An agent that cannot live without the process of the web application."""

LOAD = """
    import json, os, subprocess, sys, urllib.request

    told = subprocess.run([sys.executable, "-m", "launcher", "status", "-o", "json"], capture_output=True, check=True)
    status = json.loads(told.stdout)
    with open("modes", "a") as file:
        print(status["launcher"]["mode"], os.environ["LAUNCHER_RUN_DIR"], file=file)
    api = next(one for one in status["components"] if one["name"] == "api")
    urllib.request.urlopen(api["url"]).read()
"""


def declared(project: Project) -> Project:
    """A web application, an agent that needs it, one that does not, and a command."""
    return project.write(web=PIDFILE_WEB, jobs=AGENT, watcher=WATCHER, load=LOAD).declare(f"""
        [launcher]
        name = "small"

        [components.api]
        app = "web:app"
        port = {free_port()}

        [components.worker]
        run = "jobs:run"

        [components.watcher]
        run = "watcher:run"
        depends_on = ["api"]

        [components.store]
        command = "python -c 'import signal; signal.pause()'"
    """)


@pytest.fixture
def scratch(project: Project) -> Iterator[Path]:
    """The directory for temporary files, as the project's commands know it; short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="t-") as name:
        project.environment["TMPDIR"] = name
        yield Path(name)


@pytest.fixture
def backend(project: Project) -> Project:
    """The backend of ``declared``."""
    return declared(project)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, dict[str, Any]]]:
    """One whole comparison: the project it was made in, and the document that it printed."""
    project = declared(Project(tmp_path_factory.mktemp("compared")))
    done = project.run(
        "compare", "--runs", "3", "--settle", "0.2", "--load", "python load.py", "-o", "json",
        "--gate=processes=0.7,memory=0.95", "--html", "page.html", patience=LONG,
    )  # fmt: skip
    assert done.returncode == ExitCode.OK, done.stderr
    yield project, json.loads(done.stdout)
    project.close()


def figure(document: dict[str, Any], key: str) -> dict[str, Any]:
    """One figure of the document, by mode."""
    return dict(next(one["modes"] for one in document["figures"] if one["key"] == key))


@pytest.mark.slow
def test_every_figure_of_every_run(compared: tuple[Project, dict[str, Any]]) -> None:
    """Each figure has three values in each mode, and its median lies between the lowest and the highest."""
    _, document = compared
    keys = [one["key"] for one in document["figures"]]
    assert keys == [
        *("ready", "memory", "memory-all", "cpu", "cpu-all", "processes", "restart"),
        *("p50", "p99", "request-cpu", "load", "load-cpu", "stop"),
    ]
    for key in keys:
        modes = figure(document, key)
        assert set(modes) == {"single", "multi"}
        for values in modes.values():
            assert len(values["runs"]) == 3
            assert 0 <= values["low"] <= values["median"] <= values["high"]
    assert document["notes"] == []


@pytest.mark.slow
def test_commands_are_told_apart(compared: tuple[Project, dict[str, Any]]) -> None:
    """Single has a guard and one process, multi a zygote and one for each component besides; the command is in neither, but in the other figure."""
    _, document = compared
    assert figure(document, "processes")["single"]["runs"] == [2, 2, 2]
    assert figure(document, "processes")["multi"]["runs"] == [6, 6, 6]
    for mode in ("single", "multi"):
        own, everyone = (figure(document, key)[mode]["median"] for key in ("memory", "memory-all"))
        assert own < everyone


@pytest.mark.slow
def test_the_load_reaches_the_backend_of_the_comparison(compared: tuple[Project, dict[str, Any]]) -> None:
    """The load is run once in each run that counts, finds that launcher by its environment, and the modes take turns."""
    project, _ = compared
    lines = [line.split() for line in (project.root / "modes").read_text().splitlines()]
    assert [mode for mode, _ in lines] == ["multi", "single", "single", "multi", "multi", "single"]
    assert len({place for _, place in lines}) == 6


@pytest.mark.slow
def test_blast_radius(compared: tuple[Project, dict[str, Any]]) -> None:
    """In multi a killed component comes back, and only who cannot live without it notices; in single everything has ended."""
    _, document = compared
    (one,) = document["blast"]["single"]
    assert one == {
        "killed": ["api", "worker", "watcher"],
        "noticed": [],
        "launcher_ended": True,
        "seconds": None,
        "left": 0,
    }
    many = document["blast"]["multi"]
    assert [blow["killed"] for blow in many] == [["api"], ["worker"], ["watcher"]]
    assert [blow["noticed"] for blow in many] == [["watcher"], [], []]
    assert not any(blow["launcher_ended"] for blow in many)
    assert all(blow["seconds"] > 0 for blow in many)


@pytest.mark.slow
def test_gates_that_are_met(compared: tuple[Project, dict[str, Any]]) -> None:
    """What was demanded stands in the document with what was measured."""
    _, document = compared
    assert [(gate["figure"], gate["limit"], gate["outcome"]) for gate in document["gates"]] == [
        ("processes", 0.7, "met"),
        ("memory", 0.95, "met"),
    ]
    assert document["gates"][0]["ratio"] == pytest.approx(2 / 6, abs=1e-4)


class Page(HTMLParser):
    """What is in a page: its elements, their attributes, and whether every element is closed in order."""

    VOID = frozenset({"meta", "line", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.slow
def test_the_page_is_whole_and_asks_for_nothing(compared: tuple[Project, dict[str, Any]]) -> None:
    """The page is well formed, has a chart for each figure, speaks of every component, and names no address."""
    project, document = compared
    text = (project.root / "page.html").read_text()
    page = Page(text)
    assert page.open == []
    assert text.startswith("<!DOCTYPE html>")
    assert page.tags.count("svg") == len(document["figures"])
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not [
        name for name, _ in page.attributes if name in {"src", "href", "srcset"} or name.startswith("on")
    ]
    assert not re.search(r"https?:|//\w|url\(|@import", text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert "prefers-color-scheme: dark" in text
    assert {"small: single and multi compared", "api", "worker", "watcher"} <= set(page.words)


def test_other_commands_do_not_pay_for_it() -> None:
    """Neither another command nor the help of this one imports what measures."""
    program = "import sys, launcher.cli, launcher.cli.compare, launcher.cli.status, launcher.cli.up; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not [name for name in told.split() if name == "psutil" or name.startswith("launcher.compare")]


@pytest.mark.slow
def test_a_gate_that_is_missed(project: Project, scratch: Path) -> None:
    """A gate that is missed gives its own exit code, the table says what was measured, and nothing is left behind."""
    project.write(jobs=AGENT).declare(
        '[components.one]\nrun = "jobs:run"\n[components.two]\nrun = "jobs:run"\n'
    )
    done = project.run("compare", "--settle", "0", "--no-blast", "--gate=processes=0.1", patience=LONG)
    assert done.returncode == ExitCode.GATE_MISSED, done.stderr
    assert "blast radius" not in done.stdout
    assert re.search(r"processes +at most 10 % +40 % +missed", done.stdout), done.stdout
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_a_running_launcher_is_left_alone(project: Project) -> None:
    """Beside a running launcher whose ports are its own, the comparison does its work, and that launcher notices nothing."""
    project.write(web=WEB, jobs=AGENT).declare('[components.worker]\nrun = "jobs:run"\n')
    launcher = project.up_and_ready("--mode", "single")
    before = project.status()
    done = project.run(
        "compare", "--runs", "1", "--settle", "0", "--modes", "multi", "--no-blast", "-o", "json"
    )
    assert done.returncode == ExitCode.OK, done.stderr
    document = json.loads(done.stdout)
    assert document["pairs"] == []
    assert any("a launcher is running" in note for note in document["notes"])
    after = project.status()
    assert after["launcher"]["pid"] == before["launcher"]["pid"]
    assert [one["incarnation"] for one in after["components"]] == [1]
    launcher.signal(signal.SIGTERM)
    assert launcher.finished()[0] == 0


def test_ports_of_a_running_launcher_are_refused(project: Project) -> None:
    """When the project's own launcher holds a port, that is said, with its process, and how to stop it."""
    port = free_port()
    project.write(web=WEB).declare(f'[components.api]\napp = "web:app"\nport = {port}\n')
    project.up_and_ready("--mode", "single")
    pid = project.status()["launcher"]["pid"]
    done = project.run("compare")
    assert done.returncode == ExitCode.FAILED
    assert f"cannot compare api: port {port} is taken by PID {pid}" in done.stderr
    assert "stop it with: launcher down" in done.stderr
    assert fetch(f"http://127.0.0.1:{port}/") == (200, "hello")


def test_a_port_of_somebody_else_is_refused(project: Project) -> None:
    """When somebody else holds a port, nothing is started, and it is said who."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        project.write(web=WEB).declare(f'[components.api]\napp = "web:app"\nport = {port}\n')
        done = project.run("compare", "-o", "json")
    assert done.returncode == ExitCode.FAILED
    error = json.loads(done.stdout)["error"]
    assert f"port {port} is taken by PID" in error["message"]
    assert "launcher down" not in error["hint"]


def test_a_backend_that_does_not_start(project: Project, scratch: Path) -> None:
    """It ends with 1 and says in which mode, why, and where the logs are kept."""
    project.write(jobs="raise RuntimeError('no such day')").declare('[components.worker]\nrun = "jobs:run"\n')
    done = project.run("compare", "--modes", "multi")
    assert done.returncode == ExitCode.FAILED
    assert "in mode multi" in done.stderr
    assert "no such day" in done.stderr
    (kept,) = scratch.iterdir()
    assert f"kept in {kept}" in done.stderr
    assert list(kept.glob("multi-0/logs/worker.jsonl"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["--modes", "single,mulit"], "did you mean multi?", id="unknown mode"),
        pytest.param(["--modes", "single,single"], "each mode once", id="a mode twice"),
        pytest.param(["--gate=memroy=0.7"], "did you mean memory?", id="unknown figure"),
        pytest.param(["--gate=memory=seven"], "FIGURE=RATIO", id="bad limit"),
        pytest.param(["--gate", "--runs", "2"], "--runs 3", id="too few runs for a gate"),
        pytest.param(
            ["--gate", "--modes", "single"], "--modes single,multi", id="a gate without a second mode"
        ),
        pytest.param(["--runs", "0"], "--runs takes 1 or more", id="no runs"),
        pytest.param(["--load", "no-such-program"], "there is no program no-such-program", id="unknown load"),
        pytest.param(["--request", "health"], "--request /health", id="bad path"),
        pytest.param(["--request", "store=/"], "which is no ASGI component", id="request to a command"),
        pytest.param(
            ["--html", "no/such/page.html"], "there is no such directory", id="page without a directory"
        ),
        pytest.param(["--modes", "groups"], "groups", id="a mode that cannot be run"),
        pytest.param(["nobody"], "nobody", id="unknown component"),
    ],
)
def test_what_is_refused_before_anything_is_started(backend: Project, words: list[str], told: str) -> None:
    """A command line that cannot be is refused with 2 and a hint; nothing is started."""
    done = backend.run("compare", *words)
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert told in done.stderr
    assert not (backend.root / "web.pid").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_an_interrupted_comparison(
    backend: Project, scratch: Path, number: signal.Signals
) -> None:
    """A comparison that is asked to end stops the backend in order; one that is killed takes it along."""
    environment = backend._environ()
    with subprocess.Popen(
        [sys.executable, "-m", "launcher", "compare", "--settle", "60"],
        cwd=backend.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert "ready after" in process.stderr.readline()
        everyone = processes_of(process.pid)
        assert len(everyone) > 3
        child = psutil.Process(process.pid).children()[0]
        (child if number is signal.SIGKILL else everyone[0]).send_signal(number)
        process.stderr.read()
        code = process.wait()
    eventually("everything is gone", lambda: gone(everyone))
    if number is signal.SIGKILL:
        assert code == 128 + number
    else:
        assert code == ExitCode.INTERRUPTED
        assert not list(scratch.iterdir())


NOT_FOUND = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        status = 200 if scope["path"] == "/there" else 404
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
"""


@pytest.mark.parametrize("request_", ["/", "api=/there"])
def test_what_makes_figures_doubtful_is_noted(project: Project, request_: str) -> None:
    """Answers that refuse and a load that fails are told, and the time of such a load is no figure."""
    project.write(web=NOT_FOUND).declare(f'[components.api]\napp = "web:app"\nport = {free_port()}\n')
    done = project.run(
        "compare", "--runs", "1", "--modes", "single", "--no-blast", "--settle", "0", "-o", "json",
        "--request", request_, "--load", "python -c 'raise SystemExit(3)'",
    )  # fmt: skip
    assert done.returncode == ExitCode.OK, done.stderr
    document = json.loads(done.stdout)
    refused = (
        ["single: api answered GET / with 404; --request api=/PATH asks another"] if request_ == "/" else []
    )
    assert document["notes"] == [*refused, "single: the load ended with 3"]
    keys = {one["key"] for one in document["figures"]}
    assert "p50" in keys
    assert not {"load", "load-cpu", "cpu"} & keys


@pytest.mark.slow
def test_a_critical_component_takes_everything_along(project: Project) -> None:
    """When the death of one component stops the backend, that is found by killing it, and nobody is killed after it."""
    project.write(jobs=AGENT).declare("""
        [components.vital]
        run = "jobs:run"
        critical = true
        restart = "never"

        [components.other]
        run = "jobs:run"
    """)
    done = project.run("compare", "--runs", "1", "--modes", "multi", "--settle", "0", "-o", "json")
    assert done.returncode == ExitCode.OK, done.stderr
    (blow,) = json.loads(done.stdout)["blast"]["multi"]
    assert (blow["killed"], blow["noticed"], blow["launcher_ended"]) == (["vital"], ["other"], True)


def test_a_backend_that_ends_meanwhile(project: Project, scratch: Path) -> None:
    """When somebody stops the backend during the comparison, that is said, in which mode, and the logs are kept."""
    project.write(jobs=AGENT).declare('[components.worker]\nrun = "jobs:run"\n')
    done = project.run(
        *("compare", "--runs", "1", "--modes", "single", "--no-blast", "--load", "python -m launcher down")
    )
    assert done.returncode == ExitCode.FAILED
    assert "in mode single" in done.stderr
    assert "the launcher ended with 0 while it was measured" in done.stderr
    assert list(scratch.iterdir())
