"""What processes cost, read from a system that says what the test wants."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from launcher.model.usage import Part
from launcher.observe.usage import Household, Meter

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class System:
    """A directory that looks like /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "self").mkdir()

    def process(
        self,
        pid: int,
        cpu: float,
        pss: int | None = 100,
        *,
        age: float = 10.0,
        name: str = "x",
        state: str = "S",
    ) -> None:
        """Let there be a process that has used ``cpu`` seconds, and has ``pss`` KiB, or 7 resident pages of which no more is known."""
        home = self.root / str(pid)
        home.mkdir(exist_ok=True)
        began = int((time.clock_gettime(time.CLOCK_BOOTTIME) - age) * TICKS)
        fields = ["0"] * 50
        fields[11], fields[12] = str(int(cpu * TICKS)), "0"
        fields[19] = str(began)
        (home / "stat").write_text(f"{pid} ({name}) {state} {' '.join(fields[1:])}\n")
        (home / "statm").write_text("90 7 3 1 0 5 0\n")
        if pss is not None:
            (home / "smaps_rollup").write_text(
                f"00400000-7fff [rollup]\nRss: 900 kB\nPss: {pss} kB\nPss_Dirty: 1 kB\n"
            )

    def end(self, pid: int) -> None:
        for file in (self.root / str(pid)).iterdir():
            file.unlink()
        (self.root / str(pid)).rmdir()


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def household(*pids: int) -> Household:
    return Household(Part.COMPONENT, pids, ("api",))


def test_a_family_is_added_up(system: System) -> None:
    """Time and memory of all processes of a family count together, and each is named, whatever it calls itself."""
    system.process(41, cpu=2.0, pss=100, name="a) (b")
    system.process(42, cpu=1.0, pss=50)
    (family,) = Meter(str(system.root)).look([household(41, 42)])
    assert (family.cpu_seconds, family.memory, family.proportional) == (3.0, 150 * 1024, True)
    assert [(member.pid, member.name) for member in family.members] == [(41, "a) (b"), (42, "x")]


def test_the_first_look_counts_from_the_beginning_of_the_process(system: System) -> None:
    """Of a process that is ten seconds old and has used five, a first look tells fifty percent."""
    system.process(41, cpu=5.0, age=10.0)
    (family,) = Meter(str(system.root)).look([household(41)])
    assert family.cpu == pytest.approx(50, rel=0.1)


def test_the_next_look_counts_from_the_one_before(system: System) -> None:
    """What was used before the last look is not told again."""
    system.process(41, cpu=5.0)
    meter = Meter(str(system.root))
    meter.look([household(41)])
    (family,) = meter.look([household(41)])
    assert family.cpu == 0.0
    assert meter.totals == {(Part.COMPONENT, "api"): 5.0}


def test_totals_survive_processes(system: System) -> None:
    """The counter of a component goes on when its process is replaced, and never goes back."""
    meter = Meter(str(system.root))
    system.process(41, cpu=5.0)
    meter.look([household(41)])
    system.end(41)
    assert meter.look([household(41)]) == ()
    system.process(43, cpu=0.5, age=1.0)
    meter.look([household(43)])
    assert meter.totals == {(Part.COMPONENT, "api"): 5.5}


def test_a_number_that_was_given_again_is_another_process(system: System) -> None:
    """A process that has the number of an earlier one starts from nothing."""
    meter = Meter(str(system.root))
    system.process(41, cpu=5.0, age=100.0)
    meter.look([household(41)])
    system.end(41)
    system.process(41, cpu=0.25, age=1.0)
    meter.look([household(41)])
    assert meter.totals == {(Part.COMPONENT, "api"): 5.25}


def test_resident_size_where_nothing_better_is_told(system: System) -> None:
    """Of a process that is another user's the resident size is taken, and the family says that it is not proportional."""
    system.process(41, cpu=0.0, pss=100)
    system.process(42, cpu=0.0, pss=None)
    (family,) = Meter(str(system.root)).look([household(41, 42)])
    assert (family.memory, family.proportional) == (100 * 1024 + 7 * PAGE, False)


def test_what_has_ended_costs_nothing(system: System) -> None:
    """A zombie and a process that has gone are no members."""
    system.process(41, cpu=1.0)
    system.process(42, cpu=1.0, state="Z")
    (family,) = Meter(str(system.root)).look([household(41, 42, 43)])
    assert [member.pid for member in family.members] == [41]
