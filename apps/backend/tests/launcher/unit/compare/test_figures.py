"""How the values of several runs are summed up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.compare.figures import BY_KEY, FIGURES, Spread, percentile, summed

VALUES = st.lists(st.floats(0, 1e9), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("share", "value"),
    [(0.0, 1), (0.1, 1), (0.11, 2), (0.5, 5), (0.51, 6), (0.99, 10), (1.0, 10)],
)
def test_percentiles_of_one_to_ten(share: float, value: float) -> None:
    """The nearest rank: the smallest value that so many do not exceed."""
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == value


@given(VALUES, st.floats(0, 1))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    """It is one of the values; the share at or below it suffices, and without it does not."""
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) <= share * len(values)


def test_no_values_have_no_percentile() -> None:
    """Nothing is made up where nothing was measured."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@given(VALUES, VALUES)
def test_spreads_overlap_exactly_when_their_ranges_meet(one: list[float], other: list[float]) -> None:
    """Overlap is mutual, and its absence means that every run of one lies beyond every run of the other."""
    first, second = Spread.of(one), Spread.of(other)
    assert first.low <= first.median <= first.high
    assert first.overlaps(second) == second.overlaps(first)
    assert first.overlaps(second) != (max(one) < min(other) or max(other) < min(one))


def test_what_a_mode_lacks_is_left_out() -> None:
    """A figure that only one mode has is summed up for that mode; one that nobody has is not there."""
    runs = {"single": [{"ready": 1.0, "load": 5.0}, {"ready": 3.0}], "multi": [{"ready": 4.0}]}
    assert summed(runs) == {
        "ready": {"single": Spread(2.0, 1.0, 3.0), "multi": Spread(4.0, 4.0, 4.0)},
        "load": {"single": Spread(5.0, 5.0, 5.0)},
    }


def test_figures_have_names_of_their_own() -> None:
    """No key and no label stands for two figures, so that a gate and a row are unmistakable."""
    assert len(BY_KEY) == len(FIGURES) == len({figure.label for figure in FIGURES})
