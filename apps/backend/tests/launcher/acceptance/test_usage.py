"""What a running backend costs and does, as a user asks for it: status, watch, why, metrics, and what OpenTelemetry is told."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.launcher.acceptance.project import AGENT, PATIENCE, Project, eventually, free_port

BLOCKING = """
    import asyncio
    import pathlib
    import time

    async def run():
        while not pathlib.Path("block").exists():
            await asyncio.sleep(0.01)
        pathlib.Path("blocked").touch()
        time.sleep(600)
"""
"""An agent that blocks its loop as soon as a file is there."""

DAEMON = """
    import asyncio
    import os
    import pathlib
    import subprocess
    import sys

    DAEMON = "import os, signal; os.setsid(); open('daemon', 'w').write(str(os.getpid())); signal.pause()"

    def found():
        # The one in between ends at once, so that the daemon loses its parent.
        subprocess.run([sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DAEMON!r}])"])
        pathlib.Path("child").write_text(str(subprocess.Popen(["sleep", "600"]).pid))

    async def run():
        await asyncio.to_thread(found)
        await asyncio.Event().wait()
"""
"""An agent with a child, and with a daemon that has left its session."""

STUBBORN = """
    import asyncio

    async def run():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
"""
"""An agent that cannot be stopped."""

TELLS = """
    import asyncio
    import json
    import os
    import pathlib

    def tell(name):
        told = {key: value for key, value in os.environ.items() if key.startswith("OTEL_")}
        pathlib.Path(f"{name}.json").write_text(json.dumps(told))

    async def one():
        tell("one")
        await asyncio.Event().wait()

    async def two():
        tell("two")
        await asyncio.Event().wait()

    if __name__ == "__main__":
        import signal
        tell("command")
        signal.pause()
"""
"""Agents and a command that write down what OpenTelemetry would read."""


def metrics(project: Project) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scrape of the control socket says, by name and labels."""
    with socket.socket(socket.AF_UNIX) as scraper:
        scraper.settimeout(PATIENCE)
        scraper.connect(str(project.root / ".launcher" / "control.sock"))
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: launcher\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: scraper.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    assert "text/plain; version=0.0.4" in head
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def pids_of(document: dict[str, Any], *, part: str = "") -> list[int]:
    """Every process that a status document names."""
    return [
        member["pid"]
        for family in document["processes"]
        if part in {"", family["part"]}
        for member in family["members"]
    ]


def test_status_answers_while_a_component_blocks_the_loop(project: Project, mode: str) -> None:
    """``status``, ``why`` and a scrape answer while a component sleeps in its loop, and tell which one it is."""
    project.write(jobs=BLOCKING, other=AGENT).declare("""
        [components.writer]
        run = "jobs:run"

        [components.reader]
        run = "other:run"
    """)
    project.up_and_ready("--mode", mode)
    assert not project.component("writer")["loop"]["blocked"]
    (project.root / "block").touch()

    def blocked() -> dict[str, Any] | None:
        loop = project.component("writer")["loop"]
        return loop if loop["blocked"] else None

    loop = eventually("the loop counts as blocked", blocked)
    assert not loop["answered"]
    assert project.component("reader")["loop"]["blocked"] is (mode == "single")
    assert "loop blocked for" in project.run("status").stdout
    why = project.run("why")
    assert why.returncode == 0
    assert why.stdout.startswith("The event loop of writer is blocked, for ")
    if mode == "single":
        assert (loop["by"], loop["where"].partition(":")[0]) == ("writer", "jobs.py")
        assert "(run)" in loop["where"]
        assert "by writer at jobs.py:" in why.stdout
    assert metrics(project)["launcher_component_loop_blocked", (("component", "writer"),)] == 1


def test_why_is_the_first_to_ask(project: Project) -> None:
    """A loop that nobody has asked before gets the time to show that it is blocked, so that one question is enough."""
    project.write(jobs=BLOCKING).declare("""
        [components.writer]
        run = "jobs:run"
    """)
    project.up_and_ready("--mode", "multi")
    (project.root / "block").touch()
    eventually("it blocks", (project.root / "blocked").exists)
    assert project.run("why", "writer").stdout.startswith("The event loop of writer is blocked")


