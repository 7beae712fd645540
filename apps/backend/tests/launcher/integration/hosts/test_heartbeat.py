"""Signs of life and the stacks of what gives none: the same on every host."""

from __future__ import annotations

from collections.abc import Callable

from launcher.model.spec import Mode
from tests.launcher.integration.hosts.driver import (
    DEADLINE,
    Driver,
    Project,
    Seen,
    agent,
    drive_commands,
    python,
)

Drive = Callable[..., Seen]

BLOCKS = """
    import asyncio, pathlib, time

    async def run():
        while not pathlib.Path("block").exists():
            await asyncio.sleep(0.01)
        in_the_way()
        await asyncio.sleep(3600)

    def in_the_way():
        print("blocking")
        while pathlib.Path("block").exists():
            time.sleep(0.01)
"""


def test_a_loop_that_turns_answers(project: Project, drive: Drive) -> None:
    """Each ping is answered, one after the other."""
    project.write(jobs=BLOCKS)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        for _ in range(3):
            assert driver.ping("worker").wait(DEADLINE)
        driver.down("worker")

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_a_loop_that_is_blocked_does_not(project: Project, drive: Drive) -> None:
    """There is no answer while a component blocks the loop, the stacks show where, and the answer comes when it turns again."""
    project.write(jobs=BLOCKS)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        (project.root / "block").touch()
        driver.line("blocking")
        alive = driver.ping("worker")
        driver.show_stacks("worker")
        line = driver.line("in in_the_way")
        assert (line.component, line.incarnation) == ("worker", 1)
        assert not alive.is_set()
        (project.root / "block").unlink()
        assert alive.wait(DEADLINE)
        assert driver.ping("worker").wait(DEADLINE)
        driver.down("worker")

    seen = drive(project.spec(), [agent("worker", "jobs:run")], scenario)
    assert any("event loop does not turn" in line.message for line in seen.lines)


def test_stacks_harm_nobody(project: Project, drive: Drive) -> None:
    """Whoever is asked for its stacks although it is well goes on as before."""
    project.write(jobs=BLOCKS)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        driver.show_stacks("worker")
        driver.line("event loop does not turn")
        assert driver.ping("worker").wait(DEADLINE)
        assert driver.down("worker").message == "stopped"

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_what_does_not_run_gives_no_sign_and_shows_no_stack(project: Project, drive: Drive) -> None:
    """Nothing is made up for a life that is over."""
    project.write(jobs=BLOCKS)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        driver.down("worker")
        driver.show_stacks("worker")
        driver.up("worker", 2)
        assert driver.ping("worker", 2).wait(DEADLINE)
        driver.down("worker", 2)

    drive(project.spec(mode=Mode.MULTI), [agent("worker", "jobs:run")], scenario)


def test_a_command_shows_no_stack(project: Project) -> None:
    """A program of any kind is not sent a signal that it does not know."""

    def scenario(driver: Driver) -> None:
        driver.up("server")
        driver.show_stacks("server")
        assert driver.down("server").signal

    drive_commands(project.spec(), [python("server", "import time; time.sleep(3600)")], scenario)
