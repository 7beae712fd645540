"""Comparing what was measured, and not ranking what cannot be ranked."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.figures import best, ranking, ratio, spread, spreads, values
from benchmarks.support.measure import Spread

ROUNDS = [
    {"ours": {"seconds": 1.0}, "theirs": {"seconds": 4.0, "left": 0.0}},
    {"ours": {"seconds": 3.0}, "theirs": {"seconds": 6.0, "left": 0.0}},
    {"ours": {"seconds": 2.0}, "theirs": {}},
]

MEASURED = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.lists(st.floats(0, 100), min_size=1, max_size=5).map(Spread.of),
    max_size=12,
)


def test_values_leave_out_what_was_not_measured() -> None:
    """A round without a figure is no zero."""
    assert values(ROUNDS, "theirs", "seconds") == [4.0, 6.0]
    assert spread(ROUNDS, "nobody", "seconds") is None
    assert spreads(ROUNDS, "left", ["ours", "theirs"]) == {"theirs": Spread(0.0, 0.0, 0.0)}


def test_ratio_is_that_of_medians_with_the_spread_of_rounds() -> None:
    """The ratio is of medians; its lowest and highest are ratios within one round."""
    found = ratio(ROUNDS, "seconds", "ours", "theirs")
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2 / 5, 1 / 4, 1 / 2))


@pytest.mark.parametrize(
    ("figure", "one", "other"),
    [("left", "ours", "theirs"), ("seconds", "ours", "nobody"), ("left", "theirs", "theirs")],
    ids=["not measured", "no such variant", "nothing to divide by"],
)
def test_no_ratio(figure: str, one: str, other: str) -> None:
    """Nothing is compared with what was not measured, or was nothing."""
    assert ratio(ROUNDS, figure, one, other) is None


def test_ranking_joins_what_overlaps() -> None:
    """Variants whose runs could have been each other's share a place."""
    measured = {
        "slow": Spread(9, 8, 10),
        "fast": Spread(1, 0.9, 1.1),
        "fair": Spread(5, 4, 6),
        "alike": Spread(5.5, 5, 8),
    }
    assert ranking(measured) == [["fast"], ["fair", "alike", "slow"]]


def test_best() -> None:
    """The best has the lowest median; of nothing there is none."""
    assert best({"a": Spread(2, 0, 9), "b": Spread(1, 1, 9)}) == "b"
    assert best({}) is None


@given(MEASURED)
def test_a_ranking_loses_nobody_and_claims_no_more_than_it_knows(measured: dict[str, Spread]) -> None:
    """Everybody has one place, and every run of a place is better than every run of the next."""
    groups = ranking(measured)
    assert sorted(name for group in groups for name in group) == sorted(measured)
    for before, after in pairwise(groups):
        assert max(measured[name].high for name in before) < min(measured[name].low for name in after)


@given(MEASURED)
def test_overlapping_variants_are_never_put_in_order(measured: dict[str, Spread]) -> None:
    """Two variants whose spreads overlap are always in the same place."""
    place = {name: number for number, group in enumerate(ranking(measured)) for name in group}
    for (one, its), (other, theirs) in combinations(measured.items(), 2):
        if its.overlaps(theirs):
            assert place[one] == place[other]
