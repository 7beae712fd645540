"""What may be concluded from the figures: which mode is ahead, and whether a gate is met.

Modes are only told apart where no run of one could have been a run of the other. With three runs of each, equal modes look different in one
case of ten by chance (2 of the 20 orders of six values), with five in less than one of a hundred (2 of 252).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import combinations

from launcher.compare.figures import Spread, Spreads

ENOUGH = 3
"""Fewest runs of each mode that say something about noise: with two, equal modes would look different in one case of three."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two modes by one figure.

    Attributes:
        ratio: the median of ``one`` as a share of the median of ``other``; ``None`` when the latter is nothing.
        ahead: the mode with less; empty when the difference lies inside the noise.
    """

    figure: str
    one: str
    other: str
    ratio: float | None
    ahead: str


def pairs(spreads: Spreads, runs: int) -> list[Pair]:
    """Compare every two modes by every figure that both have."""
    return [
        _pair(figure, one, other, by_mode, runs)
        for figure, by_mode in spreads.items()
        for one, other in combinations(by_mode, 2)
    ]


def _pair(figure: str, one: str, other: str, by_mode: Mapping[str, Spread], runs: int) -> Pair:
    first, second = by_mode[one], by_mode[other]
    ratio = first.median / second.median if second.median > 0 else None
    if runs < ENOUGH or first.overlaps(second):
        return Pair(figure, one, other, ratio, "")
    return Pair(figure, one, other, ratio, one if first.median < second.median else other)


@dataclass(frozen=True, slots=True)
class Gate:
    """A demand: ``single`` takes at most ``limit`` times what ``multi`` takes."""

    figure: str
    limit: float


SINGLE, MULTI = "single", "multi"

USUAL_GATES = (Gate("memory", 0.7), Gate("cpu", 0.7))


@unique
class Outcome(StrEnum):
    """How a gate was judged."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"
    """Too noisy to tell, or not measured: nothing was shown, so the gate does not count as met."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A gate and what became of it.

    Attributes:
        ratio: what was measured; ``None`` when it was not.
        reason: why, where the ratio alone does not say it; empty otherwise.
    """

    gate: Gate
    outcome: Outcome
    ratio: float | None
    reason: str = ""


def judged(gates: Iterable[Gate], spreads: Spreads) -> list[Judgement]:
    """Judge every gate.

    The ratio of the medians decides, unless the runs of both modes overlap: then a limit below 1, which asks for a difference, is not shown
    to be kept; and none is shown to be missed that some runs of both would keep.
    """
    return [_judged(gate, spreads.get(gate.figure, {})) for gate in gates]


def _judged(gate: Gate, by_mode: Mapping[str, Spread]) -> Judgement:
    if SINGLE not in by_mode or MULTI not in by_mode:
        return Judgement(gate, Outcome.UNDECIDED, None, "it was not measured in both modes")
    one, other = by_mode[SINGLE], by_mode[MULTI]
    if one.high <= 0:
        return Judgement(gate, Outcome.MET, None, f"{SINGLE} takes nothing that could be measured")
    if other.median <= 0:
        return Judgement(gate, Outcome.MISSED, None, f"{MULTI} takes nothing that could be measured")
    ratio = one.median / other.median
    kept = ratio <= gate.limit
    could_be_otherwise = gate.limit < 1 if kept else one.low <= gate.limit * other.high
    if could_be_otherwise and one.overlaps(other):
        return Judgement(gate, Outcome.UNDECIDED, ratio, "the runs of both modes overlap")
    return Judgement(gate, Outcome.MET if kept else Outcome.MISSED, ratio)


def missed(judgements: Iterable[Judgement]) -> bool:
    """Whether a gate was not shown to be met."""
    return any(judgement.outcome is not Outcome.MET for judgement in judgements)
