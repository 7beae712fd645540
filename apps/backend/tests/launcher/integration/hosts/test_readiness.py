"""Readiness that a component tells by a line of output, or by a function of its own: the same on every host."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from launcher.model.events import BecameReady
from launcher.model.spec import ComponentSpec, Probe, ProbeKind
from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import Driver, Project, Seen, agent, drive_commands, python

Drive = Callable[..., Seen]

IDLE = """
    import asyncio
    async def run():
        await asyncio.sleep(3600)
"""


def log(pattern: str) -> Probe:
    return Probe(ProbeKind.LOG, pattern)


def asks(target: str) -> ComponentSpec:
    """An agent whose readiness is answered by a function."""
    return agent("worker", "jobs:run", ready=Probe(ProbeKind.CALL, target))


def order(seen: Seen) -> list[str]:
    return [type(event).__name__ for event in seen.events]


# ---- a line of output ----------------------------------------------------------------------------------------------------------


def test_a_line_after_the_start_makes_ready(project: Project, drive: Drive) -> None:
    """A printed line that matches makes it ready, once, however often it is printed."""
    project.write(
        jobs="""
        import asyncio
        async def run():
            await asyncio.sleep(0)
            for number in range(3):
                print(f"consuming from topic {number}")
                await asyncio.sleep(0)
            print("that was all")
            await asyncio.sleep(3600)
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        driver.event(BecameReady, "worker")
        driver.line("that was all")
        driver.down("worker")

    seen = drive(project.spec(), [agent("worker", "jobs:run", ready=log(r"topic \d"))], scenario)
    assert order(seen) == ["Launched", "Started", "BecameReady", "Exited"]


def test_a_line_before_the_start_is_not_forgotten(project: Project, drive: Drive) -> None:
    """A line of the log while it starts counts, but it is ready no sooner than it has started."""
    project.write(
        jobs="""
        import asyncio, logging
        class Worker:
            async def start(self):
                logging.getLogger("jobs").warning("ready to serve")
                await asyncio.sleep(0.05)
            async def stop(self):
                pass
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        driver.event(BecameReady, "worker")
        driver.down("worker")

    seen = drive(project.spec(), [agent("worker", "jobs:Worker", ready=log("ready to serve"))], scenario)
    assert order(seen) == ["Launched", "Started", "BecameReady", "Exited"]


def test_each_incarnation_says_it_itself(project: Project, drive: Drive) -> None:
    """The line of an earlier life makes no later one ready."""
    project.write(
        jobs="""
        import asyncio, os, pathlib
        async def run():
            mark = pathlib.Path("mark")
            if not mark.exists():
                mark.touch()
                print("ready to serve")
            print("begun")
            await asyncio.sleep(3600)
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        driver.event(BecameReady, "worker")
        driver.down("worker")
        driver.up("worker", 2)
        driver.seen.until(lambda: sum("begun" in line.message for line in driver.seen.lines) == 2, "its line")
        driver.down("worker", 2)

    seen = drive(project.spec(), [agent("worker", "jobs:run", ready=log("ready to serve"))], scenario)
    assert [event.incarnation for event in seen.events if isinstance(event, BecameReady)] == [1]


def test_a_command_is_no_exception(project: Project) -> None:
    """The output of a command is looked at in the same way."""

    def scenario(driver: Driver) -> None:
        driver.launch("server")
        driver.event(BecameReady, "server")
        driver.down("server")

    seen = drive_commands(
        project.spec(),
        [
            python(
                "server", "print('listening on 1'); import time; time.sleep(3600)", ready=log("listening on")
            )
        ],
        scenario,
    )
    assert order(seen)[:3] == ["Launched", "Started", "BecameReady"]


# ---- a function of its own -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "ok", "reason"),
    [
        ("async def check(): pass", True, ""),
        ("async def check(): return 0.0012", True, ""),
        ("def check(): return True", True, ""),
        ("def check(): pass", True, ""),
        ("async def check(): return False", False, "health:check returned False"),
        ("def check(): return []", False, "health:check returned []"),
        ("async def check(): raise OSError('no route')", False, "health.py:1: OSError: no route"),
        ("def check(): raise SystemExit(3)", False, "health.py:1: SystemExit: 3"),
        (
            "import asyncio\nasync def check(): await asyncio.sleep(3600)",
            False,
            "health:check did not answer within 0.2 s",
        ),
        ("def check(): return wait()\nasync def wait(): return 'later'", True, ""),
    ],
)
def test_what_a_function_answers(project: Project, drive: Drive, body: str, ok: bool, reason: str) -> None:
    """Anything true and nothing at all is ready; anything else, an exception and silence are not, each with its reason."""
    project.write(jobs=IDLE, health=body)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        answer = driver.check("worker", timeout=0.2)
        assert (answer.ok, answer.reason) == (ok, reason)
        assert answer.latency >= 0
        driver.down("worker")

    drive(project.spec(), [asks("health:check")], scenario)


