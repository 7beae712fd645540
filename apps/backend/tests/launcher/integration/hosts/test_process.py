"""What only a process of its own can promise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.model.logs import Stream
from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import (
    DEADLINE,
    IMPORTS_FOR_EVER,
    Driver,
    Project,
    Seen,
    agent,
    alive,
    eventually,
)

Drive = Callable[..., Seen]

IDLE = """
    import asyncio
    async def run():
        await asyncio.sleep(3600)
"""


@pytest.mark.parametrize(
    ("death", "kind", "code", "number"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", ExitKind.SIGNALLED, None, signal.SIGKILL),
        ("os._exit(9)", ExitKind.EXITED, 9, 0),
        ("os._exit(0)", ExitKind.RETURNED, 0, 0),
        ("ctypes.string_at(0)", ExitKind.SIGNALLED, None, signal.SIGSEGV),
    ],
)
def test_a_crash_is_told_by_its_status_and_loses_no_line(
    project: Project, drive_process: Drive, death: str, kind: ExitKind, code: int | None, number: int
) -> None:
    """Whatever was printed or logged before a crash is read, and the crash is classified."""
    project.write(
        jobs=f"""
        import asyncio, ctypes, logging, os, signal
        async def run():
            await asyncio.sleep(0)
            for i in range(1000):
                print("line", i)
            logging.error("last words")
            {death}
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        ended = driver.exited("worker")
        assert (ended.kind, ended.code, ended.signal, ended.killed) == (kind, code, number, False)
        messages = [line.message for line in driver.seen.lines]
        assert [each for each in messages if each.startswith("line ")] == [f"line {i}" for i in range(1000)]
        assert "last words" in messages
        if number == signal.SIGSEGV:
            assert any(
                "jobs.py" in line.message and line.stream is Stream.STDERR for line in driver.seen.lines
            )

    drive_process(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_what_is_written_past_python_is_captured(project: Project, drive_process: Drive) -> None:
    """Bytes on descriptors 1 and 2, from native code or programs, belong to the component."""
    project.write(
        jobs="""
        import os, subprocess
        async def run():
            os.write(1, b"raw out\\n")
            os.write(2, b"raw err\\n")
            subprocess.run(["echo", "from a program"])
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        driver.exited("worker")
        found = {line.message: line for line in driver.seen.lines}
        assert found["raw out"].stream is Stream.STDOUT
        assert found["raw err"].stream is Stream.STDERR
        assert found["from a program"].component == "worker"

    drive_process(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_raw_threads_belong_to_the_component(project: Project, drive_process: Drive) -> None:
    """In a process with one component even threads without context are told."""
    project.write(
        jobs="""
        import threading
        async def run():
            thread = threading.Thread(target=print, args=("from a thread",))
            thread.start()
            thread.join()
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        assert driver.line("from a thread").component == "worker"

    drive_process(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_a_blocked_loop_can_be_killed(project: Project, drive_process: Drive) -> None:
    """A component that blocks its loop ignores the stop, but not the kill; what it started goes with it."""
    project.write(
        jobs="""
        import subprocess, time
        async def run():
            child = subprocess.Popen(["sleep", "3600"], start_new_session=True)
            print("child", child.pid)
            while True:
                time.sleep(3600)
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        child = int(driver.line("child").message.split()[1])
        driver.stop("worker")
        driver.kill("worker")
        assert driver.exited("worker").killed
        assert not alive(child)
        assert not alive(driver.pid("worker"))

    drive_process(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_a_stop_interrupts_the_import(project: Project, drive_process: Drive) -> None:
    """A component that is still importing stops at once."""
    project.write(jobs=IMPORTS_FOR_EVER)

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        driver.line("importing")
        assert driver.down("worker").kind is ExitKind.RETURNED

    drive_process(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_signals_to_the_child(project: Project, drive_process: Drive) -> None:
    """SIGTERM stops in order, SIGINT is the launcher's business."""
    project.write(
        jobs="""
        import asyncio
        async def run():
            try:
                await asyncio.sleep(3600)
            finally:
                print("in order")
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        os.kill(driver.pid("worker"), signal.SIGINT)
        os.kill(driver.pid("worker"), signal.SIGTERM)
        assert driver.exited("worker").kind is ExitKind.RETURNED
        driver.line("in order")

    drive_process(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_tasks_that_ignore_everything_end_with_their_process(project: Project, drive_process: Drive) -> None:
    """A component that returned, but for a task that cannot be cancelled, is over after its grace."""
    project.write(
        jobs="""
        import asyncio
        async def deaf():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        async def run():
            asyncio.create_task(deaf(), name="immortal")
            await asyncio.sleep(0)
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        assert driver.exited("worker").message == "returned"
        assert "task 'immortal' (deaf, at jobs.py:6)" in driver.line("ignoring cancellation").message

    drive_process(project.spec(), [agent("worker", "jobs:run", stop_grace=2.0)], scenario)


def test_the_users_files_cannot_shadow_the_launcher(project: Project, drive_process: Drive) -> None:
    """Files in the project directory that are named like modules of the standard library do no harm to the start."""
    project.write(
        jobs=IDLE, asyncio="raise RuntimeError('shadowed')", launcher="raise RuntimeError('shadowed')"
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        driver.exited("worker")

    seen = drive_process(project.spec(pythonpath=()), [agent("worker", "jobs:run")], scenario)
    assert "there is no module jobs" in str(seen.events[-1])


PARENT = """
    import asyncio, sys
    from launcher.hosts.process import ProcessHost
    from launcher.model.spec import ComponentSpec, Kind, LauncherSpec
    from launcher.model.events import Started, Launched
    root = sys.argv[1]
    def report(event):
        print(type(event).__name__, getattr(event, "pid", ""), flush=True)
    async def main():
        spec = LauncherSpec("test", root, (), pythonpath=(root,))
        host = ProcessHost(spec, {}, report, lambda line: print(line.message, flush=True))
        host.launch(ComponentSpec("worker", Kind.AGENT, "jobs:run"), 1)
        await asyncio.sleep(3600)
    asyncio.run(main())
"""


def test_a_child_does_not_outlive_its_parent(project: Project, tmp_path: Path) -> None:
    """When the launcher is killed with -9 the process of a component ends, too."""
    project.write(jobs=IDLE)
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(project.root)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline().split()[1])
    try:
        assert parent.stdout.readline().strip() == "Started"
    finally:
        parent.kill()
        parent.wait(DEADLINE)
        parent.stdout.close()
    eventually(lambda: not alive(child), "the end of the child")
