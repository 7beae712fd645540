"""Bad input gets a clear error with a hint and the right exit code, and nothing is lost or left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from tests.launcher.acceptance.project import (
    AGENT,
    WEB,
    Launcher,
    Project,
    eventually,
    free_port,
    gone,
    processes_of,
)

FAILING_LIFESPAN = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI

    @asynccontextmanager
    async def lifespan(app):
        {start}
        yield
        {stop}

    app = FastAPI(lifespan=lifespan)
"""


def fails(project: Project, *arguments: str) -> tuple[int, str]:
    """Run ``up`` to its own end; return the exit code and what it said."""
    return project.up(*arguments).finished()


# ---- the declaration -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        pytest.param(
            '[components.api]\napp = "web:app"\nprot = 8000\n',
            ["components.api.prot", "did you mean port?"],
            id="unknown key",
        ),
        pytest.param(
            '[components.api]\napp = "web:app"\nport = "eight"\n',
            ["components.api.port", "eight"],
            id="wrong type",
        ),
        pytest.param(
            '[components.api]\napp = "web:app"\ndepends_on = ["postgers"]\n[dependencies.postgres]\nurl = "postgresql://localhost/x"\n',
            ["postgers", "did you mean postgres?"],
            id="unknown name in depends_on",
        ),
        pytest.param(
            '[components.a]\nrun = "jobs:run"\ndepends_on = ["b"]\n'
            '[components.b]\nrun = "jobs:run"\ndepends_on = ["c"]\n'
            '[components.c]\nrun = "jobs:run"\ndepends_on = ["a"]\n',
            ["a -> b -> c -> a"],
            id="dependency cycle",
        ),
        pytest.param(
            '[components.a]\napp = "web:app"\nport = 8100\n[components.b]\napp = "web:app"\nport = 8100\n',
            ["a", "b", "port 8100"],
            id="two components on one port",
        ),
        pytest.param("[components.api\n", ["launcher.toml:1", "column 16"], id="broken TOML"),
        pytest.param(
            '[dependencies.x]\nurl = "postgers://localhost/x"\n[components.a]\nrun = "jobs:run"\n',
            ["postgers", "did you mean"],
            id="unknown scheme",
        ),
    ],
)
def test_errors_of_the_declaration(project: Project, declaration: str, expected: list[str]) -> None:
    """``check`` and ``up`` name the place, what is wrong and what to do, and exit with 2."""
    project.write(web=WEB, jobs=AGENT)
    (project.root / "launcher.toml").write_text(declaration)
    for done in (project.run("check"), project.run("up")):
        assert done.returncode == 2, done.stderr
        for text in expected:
            assert text in done.stderr


def test_all_errors_come_in_one_run(project: Project) -> None:
    """Several mistakes are told together, each with its line."""
    project.declare("""
        [launcher]
        mode = "both"

        [components.api]
        app = "web"
        prt = 1
        start_timeout = "soon"
    """)
    done = project.run("check")
    assert done.returncode == 2
    for key in ("launcher.mode", "components.api.app", "components.api.prt", "components.api.start_timeout"):
        assert key in done.stderr
    assert "launcher.toml:3" in done.stderr


@pytest.mark.parametrize("flag", ["--only", "--exclude", "--profile"])
def test_unknown_names_on_the_command_line(project: Project, flag: str) -> None:
    """A misspelt component or profile is refused with a suggestion."""
    project.write(jobs=AGENT).declare("""
        [components.worker]
        run = "jobs:run"

        [profiles.minimal]
        components = ["worker"]
    """)
    typo = "minmal" if flag == "--profile" else "worke"
    done = project.run("up", flag, typo)
    assert done.returncode == 2
    assert typo in done.stderr
    assert f"did you mean {'minimal' if flag == '--profile' else 'worker'}?" in done.stderr


def test_syntax_errors_in_dotenv(project: Project) -> None:
    """A broken ``.env`` is an error with its line, not a silently missing variable."""
    project.write(jobs=AGENT).declare('[components.worker]\nrun = "jobs:run"\n')
    (project.root / ".env").write_text("GOOD=1\nthis is not a variable\n")
    done = project.run("check")
    assert done.returncode == 2
    assert ".env:2" in done.stderr


