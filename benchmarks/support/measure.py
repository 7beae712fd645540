"""What a tree of processes costs at rest, and how figures are summed up, printed and kept."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from launcher.compare.figures import Spread
from launcher.compare.measure import clock, cpu_seconds, memory, spent, tree

__all__ = [
    "RESULTS",
    "Spread",
    "cpu_seconds",
    "idle_cpu",
    "machine",
    "memory",
    "save",
    "table",
    "tree",
    "until",
]

RESULTS = Path(__file__).resolve().parents[1] / "results"
"""Where each benchmark leaves its figures."""


def idle_cpu(pids: Sequence[int], seconds: float) -> float:
    """Share of one core, in percent, that the trees use while nobody asks anything of them."""
    before = clock(tree(pids))
    started = time.monotonic()
    time.sleep(seconds)  # the measurement itself: nothing is to happen meanwhile
    used = spent(before, clock(tree(pids)))
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
