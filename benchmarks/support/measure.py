"""What a tree of processes costs, and how figures are summed up, printed and kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).resolve().parents[1] / "results"
"""Where each benchmark leaves its figures."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several runs, with the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum up the values of several runs."""
        return cls(statistics.median(values), min(values), max(values))

    def overlaps(self, other: Spread) -> bool:
        """Whether a run of one could have been a run of the other, so that the two cannot be ranked."""
        return self.low <= other.high and other.low <= self.high


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """Processes and all their descendants."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            found |= {process.pid: process for process in (root, *root.children(recursive=True))}
    return list(found.values())


def memory(processes: Iterable[psutil.Process]) -> float:
    """Proportional set size of all processes together, in MiB.

    Resident size would count a shared page once for each process that has it; here it counts once in all (proc(5), `smaps_rollup`).
    """
    total = 0
    for process in processes:
        with suppress(OSError):
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Time that all threads of the processes have spent on a core so far.

    From `schedstat`, in nanoseconds (proc(5)): the usual counters are too coarse for a backend that does nothing.
    """
    total = 0
    for process in processes:
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                total += int(thread.read_text().split()[0])
    return total / 1e9


def idle_cpu(pids: Sequence[int], seconds: float) -> float:
    """Share of one core, in percent, that the trees use while nobody asks anything of them."""
    before = cpu_seconds(tree(pids))
    started = time.monotonic()
    time.sleep(seconds)  # the measurement itself: nothing is to happen meanwhile
    used = cpu_seconds(tree(pids)) - before
    return 100 * used / (time.monotonic() - started)


def until(happened: Callable[[], bool], what: str, patience: float = 60.0, pause: float = 0.01) -> float:
    """Wait until something has happened; return the monotonic time at which it was seen.

    Raises:
        TimeoutError: it has not within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {patience:g} s still waiting for: {what}")
        time.sleep(pause)
    return time.monotonic()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }


def save(name: str, document: Mapping[str, Any]) -> Path:
    """Write a result under the name of its benchmark, with the day and the machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    plain = json.loads(json.dumps(document, default=asdict))
    day = datetime.now(UTC).date().isoformat()
    text = json.dumps({"measured": day, "machine": machine(), **plain}, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n")
    return path
