"""What a tree of processes costs: memory, and time on a core."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PROC = Path("/proc")

Clock = Mapping[tuple[int, int], float]
"""Seconds that each thread, by process and thread, has spent on a core so far."""


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """Return processes and all their descendants."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            found |= {process.pid: process for process in (root, *root.children(recursive=True))}
    return list(found.values())


def without(processes: Sequence[psutil.Process], roots: Iterable[int]) -> list[psutil.Process]:
    """Leave out some processes with their descendants and everybody in the sessions that they lead."""
    leaders = set(roots)
    left_out = leaders | {process.pid for process in tree(leaders)}
    return [
        process
        for process in processes
        if process.pid not in left_out and _session(process.pid) not in leaders
    ]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def memory(processes: Iterable[psutil.Process], proc: Path = PROC) -> float:
    """Return the proportional set size of all processes together, in MiB.

    Resident size would count a shared page once for each process that has it; here it counts once in all (proc(5), ``smaps_rollup``). Where
    the kernel does not tell it, the sum of what each process has for itself alone is returned.
    """
    return sum(_memory_of(process, proc) for process in processes) / 2**20


def _memory_of(process: psutil.Process, proc: Path) -> int:
    """Return bytes; none of a process that has ended."""
    path = proc / str(process.pid) / "smaps_rollup"
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return 0
    if not path.exists():
        with suppress(psutil.Error):
            return int(process.memory_full_info().uss)
    return 0


def cpu_seconds(processes: Iterable[psutil.Process], proc: Path = PROC) -> float:
    """Return the time that all threads of the processes have spent on a core so far, in seconds."""
    return sum(clock(processes, proc).values())


def clock(processes: Iterable[psutil.Process], proc: Path = PROC) -> Clock:
    """Return the time that each thread has spent on a core so far.

    From ``schedstat``, in nanoseconds (proc(5)): the usual counters are too coarse for a backend that does nothing. Where there is none, the
    usual counters of the process.
    """
    found: dict[tuple[int, int], float] = {}
    for process in processes:
        threads = list((proc / str(process.pid) / "task").glob("*/schedstat"))
        for thread in threads:
            with suppress(OSError, IndexError):
                found[process.pid, int(thread.parent.name)] = int(thread.read_text().split()[0]) / 1e9
        if not threads:
            with suppress(psutil.Error):
                times = process.cpu_times()
                found[process.pid, process.pid] = times.user + times.system
    return found


def spent(before: Clock, after: Clock) -> float:
    """Return the seconds on a core between two looks; of threads that ended in between, nothing more is known."""
    return sum(max(0.0, seconds - before.get(thread, 0.0)) for thread, seconds in after.items())
