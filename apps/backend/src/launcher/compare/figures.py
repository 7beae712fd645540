"""What is measured, and how the values of several runs are summed up."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Run = Mapping[str, float]
"""The values of one run by the key of their figure; what could not be measured is not in it."""


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


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured; of all of them less is better.

    Attributes:
        key: what it is called in documents and on the command line.
        label: what it is called in tables.
        unit: of its values; empty for a number of things.
        digits: after the point.
    """

    key: str
    label: str
    unit: str
    digits: int

    def shown(self, value: float) -> str:
        """Return a value without its unit."""
        return f"{value:.{self.digits}f}"


FIGURES = (
    Figure("ready", "time until all is ready", "s", 2),
    Figure("memory", "memory (PSS)", "MiB", 1),
    Figure("memory-all", "memory (PSS), with commands", "MiB", 1),
    Figure("cpu", "CPU at rest", "% of a core", 2),
    Figure("cpu-all", "CPU at rest, with commands", "% of a core", 2),
    Figure("processes", "processes", "", 0),
    Figure("restart", "restart of one component", "s", 3),
    Figure("p50", "request, median", "ms", 2),
    Figure("p99", "request, 99th percentile", "ms", 2),
    Figure("request-cpu", "CPU per request", "ms", 2),
    Figure("load", "the load", "s", 2),
    Figure("load-cpu", "CPU for the load", "s", 2),
    Figure("stop", "time to stop", "s", 2),
)

BY_KEY = {figure.key: figure for figure in FIGURES}

Spreads = Mapping[str, Mapping[str, Spread]]
"""By the key of a figure and by mode; a mode in which something could not be measured is not in it."""


def summed(runs: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, Spread]]:
    """Sum up the runs of each mode; figures that no mode has are left out."""
    found: dict[str, dict[str, Spread]] = {}
    for figure in FIGURES:
        for mode, measured in runs.items():
            values = [run[figure.key] for run in measured if figure.key in run]
            if values:
                found.setdefault(figure.key, {})[mode] = Spread.of(values)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of all values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
