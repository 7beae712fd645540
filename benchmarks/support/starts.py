"""How many of many starts succeed."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.measure import Spread, save, table
from benchmarks.support.newsdesk import Variant, make_place, running
from benchmarks.support.servers import Servers

REQUIRED = 0.95
"""The least share of starts that must succeed."""


@dataclass(frozen=True, slots=True)
class Starts:
    """How the starts in one mode went; `failures` says what went wrong with the others."""

    succeeded: int
    ready_seconds: Spread | None
    failures: list[str]


def prove_starts(directory: Path, where: Servers, cycles: int) -> int:
    """Start and stop the backend many times in each mode; print and keep the share of cycles without a fault.

    A cycle is without a fault when everything became ready, the launcher ended with 0 when it was asked to stop, and nothing was left behind.

    Returns:
        1 when a mode succeeded too seldom, else 0.
    """
    modes = {mode: _cycles(directory, where, mode, cycles) for mode in (Variant.SINGLE, Variant.MULTI)}
    rows = [[mode, f"{found.succeeded} of {cycles}"] for mode, found in modes.items()]
    print(table(["mode", "starts and stops without a fault"], rows))
    print(f"\nfigures: {save('starts', {'cycles': cycles, 'required': REQUIRED, 'starts': modes})}")
    return 0 if all(found.succeeded / cycles >= REQUIRED for found in modes.values()) else 1


def _cycles(directory: Path, where: Servers, mode: Variant, cycles: int) -> Starts:
    times: list[float] = []
    failures: list[str] = []
    for cycle in range(cycles):
        place = make_place(directory / f"{mode}{cycle}", where, migrate=True)
        try:
            with running(mode, place) as backend:
                ready = backend.all_ready()
                backend.stop()
        except (TimeoutError, ChildProcessError) as problem:
            failures.append(f"{type(problem).__name__}: {problem}")
            print(f"{mode} {cycle + 1}: {failures[-1]}", file=sys.stderr, flush=True)
        else:
            times.append(ready)
            shutil.rmtree(place.directory)
        if (cycle + 1) % 10 == 0:
            print(f"{mode}: {len(times)} of {cycle + 1}", file=sys.stderr, flush=True)
    return Starts(len(times), Spread.of(times) if times else None, failures)