# ---- code that cannot be loaded --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("asgi:weeb:app", ["weeb", "hint:"], id="missing module"),
        pytest.param("asgi:web:appp", ["appp", "did you mean app?"], id="missing attribute"),
        pytest.param("asgi:broken:app", ["broken.py:3", "ZeroDivisionError"], id="exception at import"),
        pytest.param("asgi:web:number", ["number", "ASGI"], id="not an ASGI application"),
    ],
)
def test_code_that_cannot_be_loaded(project: Project, mode: str, target: str, expected: list[str]) -> None:
    """``up`` says what is wrong with the target in terms of the user's own code, stops in order and exits with 1."""
    project.write(
        web=WEB + "\n" + " " * 4 + "number = 7\n",
        jobs=AGENT,
        broken="""
        def ratio():
            return 1 / 0
        app = ratio()
    """,
    )
    launcher = project.up("--mode", mode, f"api={target}@{free_port()}", "worker=agent:jobs:run")
    code, output = launcher.finished()
    assert code == 1, output
    for text in expected:
        assert text in output


def test_the_full_traceback_is_in_the_log(project: Project, mode: str) -> None:
    """The console shows one line of a failed import; the log has all of it."""
    project.write(broken="import does_not_exist_anywhere\n")
    code, _ = fails(project, "--mode", mode, f"api=asgi:broken:app@{free_port()}")
    assert code == 1
    assert "Traceback (most recent call last)" in project.run("logs", "api").stdout


def test_keep_going_keeps_the_rest(project: Project, mode: str) -> None:
    """With ``--keep-going`` a component that cannot start leaves the others running; ``status`` exits with 3."""
    project.write(jobs=AGENT)
    launcher = project.up("--mode", mode, "--keep-going", "bad=agent:nowhere:run", "worker=agent:jobs:run")
    project.wait("bad", "failed")
    project.wait("worker")
    assert project.run("status").returncode == 3
    launcher.signal(signal.SIGINT)
    assert launcher.finished()[0] == 1


# ---- lifespans and agents that misbehave -----------------------------------------------------------------------------------


def test_a_lifespan_that_raises_at_start(project: Project, mode: str) -> None:
    """The exception of a failing start is shown; after the allowed tries ``up`` gives up with 1."""
    project.write(
        web=FAILING_LIFESPAN.format(start='raise RuntimeError("no database")', stop="pass")
    ).declare(f"""
        [components.api]
        app = "web:app"
        port = {free_port()}
        restart = {{ max_restarts = 1, delay = 0.01 }}
    """)
    code, output = fails(project, "--mode", mode)
    assert code == 1
    assert "RuntimeError: no database" in output


def test_a_lifespan_that_raises_at_shutdown(project: Project, mode: str) -> None:
    """A failing shutdown is told and ends the component all the same."""
    project.write(web=FAILING_LIFESPAN.format(start="pass", stop='raise RuntimeError("cannot flush")'))
    launcher = project.up_and_ready("--mode", mode, f"api=web:app@{free_port()}")
    launcher.signal(signal.SIGINT)
    code, output = launcher.finished()
    assert code == 0
    assert "cannot flush" in output + project.run("logs", "api").stdout


def test_a_lifespan_that_never_finishes(project: Project, mode: str) -> None:
    """A start that hangs is ended by its deadline, and says so."""
    project.write(
        web=FAILING_LIFESPAN.format(start="import asyncio; await asyncio.Event().wait()", stop="pass")
    ).declare(f"""
        [components.api]
        app = "web:app"
        port = {free_port()}
        start_timeout = 1
        restart = "never"
    """)
    code, output = fails(project, "--mode", mode)
    assert code == 1
    assert "not ready within 1 s" in output


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("return", "returned", id="returns"),
        pytest.param('raise ValueError("bad day")', "ValueError: bad day", id="raises"),
    ],
)
def test_an_agent_that_ends_at_once(project: Project, mode: str, body: str, expected: str) -> None:
    """An agent that should run for ever and ends has exited; it is retried, then given up."""
    project.write(jobs=f"async def run():\n    {body}\n").declare("""
        [components.worker]
        run = "jobs:run"
        restart = { max_restarts = 2, delay = 0.01 }
    """)
    code, output = fails(project, "--mode", mode)
    assert code == 1
    assert expected in output
    assert "gave up after 2 restarts" in output


