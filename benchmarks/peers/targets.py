"""What is to be reached, as a table, and whether it is. A target that is missed is shown like one that is met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from benchmarks.peers.figures import Rounds, best, ratio, spread, spreads

MULTI = "launcher multi"
SHARED = "launcher multi, preload"
SINGLE = "launcher single"
HAND = "hand"
FIFTY = "launcher multi, 50 services"

BEST_PEER = "best peer"
"""Stands for the process manager with the lowest median among those that can do what is measured."""


class Verdict(StrEnum):
    """How a target stands."""

    MET = "met"
    MISSED = "missed"
    OPEN = "not measured"


class Worst(StrEnum):
    """Which of the rounds counts."""

    MEDIAN = "median"
    HIGHEST = "highest"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for a figure of a variant.

    Attributes:
        shown: what is bounded, in words.
        variant: whose figure.
        figure: its name.
        bound: the figure, or its ratio to that of `against`, must not be above it.
        against: another variant or `BEST_PEER`; empty for a bound of the figure itself.
        counts: a count of failures must hold in every round, a duration in the median.
        stretch: good to have; missing it is told and is no failure.
    """

    shown: str
    variant: str
    figure: str
    bound: float
    against: str = ""
    counts: Worst = Worst.MEDIAN
    stretch: bool = False


def never(shown: str, variant: str, figure: str) -> Target:
    """A target that a count is 0 in every round."""
    return Target(shown, variant, figure, 0.0, counts=Worst.HIGHEST)


TARGETS = (
    Target("multi: time until all is ready", MULTI, "ready_seconds", 0.20, BEST_PEER),
    Target("multi: time until all is ready", MULTI, "ready_seconds", 1.2, SINGLE),
    Target("multi: memory", MULTI, "pss_mib", 0.28, BEST_PEER),
    Target("multi: memory", MULTI, "pss_mib", 2.0, SINGLE, stretch=True),
    Target("multi with preload: time until all is ready", SHARED, "ready_seconds", 1.2, SINGLE),
    Target("multi with preload: memory", SHARED, "pss_mib", 0.28, BEST_PEER),
    Target("multi with preload: memory", SHARED, "pss_mib", 2.0, SINGLE, stretch=True),
    Target("single: time until all is ready", SINGLE, "ready_seconds", 1.15, HAND),
    Target("single: memory", SINGLE, "pss_mib", 1.15, HAND),
    Target("supervisor alone: memory, MiB", MULTI, "pss_mib of launcher", 15.0),
    Target(
        "supervisor, zygote and guard: CPU at rest, % of a core",
        MULTI,
        "manager_idle_percent",
        0.1,
    ),
    Target("crash: serving again, ms", MULTI, "crash200_serving_ms", 100.0),
    Target("crash: serving again", MULTI, "crash200_serving_ms", 0.1, BEST_PEER),
    Target("crash with preload: serving again, ms", SHARED, "crash200_serving_ms", 100.0),
    Target("crash: noticed, ms", MULTI, "crash200_noticed_ms", 5.0),
    never("crash at 200/s: requests refused", MULTI, "crash200_refused"),
    never(
        "crash at 200/s: requests failed that were not inside",
        MULTI,
        "crash200_avoidable",
    ),
    never("crash at 2,000/s: requests refused", MULTI, "crash2000_refused"),
    never(
        "crash at 2,000/s: requests failed that were not inside",
        MULTI,
        "crash2000_avoidable",
    ),
    *(
        never(
            f"{mode.split()[1]}: restart at {rate:,}/s, {words}: requests failed",
            mode,
            f"restart{rate}_{kind}_failed",
        )
        for mode in (MULTI, SINGLE)
        for rate in (200, 2000)
        for kind, words in (("new", "new connections"), ("kept", "kept alive"))
    ),
    Target("50 services: status, ms", FIFTY, "status_ms", 100.0),
    *(
        never(
            f"{mode.split()[1]}: processes left after kill -9 of the {role}",
            mode,
            f"left after {role}",
        )
        for mode, roles in (
            (MULTI, ("launcher", "guard", "host", "zygote")),
            (SINGLE, ("launcher", "guard")),
        )
        for role in roles
    ),
)


class Judged(NamedTuple):
    """A target and what was measured.

    Attributes:
        target: what was wanted.
        verdict: whether it was reached.
        value: what decides: the median, or the highest of all rounds.
        low: of the rounds.
        high: of the rounds.
        against: the variant that it was compared with.
    """

    target: Target
    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    against: str

    @property
    def close(self) -> bool:
        """Whether the bound lies inside the spread, so that another run could have the other verdict."""
        return self.low is not None and self.high is not None and self.low <= self.target.bound < self.high


def judge(target: Target, rounds: Rounds, peers: Sequence[str]) -> Judged:
    """Compare one target with what was measured.

    Args:
        target: what is wanted.
        rounds: what was measured.
        peers: the variants that `BEST_PEER` may stand for.
    """
    against = target.against
    if against == BEST_PEER:
        against = best(spreads(rounds, target.figure, peers)) or ""
        if not against:
            return Judged(target, Verdict.OPEN, None, None, None, "")
    if against:
        compared = ratio(rounds, target.figure, target.variant, against)
        found = None if compared is None else (compared.value, compared.low, compared.high)
    else:
        alone = spread(rounds, target.variant, target.figure)
        found = None if alone is None else (alone.median, alone.low, alone.high)
    if found is None:
        return Judged(target, Verdict.OPEN, None, None, None, against)
    value, low, high = found
    counted = high if target.counts is Worst.HIGHEST else value
    verdict = Verdict.MET if counted <= target.bound else Verdict.MISSED
    return Judged(target, verdict, counted, low, high, against)


def judged(rounds: Rounds, peers: Sequence[str]) -> list[Judged]:
    """Every target of the table."""
    return [judge(target, rounds, peers) for target in TARGETS]


def failed(results: Sequence[Judged]) -> bool:
    """Whether one that had to be met was missed."""
    return any(one.verdict is Verdict.MISSED and not one.target.stretch for one in results)


def as_document(results: Sequence[Judged]) -> list[Mapping[str, object]]:
    """The verdicts for the results file."""
    return [
        {
            "what": one.target.shown,
            "variant": one.target.variant,
            "figure": one.target.figure,
            "against": one.against or one.target.against,
            "bound": one.target.bound,
            "counts": str(one.target.counts),
            "stretch": one.target.stretch,
            "verdict": str(one.verdict),
            "close": one.close,
            "value": one.value,
            "low": one.low,
            "high": one.high,
        }
        for one in results
    ]