def test_fifty_components(project: Project) -> None:
    """Fifty processes are all named, each in one family, and their memory adds up."""
    names = [f"c{number:02}" for number in range(50)]
    project.declare("\n".join(f'[components.{name}]\ncommand = "sleep 600"' for name in names))
    launcher = project.up_and_ready("--mode", "multi")
    status = project.status()
    assert [one["name"] for one in status["components"]] == names
    assert all(one["memory"] > 0 and one["cpu"] >= 0 for one in status["components"])
    assert {one["pid"] for one in status["components"]} == set(pids_of(status, part="component"))
    everything = pids_of(status)
    assert len(everything) == len(set(everything))
    assert launcher.pid in everything
    table = project.run("status").stdout
    assert all(name in table for name in names)
    told = metrics(project)
    by_component = [value for (name, _), value in told.items() if name == "launcher_component_memory_bytes"]
    assert len(by_component) == 50


@pytest.mark.parametrize(("mode", "part"), [("single", "launcher"), ("multi", "component")])
def test_everything_that_a_component_started_counts(project: Project, mode: str, part: str) -> None:
    """A child and a daemon that left the session belong to the family of the component, or of the process that it shares."""
    project.write(jobs=DAEMON).declare("""
        [components.writer]
        run = "jobs:run"
    """)
    project.up_and_ready("--mode", mode)
    files = [project.root / "child", project.root / "daemon"]
    eventually("both are there", lambda: all(file.exists() and file.read_text() for file in files))
    started = {int(file.read_text()) for file in files}

    def counted() -> bool:
        return started <= set(pids_of(project.status(), part=part))

    eventually("both count", counted)


def test_a_daemon_of_a_command_counts(project: Project) -> None:
    """A program that is no Python of ours is told by its mark."""
    script = "import subprocess, sys, signal; exec(sys.argv[1]); signal.pause()"
    daemon = "import os, signal; os.setsid(); open('daemon', 'w').write(str(os.getpid())); signal.pause()"
    between = f"subprocess.run([sys.executable, '-c', {f'import subprocess, sys; subprocess.Popen([sys.executable, chr(45)+chr(99), {daemon!r}])'!r}])"
    project.declare(f"""
        [components.writer]
        command = {json.dumps([sys.executable, "-c", script, between])}
    """)
    project.up_and_ready("--mode", "multi")
    file = project.root / "daemon"
    eventually("the daemon is there", lambda: file.exists() and file.read_text())
    eventually("it counts", lambda: int(file.read_text()) in pids_of(project.status(), part="component"))


def test_the_exit_code_of_status(project: Project) -> None:
    """3 while something that is wanted up is not, 0 when it is, and for what was stopped on purpose."""
    project.write(jobs=AGENT).declare("""
        [components.writer]
        run = "jobs:run"

        [components.checked]
        command = "sleep 600"
        ready = { exec = "test -e there", interval = 0.05 }
    """)
    project.up("--mode", "multi")
    project.wait("writer")
    assert project.run("status").returncode == 3
    (project.root / "there").touch()
    project.wait("checked")
    assert project.run("status").returncode == 0
    assert project.run("stop", "writer").returncode == 0
    assert project.run("status").returncode == 0


def test_the_latency_of_the_last_check(project: Project) -> None:
    """What the last check took, and how long ago it was, stands in the status."""
    project.declare("""
        [components.checked]
        command = "sleep 600"
        ready = { exec = "true", interval = 0.05 }
    """)
    project.up_and_ready("--mode", "multi")
    check = project.component("checked")["check"]
    assert check["ok"]
    assert check["latency"] > 0
    assert "CHECK" in project.run("status").stdout


