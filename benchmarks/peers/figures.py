"""What is measured, and the arithmetic of comparing it: spreads, ratios with their spread, and a ranking that says when it cannot rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.support.measure import Spread

Rounds = Sequence[Mapping[str, Mapping[str, float]]]
"""For each round, by variant, the figures by name; what a variant has not is missing."""

LEAST_ROUNDS = 3
"""Rounds below which nothing is ranked: the spread of one or two runs says nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured; less is better in all of them.

    Attributes:
        name: in the results.
        shown: in tables, with its unit.
        digits: after the point.
    """

    name: str
    shown: str
    digits: int


GROUPS: Mapping[str, tuple[Figure, ...]] = {
    "start and rest": (
        Figure("ready_seconds", "all ready, s", 2),
        Figure("pss_mib", "PSS of all, MiB", 0),
        Figure("manager_pss_mib", "PSS of the manager, MiB", 1),
        Figure("idle_percent", "CPU of all at rest, %", 2),
        Figure("manager_idle_percent", "CPU of the manager at rest, %", 2),
        Figure("status_ms", "status command, ms", 0),
        Figure("stop_seconds", "stop, s", 2),
        Figure("left", "left after `kill -9` of the manager", 0),
    ),
    "crash": (
        Figure("crash200_noticed_ms", "noticed, ms", 1),
        Figure("crash200_serving_ms", "serving again, ms", 0),
        Figure("crash200_refused", "refused, 200/s", 0),
        Figure("crash200_avoidable", "failed outside the dead process, 200/s", 0),
        Figure("crash200_inside", "failed inside it, 200/s", 0),
        Figure("crash2000_refused", "refused, 2,000/s", 0),
        Figure("crash2000_avoidable", "failed outside the dead process, 2,000/s", 0),
        Figure("crash2000_inside", "failed inside it, 2,000/s", 0),
    ),
    "restart": (
        Figure("restart200_new_seconds", "restart, s", 2),
        Figure("restart200_new_failed", "failed, 200/s", 1),
        Figure("restart200_kept_failed", "failed, 200/s, kept alive", 1),
        Figure("restart2000_new_failed", "failed, 2,000/s", 1),
        Figure("restart2000_kept_failed", "failed, 2,000/s, kept alive", 1),
    ),
}
"""The tables, and the figures that are their columns."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one variant compares with another: the ratio of their medians, and the lowest and highest ratio within one round.

    The variants of a round run within minutes of each other, so what else the machine does weighs less on a ratio than on its parts.
    """

    value: float
    low: float
    high: float


def values(rounds: Rounds, variant: str, figure: str) -> list[float]:
    """The figure of a variant in each round that has it."""
    found = (one.get(variant, {}).get(figure) for one in rounds)
    return [value for value in found if value is not None]


def spread(rounds: Rounds, variant: str, figure: str) -> Spread | None:
    """Median, lowest and highest; None where it was not measured."""
    found = values(rounds, variant, figure)
    return Spread.of(found) if found else None


def spreads(rounds: Rounds, figure: str, variants: Sequence[str]) -> dict[str, Spread]:
    """The spread of a figure for each of the variants that have it."""
    found = {variant: spread(rounds, variant, figure) for variant in variants}
    return {variant: one for variant, one in found.items() if one is not None}


def ratio(rounds: Rounds, figure: str, variant: str, other: str) -> Ratio | None:
    """Compare two variants; None where one of them, or a round with both, was not measured, or the other one is 0."""
    one, against = spread(rounds, variant, figure), spread(rounds, other, figure)
    pairs = [
        (each[variant][figure], each[other][figure])
        for each in rounds
        if figure in each.get(variant, {}) and figure in each.get(other, {})
    ]
    if one is None or against is None or not pairs or against.median == 0:
        return None
    within = [numerator / denominator if denominator else math.inf for numerator, denominator in pairs]
    return Ratio(one.median / against.median, min(within), max(within))


def best(measured: Mapping[str, Spread]) -> str | None:
    """The variant with the lowest median; None of none."""
    return min(measured, key=lambda variant: measured[variant].median, default=None)


def ranking(measured: Mapping[str, Spread]) -> list[list[str]]:
    """The variants from best to worst, in groups within which they cannot be told apart.

    A variant joins the group before it when one of its runs could have been a run of that group: no order is claimed that another run
    might turn round.
    """
    groups: list[list[str]] = []
    reach = -math.inf
    for variant in sorted(measured, key=lambda name: (measured[name].low, measured[name].high, name)):
        if groups and measured[variant].low <= reach:
            groups[-1].append(variant)
        else:
            groups.append([variant])
        reach = max(reach, measured[variant].high)
    return groups