IGNORES_CANCELLATION = """
    import asyncio

    async def run():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("not now")
"""

BLOCKS_AT_STOP = """
    import time

    class Worker:
        async def start(self):
            pass

        async def stop(self):
            time.sleep(3600)

    run = Worker()
"""


@pytest.mark.parametrize(
    "code", [IGNORES_CANCELLATION, BLOCKS_AT_STOP], ids=["ignores cancellation", "blocks the loop"]
)
def test_a_stop_that_is_ignored_is_escalated(project: Project, mode: str, code: str) -> None:
    """What does not stop is named, then ended by force; the exit code says so, and nothing is left."""
    project.write(jobs=code).declare("""
        [launcher]
        stop_timeout = 2

        [components.stubborn]
        run = "jobs:run"
        stop_grace = 0.5
    """)
    launcher = project.up_and_ready("--mode", mode)
    tree = processes_of(launcher.pid)
    launcher.signal(signal.SIGTERM)
    code_, output = launcher.finished()
    assert code_ == 75, output
    assert "stubborn" in output
    assert gone(tree)


def test_a_second_ctrl_c_kills(project: Project, mode: str) -> None:
    """Whoever presses Ctrl-C again does not want to wait: exit code 130, nothing left."""
    project.write(jobs=IGNORES_CANCELLATION).declare("""
        [components.stubborn]
        run = "jobs:run"
        stop_grace = 600
    """)
    launcher = project.up_and_ready("--mode", mode)
    tree = processes_of(launcher.pid)
    launcher.signal(signal.SIGINT)
    project.wait("stubborn", "stopping")

    def ended() -> bool:
        # The first repetition may still fall into the time in which the same signal counts once.
        launcher.signal(signal.SIGINT)
        return launcher.process.poll() is not None

    eventually("it ends at once", ended)
    code, output = launcher.finished()
    assert code == 130, output
    assert gone(tree)


def test_ctrl_c_during_the_start(project: Project, mode: str) -> None:
    """Ctrl-C ends a start that hangs in an import, without waiting for the import."""
    project.write(
        slow="""
        import time
        from pathlib import Path
        Path("importing").touch()
        time.sleep(3600)
    """
    )
    launcher = project.up("--mode", mode, "slow=agent:slow:run")
    eventually("the import has begun", (project.root / "importing").exists)
    tree = processes_of(launcher.pid)
    launcher.signal(signal.SIGINT)
    code, output = launcher.finished()
    assert code == (0 if mode == "single" else code), output
    assert gone(tree)


def test_an_agent_that_its_launcher_does_not_know(project: Project, mode: str) -> None:
    """A misspelt agent name lists the available ones."""
    project.write(
        crew="""
        class AgentLauncher:
            def available(self):
                return ["writer", "editor"]

            def load_agents(self, names):
                for name in names:
                    if name not in self.available():
                        raise ValueError(f"unknown agent {name}")

            async def start_all(self):
                pass

            async def stop_all(self):
                pass
    """
    ).declare("""
        [components.agents]
        launcher = "crew:AgentLauncher"
        agents = ["writter"]
    """)
    code, output = fails(project, "--mode", mode)
    assert code == 1
    assert "writter" in output
    assert "writer" in output.replace("writter", "")
    assert "editor" in output


# ---- ports -----------------------------------------------------------------------------------------------------------------