def test_it_is_asked_where_the_component_runs(project: Project, drive: Drive) -> None:
    """An async function sees the loop and the objects of its component, and what it prints carries the component's name."""
    project.write(
        jobs="""
        import asyncio, os
        class Worker:
            loop = None
            async def start(self):
                Worker.loop = asyncio.get_running_loop()
            async def stop(self):
                pass
        async def check():
            print("asked in", os.getpid())
            return Worker.loop is asyncio.get_running_loop()
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert driver.check("worker").ok
        line = driver.line("asked in")
        assert (line.component, line.incarnation) == ("worker", 1)
        assert line.message == f"asked in {driver.pid('worker')}"
        driver.down("worker")

    drive(
        project.spec(), [agent("worker", "jobs:Worker", ready=Probe(ProbeKind.CALL, "jobs:check"))], scenario
    )


def test_a_function_that_blocks_does_not_block_the_loop(project: Project, drive: Drive) -> None:
    """A plain function runs beside the loop, which goes on meanwhile; as long as it does not return it is not called again."""
    project.write(
        jobs="""
        import asyncio, threading
        turned = 0
        asked = 0
        release = threading.Event()
        async def run():
            global turned
            try:
                while True:
                    await asyncio.sleep(0.01)
                    turned += 1
                    if asked and turned > 20:
                        print(f"turning, asked {asked}")
                        turned = 0
            finally:
                release.set()
        def check():
            global asked
            asked += 1
            release.wait()
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert "did not answer within 0.2 s" in driver.check("worker", timeout=0.2).reason
        driver.line("turning, asked 1")
        assert "has not returned for" in driver.check("worker", timeout=0.2).reason
        driver.down("worker")

    drive(project.spec(), [asks("jobs:check")], scenario)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("helth:check", "ready: there is no module helth"),
        ("health:chek", "ready: health has no attribute chek"),
        ("health:PORT", "ready: health:PORT is an int, not a function"),
        ("health:Check", "ready: health:Check is a class, not a function"),
        ("health:needy", "ready: health:needy needs arguments, but is called without any"),
    ],
)
def test_a_function_that_is_not_there(project: Project, drive: Drive, target: str, message: str) -> None:
    """What cannot be called will not become callable: the start fails at once and says why."""
    project.write(jobs=IDLE, health="PORT = 1\nclass Check: pass\ndef needy(one): pass\ndef check(): pass\n")

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        ended = driver.exited("worker")
        assert (ended.kind, ended.message) == (ExitKind.UNSTARTABLE, message)
        assert ended.hint

    drive(project.spec(), [asks(target)], scenario)


def test_nobody_answers_for_what_does_not_run(project: Project, drive: Drive) -> None:
    """Before its start and after its end there is an answer, too."""
    project.write(jobs=IDLE, health="def check(): pass")

    def scenario(driver: Driver) -> None:
        assert driver.check("worker").reason == "it is not running"
        driver.up("worker")
        driver.down("worker")
        assert driver.check("worker").reason == "it is not running"

    seen = drive(project.spec(), [asks("health:check")], scenario)
    assert order(seen) == ["Launched", "Started", "Exited"]


def test_a_question_is_no_task_left_behind(project: Project, drive: Drive) -> None:
    """A stop does not wait for an answer, and the question is not blamed on the component."""
    project.write(
        jobs=IDLE,
        health="""
        import asyncio
        async def check():
            print("asked")
            await asyncio.sleep(3600)
        """,
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        asking = threading.Thread(target=driver.check, args=("worker", 1, 0.5))
        asking.start()
        driver.line("asked")
        driver.down("worker")
        asking.join()

    seen = drive(project.spec(), [asks("health:check")], scenario)
    assert not [line for line in seen.lines if "left behind" in line.message]
