"""Modules of the project that the declaration has imported once for all processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.hosts.memory import remembered
from tests.launcher.integration.hosts.driver import Driver, Project, agent
from tests.launcher.integration.hosts.test_warm import install, libraries, play, start_of, zygotes

__all__ = ["libraries"]

JOBS = """
    import common
    async def run():
        print("common", common.value)
"""


@pytest.fixture
def declared(project: Project, libraries: Path) -> Project:
    """A project whose agent imports a module called ``common``."""
    install(libraries)
    project.write(jobs=JOBS, common="import os\nvalue = os.getpid()\n")
    return project


def value_of(driver: Driver, incarnation: int = 1) -> str:
    """What the module held in an incarnation."""
    driver.to_the_end("worker", incarnation)
    return [line.message for line in driver.seen.lines if line.message.startswith("common ")][-1].split()[1]


def test_it_is_imported_once(declared: Project) -> None:
    """A module that is named is imported by the zygote; one that is not, by each process."""

    def shared(driver: Driver) -> None:
        assert [int(value_of(driver)), int(value_of(driver, 2))] == zygotes() * 2

    def own(driver: Driver) -> None:
        assert value_of(driver) != value_of(driver, 2)

    play(declared, shared, preload=("common",))
    play(declared, own)


def test_an_edit_counts_at_the_next_start(declared: Project) -> None:
    """After an edit, the next start is cold, with the new code, and the one after it is warm again."""

    def scenario(driver: Driver) -> None:
        assert int(value_of(driver)) in zygotes()
        declared.write(common="value = 'edited'\n")
        assert value_of(driver, 2) == "edited"
        edited = declared.root / "common.py"
        assert start_of(driver, incarnation=2) == f"cold ({edited} has changed since it was imported)"
        assert value_of(driver, 3) == "edited"
        assert start_of(driver, incarnation=3) == "warm"

    play(declared, scenario, preload=("common",))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise RuntimeError('no')\n", "common.py:1: RuntimeError: no"),
        ("import sys\nsys.exit(3)\n", "common.py:2: SystemExit: 3"),
    ],
    ids=["an exception", "an exit"],
)
def test_one_that_cannot_be_imported_is_told(declared: Project, code: str, told: str) -> None:
    """What goes wrong is said once; processes start warm all the same, and meet the error for themselves."""
    declared.write(common=f"{code}value = 'never'\n", jobs="async def run():\n    print('common unused')\n")

    def scenario(driver: Driver) -> None:
        assert value_of(driver) == "unused"
        assert start_of(driver) == "warm"
        assert driver.line("cannot preload").message == f"cannot preload common: {told}"

    play(declared, scenario, preload=("common",))


def test_a_hazard_leaves_it_to_the_processes(declared: Project, tmp_path: Path) -> None:
    """One that starts a thread is imported by each process; since the next edit may mend it, that is not remembered."""
    thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    declared.write(common=f"{thread}import os\nvalue = os.getpid()\n")
    memory = remembered(str(tmp_path))

    def scenario(driver: Driver) -> None:
        assert int(value_of(driver)) not in zygotes()
        assert start_of(driver) == "warm, but for common (starts 1 thread when it is imported)"

    play(declared, scenario, preload=("common",), memory=memory)
    assert not memory.hazards


def test_a_variable_that_it_reads_makes_a_cold_start(declared: Project, tmp_path: Path) -> None:
    """A component that has its own value of a variable that was read starts cold; neither is that remembered."""
    declared.write(common="import os\nvalue = os.environ.get('LEVEL', 'none')\n")
    memory = remembered(str(tmp_path))
    worker = agent("worker", "jobs:run", environment={"LEVEL": "high"})

    def scenario(driver: Driver) -> None:
        assert value_of(driver) == "high"
        assert start_of(driver) == "cold (LEVEL is set for it, and common reads it while it is imported)"

    play(declared, scenario, worker, preload=("common",), memory=memory)
    assert "LEVEL" not in memory.read
    assert os.environ.get("LEVEL") is None