def test_a_taken_port_names_its_holder(project: Project, mode: str) -> None:
    """Nothing is started when a port is taken; the error names the process that holds it."""
    project.write(web=WEB, jobs=AGENT)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        code, output = fails(project, "--mode", mode, f"api=web:app@{port}", "worker=agent:jobs:run")
    assert code == 1
    assert f"cannot start api: port {port} is taken by PID {os.getpid()}" in output
    assert "hint:" in output
    assert "working" not in output


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root needs setpriv to give up a right"
)
def test_a_port_that_needs_a_privilege(project: Project) -> None:
    """A port below 1024 without the right to it is explained, and nothing is started."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81:
        pytest.skip("this machine lets everybody bind low ports")
    project.write(web=WEB)
    if os.geteuid() == 0:
        project.wrapper = ("setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")
    code, output = fails(project, "api=web:app@81")
    assert code == 1
    assert "cannot start api: port 81" in output
    assert "hint:" in output


# ---- commands --------------------------------------------------------------------------------------------------------------


def command(project: Project, argv: list[str], **keys: str) -> Project:
    """Declare one command component."""
    lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
    return project.declare(f"[components.tool]\ncommand = {argv!r}\n{lines}\n")


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        pytest.param(["no-such-program-anywhere"], ["no-such-program-anywhere", "not found"], id="not found"),
        pytest.param(["./notes.txt"], ["notes.txt", "not executable"], id="not executable"),
    ],
)
def test_commands_that_cannot_start(project: Project, argv: list[str], expected: list[str]) -> None:
    """A command that cannot be executed fails at once, with the reason."""
    project.write(**{"notes.txt": "not a program"})
    code, output = fails(command(project, argv))
    assert code == 1
    for text in expected:
        assert text in output


def test_a_command_that_exits_at_once(project: Project) -> None:
    """A command that ends with 0 before it was ready has not started."""
    code, output = fails(command(project, python("pass"), restart="{ max_restarts = 1, delay = 0.01 }"))
    assert code == 1
    assert "before it was ready" in output


def test_a_command_that_leaves_grandchildren(project: Project) -> None:
    """Processes that a command leaves behind, even in a session of their own, are gone when it is stopped."""
    forever = "import time; time.sleep(3600)"
    code = (
        "import subprocess, sys, time, pathlib\n"
        f"kids = [subprocess.Popen([sys.executable, '-c', {forever!r}], start_new_session=own) for own in (False, True)]\n"
        "pathlib.Path('kids').write_text(' '.join(str(kid.pid) for kid in kids))\n"
        "time.sleep(3600)\n"
    )
    launcher = command(project, python(code), ready='{ exec = ["test", "-s", "kids"] }').up_and_ready()
    kids = [psutil.Process(int(pid)) for pid in (project.root / "kids").read_text().split()]
    assert project.run("stop", "tool").returncode == 0
    assert gone(kids)
    launcher.signal(signal.SIGINT)
    assert launcher.finished()[0] == 0


def test_a_command_that_ignores_sigterm(project: Project) -> None:
    """A command that ignores SIGTERM is killed after its grace; ``down`` says so by its launcher's exit code."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(3600)"
    )
    launcher = command(project, python(code), ready="{ log = 'deaf' }", stop_grace="0.3").up_and_ready()
    tree = processes_of(launcher.pid)
    launcher.signal(signal.SIGTERM)
    assert launcher.finished()[0] == 75
    assert gone(tree)


def test_a_line_of_ten_megabytes(project: Project) -> None:
    """A huge line is cut with a mark; what follows it is not lost."""
    code = "import time; print('x' * 10_000_000); print('after'); time.sleep(3600)"
    command(project, python(code), ready="{ log = 'after' }").up_and_ready()
    eventually("the last line", lambda: "after" in text_of(project))
    lines = text_of(project).splitlines()
    assert any("cut" in line for line in lines)
    assert max(map(len, lines)) < 200_000


def text_of(project: Project) -> str:
    return project.run("logs", "tool").stdout


def test_closed_and_broken_output(project: Project) -> None:
    """Output that is no UTF-8 is kept readable, and a command that closes its output goes on running."""
    code = (
        "import os, time\n"
        "os.write(1, b'caf\\xe9\\n'); os.write(1, b'fin\\n')\n"
        "os.close(1); os.close(2); time.sleep(3600)\n"
    )
    command(project, python(code), ready="{ log = 'fin' }").up_and_ready()
    assert project.component("tool")["phase"] == "ready"
    assert "caf" in eventually("the line", lambda: text_of(project) if "fin" in text_of(project) else "")


# ---- directories, second launchers, nothing running ---------------------------------------------------------------------------


def test_a_probe_that_never_succeeds_says_why(project: Project, mode: str) -> None:
    """A start that is never confirmed fails with the answer that the probe got."""
    project.write(web=WEB).declare(f"""
        [components.api]
        app = "web:app"
        port = {free_port()}
        ready = "tcp://127.0.0.1:{free_port()}"
        start_timeout = 1
        restart = "never"
    """)
    code, output = fails(project, "--mode", mode)
    assert code == 1
    assert "not ready within 1 s: refused by 127.0.0.1" in output


