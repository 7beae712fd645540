"""The life of a backend as a user sees it, in every mode: up, status, stop, start, restart, down, Ctrl-C, and faults."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
from pathlib import Path

import psutil
import pytest

from tests.launcher.acceptance.project import (
    AGENT,
    WEB,
    Launcher,
    Project,
    eventually,
    fetch,
    free_port,
    gone,
    processes_of,
)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def backend(project: Project, port: int) -> Project:
    """A web application that an agent depends on."""
    return project.write(web=WEB, jobs=AGENT).declare(f"""
        [components.api]
        app = "web:app"
        port = {port}

        [components.worker]
        run = "jobs:run"
        depends_on = ["api"]
    """)


def refused(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def everything_of(launcher: Launcher) -> list[psutil.Process]:
    return processes_of(launcher.pid)


def test_up_serves_and_down_leaves_nothing(backend: Project, port: int, mode: str) -> None:
    """``up`` serves on the declared port, ``status`` says so, ``down`` ends every process and frees the port."""
    launcher = backend.up_and_ready("--mode", mode)
    tree = everything_of(launcher)
    assert fetch(f"http://127.0.0.1:{port}/") == (200, "hello")
    status = backend.status()
    assert status["launcher"]["mode"] == mode
    assert {one["name"]: one["phase"] for one in status["components"]} == {"api": "ready", "worker": "ready"}
    assert backend.run("status").returncode == 0

    done = backend.run("down")

    assert done.returncode == 0, done.stderr
    code, output = launcher.finished()
    assert code == 0, output
    assert gone(tree)
    assert refused(port)


def test_without_a_configuration_file(project: Project, port: int, mode: str) -> None:
    """Components given on the command line start in a directory that has no configuration at all."""
    project.write(pkg__main=WEB, pkg__jobs=AGENT)
    launcher = project.up_and_ready("--mode", mode, f"api=pkg.main:app@{port}", "worker=pkg.jobs:run")
    assert fetch(f"http://127.0.0.1:{port}/") == (200, "hello")
    assert project.component("worker")["kind"] == "agent"
    launcher.signal(signal.SIGINT)
    assert launcher.finished()[0] == 0


def test_modes_place_components_as_they_say(backend: Project, mode: str) -> None:
    """In single mode all components share the launcher's process; in multi mode each has its own."""
    backend.up_and_ready("--mode", mode)
    status = backend.status()
    pids = {one["pid"] for one in status["components"]}
    if mode == "single":
        assert pids == {status["launcher"]["pid"]}
    else:
        assert len(pids) == 2
        assert status["launcher"]["pid"] not in pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_in_order(backend: Project, port: int, mode: str, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a hung-up terminal stop dependents first, exit with 0 and leave nothing."""
    launcher = backend.up_and_ready("--mode", mode)
    tree = everything_of(launcher)
    launcher.signal(number)
    code, output = launcher.finished()
    assert code == 0, output
    assert gone(tree)
    assert refused(port)


def test_the_same_ctrl_c_twice_counts_once(backend: Project, mode: str) -> None:
    """A terminal and a script runner may both deliver one Ctrl-C; the stop stays orderly."""
    launcher = backend.up_and_ready("--mode", mode)
    launcher.signal(signal.SIGINT)
    launcher.signal(signal.SIGINT)
    assert launcher.finished()[0] == 0


def test_stop_and_start_one_component(backend: Project, port: int, mode: str) -> None:
    """``stop`` returns when nothing of it is left, ``start`` when it is ready; the others do not notice."""
    backend.up_and_ready("--mode", mode)
    worker = backend.component("worker")["incarnation"]

    assert backend.run("stop", "api").returncode == 0
    assert backend.component("api")["phase"] == "stopped"
    assert backend.run("status").returncode == 0, "what was asked to be down is no failure"

    assert backend.run("start", "api").returncode == 0
    assert fetch(f"http://127.0.0.1:{port}/") == (200, "hello")
    assert backend.component("worker")["incarnation"] == worker


def test_restart_returns_on_the_new_incarnation(backend: Project, mode: str) -> None:
    """``restart`` returns when a new incarnation is ready, and is not counted as a failure."""
    backend.up_and_ready("--mode", mode)
    before = backend.component("worker")
    assert backend.run("restart", "worker").returncode == 0
    after = backend.component("worker")
    assert after["phase"] == "ready"
    assert after["incarnation"] == before["incarnation"] + 1
    assert after["restarts"] == 0


def test_a_component_that_dies_is_restarted_alone(project: Project, port: int, mode: str) -> None:
    """An exception ends one component; it comes back and its sibling keeps its incarnation."""
    project.write(
        web=WEB,
        fragile="""
        import asyncio
        from pathlib import Path

        async def run():
            while not Path("die").exists():
                await asyncio.sleep(0.01)
            Path("die").unlink()
            raise RuntimeError("had enough")
    """,
    )
    project.up_and_ready("--mode", mode, f"api=web:app@{port}", "fragile=agent:fragile:run")
    (project.root / "die").touch()
    eventually("a second incarnation", lambda: project.component("fragile").get("incarnation") == 2)
    fragile = project.wait("fragile")
    assert "had enough" in fragile["last_exit"]["message"]
    assert project.component("api")["incarnation"] == 1
    assert fetch(f"http://127.0.0.1:{port}/")[0] == 200


def test_system_exit_ends_only_its_component(project: Project, port: int, mode: str) -> None:
    """``sys.exit`` inside a task is the end of that component, not of the process that it shares."""
    project.write(
        web=WEB,
        quitter="""
        import asyncio, sys
        from pathlib import Path

        async def leave():
            sys.exit(7)

        async def run():
            while not Path("die").exists():
                await asyncio.sleep(0.01)
            Path("die").unlink()
            asyncio.get_running_loop().create_task(leave())
            await asyncio.Event().wait()
    """,
    )
    project.up_and_ready("--mode", mode, f"api=web:app@{port}", "quitter=agent:quitter:run")
    (project.root / "die").touch()
    eventually("a second incarnation", lambda: project.component("quitter").get("incarnation") == 2)
    assert project.wait("quitter")["last_exit"]["code"] == 7
    assert project.component("api")["incarnation"] == 1


def test_status_answers_while_the_loop_is_blocked(project: Project, port: int) -> None:
    """In single mode a component that blocks the loop cannot keep ``status`` from answering."""
    project.write(
        web=WEB,
        blocker="""
        import asyncio, time
        from pathlib import Path

        async def run():
            while not Path("block").exists():
                await asyncio.sleep(0.01)
            Path("blocking").touch()
            while Path("block").exists():
                time.sleep(0.01)
            await asyncio.Event().wait()
    """,
    )
    project.up_and_ready("--mode", "single", f"api=web:app@{port}", "blocker=agent:blocker:run")
    (project.root / "block").touch()
    eventually("the loop is blocked", (project.root / "blocking").exists)
    assert project.component("api")["phase"] == "ready"
    (project.root / "block").unlink()
    assert fetch(f"http://127.0.0.1:{port}/")[0] == 200


GRANDCHILDREN = """
    import asyncio, subprocess, sys
    from pathlib import Path

    async def run():
        forever = "import time; time.sleep(3600)"
        plain = subprocess.Popen([sys.executable, "-c", forever])
        own = subprocess.Popen([sys.executable, "-c", forever], start_new_session=True)
        Path("grandchildren").write_text(f"{plain.pid} {own.pid}")
        await asyncio.Event().wait()
"""


@pytest.mark.parametrize("victim", ["guard", "launcher"])
def test_nothing_is_left_after_kill_9(project: Project, port: int, mode: str, victim: str) -> None:
    """Whichever process of the launcher is killed with -9: no process and no bound port of the tree is left."""
    project.write(web=WEB, spawner=GRANDCHILDREN)
    launcher = project.up_and_ready("--mode", mode, f"api=web:app@{port}", "spawner=agent:spawner:run")
    grandchildren = [psutil.Process(int(pid)) for pid in (project.root / "grandchildren").read_text().split()]
    tree = [*everything_of(launcher), *grandchildren]
    os.kill(launcher.pid if victim == "guard" else project.status()["launcher"]["pid"], signal.SIGKILL)
    eventually("everything is gone", lambda: gone(tree))
    eventually("the port is free", lambda: refused(port))
    assert project.run("status").returncode == 4


def test_nothing_is_left_after_down_with_grandchildren(project: Project, mode: str) -> None:
    """Processes that a component started, even in sessions of their own, end with the backend."""
    project.write(spawner=GRANDCHILDREN)
    launcher = project.up_and_ready("--mode", mode, "spawner=agent:spawner:run")
    grandchildren = [psutil.Process(int(pid)) for pid in (project.root / "grandchildren").read_text().split()]
    assert project.run("down").returncode == 0
    launcher.finished()
    eventually("the grandchildren are gone", lambda: gone(grandchildren))


def test_a_stale_run_directory_is_taken_over(backend: Project, mode: str) -> None:
    """What a launcher that was killed with -9 left behind does not keep the next one from starting."""
    first = backend.up_and_ready("--mode", mode)
    tree = everything_of(first)
    os.kill(backend.status()["launcher"]["pid"], signal.SIGKILL)
    first.finished()
    eventually("everything is gone", lambda: gone(tree))
    backend.up_and_ready("--mode", mode)
    assert backend.run("down").returncode == 0


def test_detached(backend: Project, port: int, mode: str) -> None:
    """``up --detach`` returns when the backend is up; it goes on without its terminal until ``down``."""
    done = backend.run("up", "--detach", "--mode", mode)
    assert done.returncode == 0, done.stdout + done.stderr
    pid = backend.status()["launcher"]["pid"]
    try:
        assert fetch(f"http://127.0.0.1:{port}/")[0] == 200
    finally:
        assert backend.run("down").returncode == 0
    assert not psutil.pid_exists(pid)
    with pytest.raises(urllib.error.URLError):
        fetch(f"http://127.0.0.1:{port}/")


def test_logs_of_every_component_are_kept_apart(backend: Project, mode: str) -> None:
    """What a component prints is in its own log, whether or not it shares its process."""
    launcher = backend.up_and_ready("--mode", mode)
    eventually("the line arrives", lambda: "working" in backend.run("logs", "worker").stdout)
    assert "working" not in backend.run("logs", "api").stdout
    launcher.signal(signal.SIGINT)
    launcher.finished()
    assert "working" in backend.run("logs", "worker").stdout, "logs can be read when nothing runs"


def test_the_log_of_a_silent_component(backend: Project) -> None:
    """A component that has written nothing has an empty log, which is no mistake; a misspelt one is."""
    backend.write(jobs="import asyncio\nasync def run():\n    await asyncio.Event().wait()\n")
    backend.up_and_ready("--mode", "single")
    silent = backend.run("logs", "worker")
    assert (silent.returncode, silent.stdout) == (0, "")
    assert "written nothing" in silent.stderr
    assert backend.run("logs", "wroker").returncode == 2


def test_environment_and_directory_reach_the_component(project: Project, mode: str) -> None:
    """Variables of the declaration, of ``.env`` and of the shell reach the code, the shell's winning over ``.env``."""
    project.environment["FROM_SHELL"] = "shell"
    project.write(
        show="""
        import asyncio, json, os
        from pathlib import Path

        async def run():
            names = ("FROM_SHELL", "FROM_DOTENV", "FROM_FILE")
            seen = {name: os.environ.get(name) for name in names}
            Path(os.environ["REPORT"]).write_text(json.dumps([seen, os.getcwd()]))
            await asyncio.Event().wait()
    """
    ).declare(f"""
        [components.show]
        run = "show:run"
        directory = "inner"
        environment = {{ FROM_FILE = "file", REPORT = "{project.root}/report.json" }}
    """)
    (project.root / "inner").mkdir()
    (project.root / ".env").write_text("FROM_SHELL=dotenv\nFROM_DOTENV=dotenv\n")
    project.up_and_ready("--mode", mode)
    report = eventually(
        "the report",
        lambda: Path(project.root, "report.json").exists() and Path(project.root, "report.json").read_text(),
    )
    assert report.startswith('[{"FROM_SHELL": "shell", "FROM_DOTENV": "dotenv", "FROM_FILE": "file"}')
    assert report.endswith(f'"{project.root}/inner"]')


def test_an_agent_that_leaves_no_task_behind_stays_ready(project: Project, mode: str) -> None:
    """An agent that works in a thread, or only when called, is up from its start to its stop."""
    project.write(
        quiet="""
        class Quiet:
            def start(self):
                print("on duty")

            def stop(self):
                print("off duty")
    """
    )
    launcher = project.up_and_ready("--mode", mode, "quiet=agent:quiet:Quiet")
    launcher.signal(signal.SIGINT)
    code, output = launcher.finished()
    assert code == 0
    assert output.count("on duty") == 1, output
    assert output.count("off duty") == 1


def test_a_component_cannot_take_the_signals(project: Project, mode: str) -> None:
    """A component that handles SIGTERM itself does not keep the backend from stopping."""
    project.write(
        greedy="""
        import asyncio, signal

        class Greedy:
            async def start(self):
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)

            async def stop(self):
                pass
    """
    )
    launcher = project.up_and_ready("--mode", mode, "greedy=agent:greedy:Greedy")
    launcher.signal(signal.SIGTERM)
    code, output = launcher.finished()
    assert code == 0, output


def test_a_crash_in_native_code_is_told(project: Project) -> None:
    """In one process a segmentation fault ends everything; the last words say what it was, and where."""
    project.write(
        crash="""
        import asyncio, ctypes
        from pathlib import Path

        async def run():
            while not Path("die").exists():
                await asyncio.sleep(0.01)
            ctypes.string_at(0)
    """
    )
    launcher = project.up_and_ready("--mode", "single", "crash=agent:crash:run")
    (project.root / "die").touch()
    code, output = launcher.finished()
    assert code == 128 + signal.SIGSEGV
    assert "ended by SIGSEGV" in output
    assert "crash.py" in output


def test_a_file_called_launcher_is_not_run_instead(project: Project) -> None:
    """A project may have a launcher.py; going into the background does not run it."""
    project.write(launcher='raise SystemExit("the wrong launcher")', jobs=AGENT)
    project.declare('[components.worker]\nrun = "jobs:run"\n')
    command = str(Path(sys.executable).with_name("launcher"))
    done = subprocess.run(
        [command, "up", "-d"], cwd=project.root, capture_output=True, text=True, check=False
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        down = subprocess.run(
            [command, "down"], cwd=project.root, capture_output=True, text=True, check=False
        )
    assert down.returncode == 0, down.stderr
