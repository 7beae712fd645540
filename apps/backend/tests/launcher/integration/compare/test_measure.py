"""What processes cost, measured on real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.compare.measure import clock, cpu_seconds, memory, spent, tree, without

FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(1000)"], stdout=subprocess.PIPE, start_new_session={session})
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
child.wait()
"""


@pytest.fixture(params=[True, False], ids=["a session of its own", "the same session"])
def family(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A process and its child, by their PIDs."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY.format(session=request.param)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        yield parent.pid, int(parent.stdout.readline())
        parent.stdin.close()


def test_a_tree_is_a_process_with_its_descendants(family: tuple[int, int]) -> None:
    """Both are found from the parent, the child can be left out, and who is left out takes the descendants along."""
    parent, child = family
    everyone = tree([parent])
    assert {process.pid for process in everyone} == {parent, child}
    assert [process.pid for process in without(everyone, [child])] == [parent]
    assert without(everyone, [parent]) == []
    assert without(everyone, []) == everyone


def test_who_has_gone_costs_nothing(family: tuple[int, int]) -> None:
    """A process that ended between listing and looking is no error."""
    everyone = tree([family[1]])
    for process in everyone:
        process.kill()
        psutil.wait_procs([process], timeout=0.1)
    with subprocess.Popen([sys.executable, "-c", ""]) as short:
        gone = psutil.Process(short.pid)
    assert memory([gone]) == 0
    assert clock([gone]) == {}
    assert tree([short.pid]) == []


def test_memory_is_what_the_kernel_says(family: tuple[int, int]) -> None:
    """The sum of two processes is the sum of their PSS, and two shares of the same pages are less than two resident sizes."""
    everyone = tree([family[0]])
    both = memory(everyone)
    assert both == pytest.approx(sum(memory([process]) for process in everyone), rel=0.2)
    assert 0 < both < sum(process.memory_info().rss for process in everyone) / 2**20


def test_without_a_kernel_that_tells(family: tuple[int, int], tmp_path: Path) -> None:
    """Where there is no smaps_rollup and no schedstat, the portable figures are used."""
    process = psutil.Process(family[0])
    assert memory([process], tmp_path) == pytest.approx(process.memory_full_info().uss / 2**20, rel=0.2)
    times = process.cpu_times()
    assert clock([process], tmp_path) == {(process.pid, process.pid): times.user + times.system}


def test_work_is_seen() -> None:
    """A process that computes has spent time on a core, by about as much as it says itself."""
    own = psutil.Process()
    before, used = clock([own]), os.times()
    while (now := os.times()).user - used.user < 0.2:
        sum(range(10_000))
    assert spent(before, clock([own])) >= 0.5 * (now.user - used.user)
    assert cpu_seconds([own]) > 0


CLOCKS = st.dictionaries(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.floats(0, 100))


@given(CLOCKS, CLOCKS)
def test_time_spent_is_never_negative(
    before: dict[tuple[int, int], float], after: dict[tuple[int, int], float]
) -> None:
    """Threads that ended take nothing back, new ones count in full, and nothing is counted that was there before."""
    used = spent(before, after)
    assert 0 <= used <= sum(after.values())
    assert spent(after, after) == 0
    assert spent({}, after) == pytest.approx(sum(after.values()))
