"""Every way to be asked whether a component is ready, through the real command line, in every mode."""

from __future__ import annotations

import socket

import pytest

from tests.launcher.acceptance.project import AGENT, WEB, Project, free_port

QUICK = 'interval = "50ms", period = "100ms"'

SWITCH = """
    import os, pathlib

    def check():
        if pathlib.Path("broken").exists():
            raise OSError("the disk is gone")

    async def async_check():
        check()
"""
"""Ready unless there is a file called ``broken``."""


@pytest.mark.parametrize(
    "ready",
    [
        f'{{ call = "switch:check", {QUICK} }}',
        f'{{ call = "switch:async_check", {QUICK} }}',
        f'{{ exec = ["test", "!", "-e", "broken"], {QUICK} }}',
    ],
)
def test_readiness_is_lost_and_found(project: Project, mode: str, ready: str) -> None:
    """Three failures make it unready with the reason, one success ready again; nothing is restarted, and the last answer is shown."""
    project.write(jobs=AGENT, switch=SWITCH).declare(f"""
        [components.worker]
        run = "jobs:run"
        ready = {ready}
    """)
    project.environment["COLUMNS"] = "200"  # room for every column
    project.up_and_ready("--mode", mode)
    check = project.component("worker")["check"]
    assert check["ok"]
    assert check["latency"] > 0
    assert " ms" in project.run("status").stdout

    (project.root / "broken").touch()
    unready = project.wait("worker", "unready")
    assert not unready["check"]["ok"]
    assert unready["reason"] == unready["check"]["reason"]
    if "call" in ready:
        assert "switch.py:6: OSError: the disk is gone" in unready["reason"]
    assert "failed" in project.run("status").stdout

    (project.root / "broken").unlink()
    again = project.wait("worker", "ready")
    assert (again["incarnation"], again["restarts"]) == (1, 0)


def test_what_never_becomes_ready_says_why(project: Project, mode: str) -> None:
    """A start that waits for a function in vain fails with the function's own words."""
    project.write(jobs=AGENT, switch=SWITCH).declare("""
        [components.worker]
        run = "jobs:run"
        ready = { call = "switch:check" }
        start_timeout = "1s"
        restart = "never"
    """)
    (project.root / "broken").touch()
    code, output = project.up("--mode", mode).finished()
    assert code == 1
    assert "not ready within 1 s: switch.py:6: OSError: the disk is gone" in output


def test_a_function_that_is_not_there_fails_the_start(project: Project, mode: str) -> None:
    """A name that is wrong is told at once, with the right one."""
    project.write(jobs=AGENT, switch=SWITCH).declare("""
        [components.worker]
        run = "jobs:run"
        ready = { call = "switch:chek" }
    """)
    code, output = project.up("--mode", mode).finished()
    assert code == 1
    assert "ready: switch has no attribute chek" in output
    assert "did you mean check?" in output


def test_a_line_of_an_agent(project: Project, mode: str) -> None:
    """An agent is ready when it has printed the line, in a shared process as in its own."""
    project.write(
        jobs="""
        import asyncio, pathlib

        async def run():
            while not pathlib.Path("go").exists():
                await asyncio.sleep(0.02)
            print("consumer group joined")
            await asyncio.Event().wait()
        """
    ).declare("""
        [components.worker]
        run = "jobs:run"
        ready = { log = "group joined$" }
    """)
    launcher = project.up("--mode", mode)
    project.wait("worker", "starting")
    (project.root / "go").touch()
    assert project.wait("worker", "ready")["check"] is None
    assert not launcher.ended


def test_a_port_of_an_agent(project: Project, mode: str) -> None:
    """An agent that listens by itself is ready when its port accepts a connection."""
    port = free_port()
    project.write(
        jobs=f"""
        import asyncio

        async def run():
            await asyncio.sleep(0.2)
            server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", {port})
            await server.serve_forever()
        """
    ).declare(f"""
        [components.worker]
        run = "jobs:run"
        ready = "tcp://127.0.0.1:{port}"
    """)
    project.up_and_ready("--mode", mode)
    assert project.component("worker")["check"]["ok"]
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) == 0


def test_a_command_that_checks_runs_as_its_component(project: Project, mode: str) -> None:
    """It has the variables of ``.env`` and of the component, and the component's directory, wherever the launcher was started."""
    (project.root / "inner").mkdir()
    (project.root / "inner" / "here").touch()
    (project.root / ".env").write_text("FROM_DOTENV=one\n")
    project.write(jobs=AGENT).declare("""
        [components.worker]
        run = "jobs:run"
        directory = "inner"
        ready = { exec = ["sh", "-c", 'test -e here && test "$FROM_DOTENV$OWN" = onetwo'] }
        environment = { OWN = "two" }
        start_timeout = "10s"
    """)
    (project.root / "inner" / "jobs.py").write_text((project.root / "jobs.py").read_text())
    project.up_and_ready("--mode", mode)
    assert project.component("worker")["check"]["ok"]


def test_a_loop_that_is_blocked_does_not_answer(project: Project) -> None:
    """In a process of its own a blocked loop is told as what it is, and the launcher asks it once, not for ever."""
    project.write(
        jobs="""
        import asyncio, pathlib, time

        async def run():
            while not pathlib.Path("block").exists():
                await asyncio.sleep(0.02)
            while pathlib.Path("block").exists():
                time.sleep(0.02)
            await asyncio.Event().wait()

        async def check():
            return True
        """
    ).declare("""
        [components.worker]
        run = "jobs:run"
        ready = { call = "jobs:check", interval = "50ms", period = "100ms", timeout = "100ms" }
    """)
    project.up_and_ready("--mode", "multi")
    (project.root / "block").touch()
    assert "event loop has not answered" in project.wait("worker", "unready")["reason"]
    (project.root / "block").unlink()
    assert project.wait("worker", "ready")["incarnation"] == 1


def test_every_mistake_in_one_run(project: Project) -> None:
    """Readiness that cannot be, in several components, is refused all at once, each with what to write instead."""
    port = free_port()
    project.write(jobs=AGENT, web=WEB).declare(f"""
        [components.api]
        app = "web:app"
        port = {port}
        ready = "tcp://127.0.0.1:{port}"

        [components.server]
        command = "sleep 100"
        ready = {{ call = "jobs:check" }}

        [components.worker]
        run = "jobs:run"
        ready = {{ call = "jobs" }}

        [components.other]
        run = "jobs:run"
        ready = {{ call = "jobs:check", log = "x" }}
    """)
    done = project.run("check")
    assert done.returncode == 2
    told = done.stderr
    assert f"a connection to 127.0.0.1:{port} always succeeds" in told
    assert "call asks code in the process of the component, and this is a command" in told
    assert 'exec = ["python", "-c", "…"]' in told
    assert 'call must be "module:attribute", not "jobs"' in told
    assert "asks in two ways: log and call" in told


def test_check_tells_what_is_asked(project: Project) -> None:
    """The plan names the function, the origins its place."""
    project.write(jobs=AGENT, switch=SWITCH).declare("""
        [components.worker]
        run = "jobs:run"
        ready = { call = "switch:check" }
    """)
    assert "started, then call switch:check" in project.run("check").stdout
    assert "switch:check" in project.run("config", "--origins").stdout
