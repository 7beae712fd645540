"""What real processes cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from launcher.model.usage import Part
from launcher.observe.usage import Household, Meter

MIB = 2**20
SHARED = 64 * MIB

PAIR = f"""
import os, sys
block = bytearray(os.urandom(1)) * {SHARED}
child = os.fork()
if child:
    print(child, flush=True)
sys.stdin.read()
"""
"""Two processes that share one block of memory; the child of a fork has it without having paid for it."""

BUSY = """
import os, pathlib, time
began = time.process_time()
while time.process_time() - began < 0.3:
    pass
print("done", flush=True)
import sys; sys.stdin.read()
"""
"""Uses 0.3 s of a core and then waits."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the proportional set size")


@contextmanager
def running(script: str) -> Iterator[tuple[int, str]]:
    """A script that has said its first line; its PID, and that line."""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.communicate()


@linux
def test_a_shared_page_counts_once() -> None:
    """Two processes that share a block cost it once together, although both have it resident."""
    with running(PAIR) as (parent, child):
        pids = [parent, int(child)]
        (family,) = Meter().look([Household(Part.COMPONENT, pids, ("api",))])
        resident = sum(psutil.Process(pid).memory_info().rss for pid in pids)
    assert family.proportional
    assert SHARED <= family.memory < 1.5 * SHARED
    assert resident >= 2 * SHARED


def test_time_on_a_core_is_seen() -> None:
    """A process that has used 0.3 s of a core is told to have used that, to the tick of the system's clock."""
    with running(BUSY) as (pid, _):
        meter = Meter()
        (family,) = meter.look([Household(Part.COMPONENT, [pid], ("api",))])
        used, name = sum(psutil.Process(pid).cpu_times()[:2]), psutil.Process(pid).name()
        (again,) = meter.look([Household(Part.COMPONENT, [pid], ("api",))])
    assert 0.25 <= family.cpu_seconds <= used
    assert family.cpu > 0
    assert [member.name for member in family.members] == [name]
    assert again.cpu_seconds <= used


def test_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no /proc the resident size is told, and that it is that."""
    with running(BUSY) as (pid, _):
        (family,) = Meter(str(tmp_path)).look([Household(Part.COMPONENT, [pid], ("api",))])
        resident = psutil.Process(pid).memory_info().rss
    assert not family.proportional
    assert family.memory == resident
    assert family.cpu_seconds >= 0.25
    assert Meter(str(tmp_path)).look([Household(Part.COMPONENT, [pid], ("api",))]) == ()