def test_a_second_up_is_refused(project: Project, mode: str) -> None:
    """A second ``up`` of the same project names the first and exits with 5."""
    project.write(jobs=AGENT)
    project.up_and_ready("--mode", mode, "worker=agent:jobs:run")
    done = project.run("up", "--mode", mode, "worker=agent:jobs:run")
    assert done.returncode == 5
    assert f"PID {project.status()['launcher']['pid']}" in done.stderr
    assert "launcher down" in done.stderr


@pytest.mark.parametrize("verb", [["status"], ["stop", "api"], ["down"], ["restart", "api"]])
def test_nothing_is_running(project: Project, verb: list[str]) -> None:
    """Commands for a running launcher say that there is none, and exit with 4."""
    project.write(jobs=AGENT).declare('[components.api]\nrun = "jobs:run"\n')
    done = project.run(*verb)
    assert done.returncode == 4
    assert "launcher up" in done.stderr


def test_a_run_directory_that_cannot_be_used(project: Project) -> None:
    """A run directory that cannot be made is named, with the variable that chooses another."""
    project.write(jobs=AGENT).environment["LAUNCHER_RUN_DIR"] = "/proc/nowhere"
    done = project.run("up", "worker=agent:jobs:run")
    assert done.returncode == 1
    assert "/proc/nowhere" in done.stderr
    assert "LAUNCHER_RUN_DIR" in done.stderr


def test_a_run_directory_that_is_too_long(project: Project) -> None:
    """A path that no unix socket can have is refused with a hint when it was asked for."""
    project.write(jobs=AGENT).environment["LAUNCHER_RUN_DIR"] = f"/tmp/{'long' * 30}"
    done = project.run("up", "worker=agent:jobs:run")
    assert done.returncode == 1
    assert "the system allows 107" in done.stderr
    assert "LAUNCHER_RUN_DIR" in done.stderr


def test_a_deep_project_directory_just_works(tmp_path: Path) -> None:
    """A project so deep that its socket path would be too long gets a short run directory by itself."""
    deep = Project(tmp_path / ("deep" * 20) / ("deeper" * 10))
    deep.root.mkdir(parents=True)
    try:
        launcher: Launcher = deep.write(jobs=AGENT).up_and_ready("worker=agent:jobs:run")
        assert deep.run("down").returncode == 0
        launcher.finished()
    finally:
        deep.close()


def test_logs_that_cannot_be_written(project: Project) -> None:
    """A log directory that cannot be made stops the start, with a hint."""
    project.write(jobs=AGENT).environment["LAUNCHER_LOG_DIR"] = "/proc/nowhere"
    done = project.run("up", "worker=agent:jobs:run")
    assert done.returncode == 1
    assert "/proc/nowhere" in done.stderr
    assert "hint:" in done.stderr


def test_a_full_disk_does_not_stop_the_backend(project: Project, mode: str) -> None:
    """When log files can grow no further the backend goes on, and says once that lines are lost."""
    project.write(
        chatty="""
        import asyncio

        async def run():
            for number in range(2000):
                print(f"line {number:5} " + "x" * 80)
            await asyncio.Event().wait()
    """
    )
    # The limit of the size of a file stands for the end of the disk: a write beyond it fails in the same way.
    project.wrapper = ("sh", "-c", 'ulimit -f 16; exec "$0" "$@"')
    launcher = project.up_and_ready("--mode", mode, "chatty=agent:chatty:run")
    assert project.component("chatty")["phase"] == "ready"
    launcher.signal(signal.SIGINT)
    code, output = launcher.finished()
    assert code == 0, output
    assert output.count("warning: ") >= 1
    assert "line  1999" in output, "the console still has what the file has not"


def test_json_is_alone_on_stdout(project: Project) -> None:
    """``-o json`` prints JSON and nothing else, also for errors."""
    import json

    project.write(jobs=AGENT).declare('[components.worker]\nrun = "jobs:run"\n')
    for arguments in (["status", "-o", "json"], ["check", "-o", "json"], ["stop", "worker", "-o", "json"]):
        done = project.run(*arguments)
        json.loads(done.stdout)
