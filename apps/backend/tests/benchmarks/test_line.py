"""The line through points that says whether something grows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.line import Line

NUMBERS = st.floats(-1e3, 1e3)
PLACES = st.lists(st.integers(-100, 100), min_size=3, max_size=30, unique=True)


@given(PLACES, NUMBERS, NUMBERS)
def test_points_of_a_line_give_that_line(places: list[int], intercept: float, slope: float) -> None:
    """Points that lie on a line give its intercept and slope, and leave no doubt."""
    line = Line.through([(x, intercept + slope * x) for x in places])
    assert line.intercept == pytest.approx(intercept, abs=1e-6)
    assert line.slope == pytest.approx(slope, abs=1e-6)
    assert line.uncertainty == pytest.approx(0.0, abs=1e-6)
    assert line.at(7) == pytest.approx(intercept + 7 * slope, abs=1e-5)


def test_known_case() -> None:
    """A small case by hand: slope 0.6, intercept 2.2, standard error of the slope 0.2828."""
    line = Line.through([(1, 2), (2, 4), (3, 5), (4, 4), (5, 5)])
    assert (line.slope, line.intercept) == pytest.approx((0.6, 2.2))
    assert line.uncertainty == pytest.approx(1.96 * math.sqrt(0.08))


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_no_line_through_one_place(points: list[tuple[float, float]]) -> None:
    """Points at fewer than two places are refused."""
    with pytest.raises(ValueError, match="two points"):
        Line.through(points)


def test_two_points_prove_nothing() -> None:
    """A line fits any two points, so nothing is said to be flat because of them."""
    line = Line.through([(0, 1), (1, 1)])
    assert line.slope == 0
    assert not line.flat(1, 1e9)


@pytest.mark.parametrize(
    ("slope", "wobble", "flat"),
    [(0.0, 0.0, True), (0.02, 0.0, False), (0.0, 0.1, True), (0.0, 40.0, False), (-0.02, 0.0, True)],
    ids=["level", "growing", "level, a little noise", "too noisy to tell", "shrinking"],
)
def test_flat(slope: float, wobble: float, flat: bool) -> None:
    """Flat needs evidence: neither growth nor noise that could hide growth."""
    points = [(float(x), 10 + slope * x + wobble * (-1) ** x) for x in range(100)]
    assert Line.through(points).flat(100, tolerance=1.0) is flat