@contextmanager
def watching(project: Project, *words: str, out: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A ``status --watch`` that was just started; it is over afterwards, however the test ends."""
    # A shell starts what is to run in the background with Ctrl-C ignored, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "launcher", "status", "--watch", *words],
            cwd=project.root,
            env={**project._environ(), "TERM": "xterm"},
            stdout=out,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(stream: IO[str] | None, word: str) -> str:
    """Read lines up to one that holds a word; return them."""
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if word in line:
            return "".join(lines)
    raise AssertionError(f"it ended without {word}: {lines}")


@pytest.fixture
def agent(project: Project) -> Project:
    """A backend of one agent that is up."""
    project.write(jobs=AGENT).declare("""
        [components.writer]
        run = "jobs:run"
    """)
    project.up_and_ready("--mode", "multi")
    return project


def test_watch_through_a_pipe(agent: Project) -> None:
    """A pipe gets a table at first and another one when something has changed; Ctrl-C ends it with 0."""
    with watching(agent) as watch:
        assert "writer  ready" in until(watch.stdout, "all processes")
        assert agent.run("stop", "writer").returncode == 0
        until(watch.stdout, "writer  stopped")
        watch.send_signal(signal.SIGINT)
        assert watch.wait(PATIENCE) == 0


def test_watch_as_json(agent: Project) -> None:
    """With ``-o json`` each change is one line, a whole document."""
    with watching(agent, "-o", "json") as watch:
        assert watch.stdout is not None
        first = json.loads(watch.stdout.readline())
        assert first["components"][0]["phase"] == "ready"
        agent.run("restart", "writer")
        phases = []
        for line in watch.stdout:
            (item,) = json.loads(line)["components"]
            phases.append((item["incarnation"], item["phase"]))
            if phases[-1] == (2, "ready"):
                break
        assert phases
        watch.send_signal(signal.SIGINT)
        assert watch.wait(PATIENCE) == 0


def test_watch_on_a_terminal(agent: Project) -> None:
    """A terminal shows one table that is drawn again in its place, whatever has changed."""
    ours, theirs = pty.openpty()
    with watching(agent, out=theirs) as watch, os.fdopen(ours, encoding="utf-8", newline="") as screen:
        os.close(theirs)
        until(screen, "writer  ready")
        assert "all processes" in until(screen, "F\x1b[J")
        until(screen, "writer  ready")
        watch.send_signal(signal.SIGINT)
        assert watch.wait(PATIENCE) == 0


def test_watch_ends_with_the_launcher(agent: Project) -> None:
    """When the launcher has ended there is nothing to watch, and that is said."""
    with watching(agent) as watch:
        until(watch.stdout, "all processes")
        assert agent.run("down").returncode == 0
        assert watch.wait(PATIENCE) == 4


def test_why_a_stop_takes_so_long(project: Project) -> None:
    """The processes that a stop waits for are named, with the time that they have left."""
    script = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('there', 'w'); signal.pause()"
    )
    project.declare(f"""
        [components.writer]
        command = {json.dumps([sys.executable, "-c", script])}
        stop_grace = 600
        [components.other]
        command = "sleep 600"
    """)
    project.up_and_ready("--mode", "multi")
    eventually("it ignores the signal", (project.root / "there").exists)
    pid = project.component("writer")["pid"]
    assert project.run("stop", "writer", "-t", "0.1").returncode == 6
    told = project.run("why").stdout
    assert told.startswith("writer is stopping, for ")
    assert f"Processes that are still there: PID {pid} (python" in told
    assert "(stop_grace 600 s)" in told


def test_why_a_stop_waits_for_tasks(project: Project, mode: str) -> None:
    """The tasks that a stop waits for are named, with the line at which each waits."""
    project.write(jobs=STUBBORN, other=AGENT).declare("""
        [components.writer]
        run = "jobs:run"
        stop_grace = 600

        [components.reader]
        run = "other:run"
    """)
    project.up_and_ready("--mode", mode)
    assert project.run("stop", "writer", "-t", "0.1").returncode == 6
    told = eventually(
        "a task is named",
        lambda: [line for line in project.run("why", "writer").stdout.splitlines() if "Tasks" in line],
    )
    assert "(run, at jobs.py:7)" in told[0]


def test_why_something_does_not_start(project: Project) -> None:
    """The root of a chain comes first; ``-o json`` has the same with its parts."""
    port = free_port()
    project.declare(f"""
        [components.db]
        command = "sleep 600"
        depends_on = ["disk"]
        [components.api]
        command = "sleep 600"
        depends_on = ["db"]
        [dependencies.disk]
        url = "tcp://127.0.0.1:{port}"
    """)
    project.up("--mode", "multi")
    eventually("disk was asked for", lambda: "refused" in project.run("why", "api").stdout)
    first, second, *_ = project.run("why", "api").stdout.splitlines()
    assert first.startswith("disk cannot be reached, for ")
    assert second == "  api waits for db, which waits for disk."
    (document,) = json.loads(project.run("why", "api", "-o", "json").stdout)["components"]
    assert (document["root"], document["chain"]) == ("disk", ["api", "db", "disk"])
    assert document["lines"][0] == document["cause"]
    assert [
        each["component"] for each in json.loads(project.run("why", "-o", "json").stdout)["components"]
    ] == ["db", "api"]
    unknown = project.run("why", "apy")
    assert unknown.returncode == 2
    assert "did you mean api?" in unknown.stderr
    late = project.run("wait", "api", "-t", "0.1")
    assert late.returncode == 6
    assert "hint: launcher why api" in late.stderr


def test_nothing_is_amiss(agent: Project) -> None:
    """Where everything is as it is wanted, that is all there is to say."""
    done = agent.run("why")
    assert (done.returncode, done.stdout) == (0, "everything is as it is wanted\n")


def told(project: Project, name: str) -> dict[str, str]:
    """What OpenTelemetry reads in a component."""
    file = project.root / f"{name}.json"
    text = eventually(f"{name} has told it", lambda: file.read_text() if file.exists() else "")
    return dict(json.loads(text))


def test_open_telemetry_knows_the_component(project: Project, mode: str) -> None:
    """A process that runs one component is a service of that name, in both modes, and what it starts is not taken for it."""
    project.write(jobs=TELLS).declare(f"""
        [launcher]
        name = "desk"
        [components.one]
        run = "jobs:one"
        [components.command]
        command = {json.dumps([sys.executable, "jobs.py"])}
        depends_on = ["one"]
    """)
    project.up_and_ready("--mode", mode)
    assert told(project, "one")["OTEL_SERVICE_NAME"] == "one"
    assert told(project, "command")["OTEL_SERVICE_NAME"] == "command"
    assert "service.namespace=desk" in told(project, "one")["OTEL_RESOURCE_ATTRIBUTES"]
    assert (
        told(project, "one")["OTEL_RESOURCE_ATTRIBUTES"]
        != told(project, "command")["OTEL_RESOURCE_ATTRIBUTES"]
    )


def test_components_that_share_a_process_are_no_services(project: Project) -> None:
    """One environment cannot hold two names, so it holds none."""
    project.write(jobs=TELLS).declare("""
        [components.one]
        run = "jobs:one"
        [components.two]
        run = "jobs:two"
    """)
    project.up_and_ready("--mode", "single")
    assert (told(project, "one"), told(project, "two")) == ({}, {})


def test_what_the_user_tells_open_telemetry_stays(project: Project, mode: str) -> None:
    """A name from the surroundings and attributes of a component are left as they are."""
    project.environment["OTEL_SERVICE_NAME"] = "mine"
    project.write(jobs=TELLS).declare("""
        [components.one]
        run = "jobs:one"
        environment = { OTEL_RESOURCE_ATTRIBUTES = "service.namespace=theirs,team=desk" }
    """)
    project.up_and_ready("--mode", mode)
    assert told(project, "one")["OTEL_SERVICE_NAME"] == "mine"
    assert told(project, "one")["OTEL_RESOURCE_ATTRIBUTES"].startswith("service.namespace=theirs,team=desk,")
