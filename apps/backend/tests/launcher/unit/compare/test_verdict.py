"""What may be concluded from the figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.compare.figures import Spread
from launcher.compare.verdict import ENOUGH, Gate, Judgement, Outcome, Pair, judged, missed, pairs

RUNS = st.lists(st.floats(0.001, 1e6), min_size=ENOUGH, max_size=9)


def spreads(single: list[float], multi: list[float], key: str = "memory") -> dict[str, dict[str, Spread]]:
    """Return the runs of both modes, summed up."""
    return {key: {"single": Spread.of(single), "multi": Spread.of(multi)}}


@pytest.mark.parametrize(
    ("single", "multi", "runs", "ratio", "ahead"),
    [
        pytest.param([1, 2, 3], [4, 8, 9], 3, 0.25, "single", id="less"),
        pytest.param([4, 8, 9], [1, 2, 3], 3, 4.0, "multi", id="more"),
        pytest.param([1, 2, 4], [4, 8, 9], 3, 0.25, "", id="they touch"),
        pytest.param([1, 5, 9], [4, 4, 4], 3, 1.25, "", id="one inside the other"),
        pytest.param([2, 2, 2], [2, 2, 2], 3, 1.0, "", id="the same"),
        pytest.param([1, 2], [4, 8], 2, 0.25, "", id="too few runs"),
        pytest.param([0, 0, 0], [0, 0, 0], 3, None, "", id="nothing at all"),
        pytest.param([1, 1, 1], [0, 0, 0], 3, None, "multi", id="something and nothing"),
    ],
)
def test_who_is_ahead(
    single: list[float], multi: list[float], runs: int, ratio: float | None, ahead: str
) -> None:
    """A mode is ahead when each of its runs took less than every run of the other, and there were enough."""
    (found,) = pairs(spreads(single, multi), runs)
    assert found.ahead == ahead
    assert found.ratio == (None if ratio is None else pytest.approx(ratio))


@given(RUNS, RUNS)
def test_noise_is_never_ranked(single: list[float], multi: list[float]) -> None:
    """Whoever is ahead has every run below every run of the other; in all other cases nobody is."""
    (found,) = pairs(spreads(single, multi), min(len(single), len(multi)))
    match found.ahead:
        case "single":
            assert max(single) < min(multi)
        case "multi":
            assert max(multi) < min(single)
        case _:
            assert max(single) >= min(multi)
            assert max(multi) >= min(single)


@given(RUNS, RUNS)
def test_the_order_of_modes_does_not_matter(single: list[float], multi: list[float]) -> None:
    """The same mode is ahead whichever is named first."""
    there = spreads(single, multi)
    back = {"memory": dict(reversed(there["memory"].items()))}
    assert [pair.ahead for pair in pairs(there, ENOUGH)] == [pair.ahead for pair in pairs(back, ENOUGH)]


def test_three_modes_make_three_pairs() -> None:
    """Every two modes that both have a figure are compared, and no others."""
    found = pairs(
        {
            "ready": {
                mode: Spread.of([value]) for mode, value in (("single", 1), ("groups", 2), ("multi", 4))
            },
            "load": {"single": Spread.of([1])},
        },
        3,
    )
    assert found == [
        Pair("ready", "single", "groups", 0.5, "single"),
        Pair("ready", "single", "multi", 0.25, "single"),
        Pair("ready", "groups", "multi", 0.5, "groups"),
    ]


@pytest.mark.parametrize(
    ("single", "multi", "limit", "outcome"),
    [
        pytest.param([6, 7, 7.1], [10, 10, 11], 0.7, Outcome.MET, id="just"),
        pytest.param([7, 7.1, 8], [10, 10, 11], 0.7, Outcome.MISSED, id="just not"),
        pytest.param([1, 3, 12], [10, 10, 11], 0.7, Outcome.UNDECIDED, id="inside the noise"),
        pytest.param(
            [0, 0.11, 0.12], [0, 0.08, 0.15], 0.7, Outcome.UNDECIDED, id="inside the noise, and worse"
        ),
        pytest.param([10, 10, 10], [10, 10, 10], 0.7, Outcome.MISSED, id="surely the same"),
        pytest.param([9, 10, 12], [10, 10, 11], 1.0, Outcome.MET, id="not worse may lie inside the noise"),
        pytest.param([19, 20, 21], [10, 10, 11], 1.5, Outcome.MISSED, id="worse than allowed"),
        pytest.param([0, 0, 0], [0, 0, 0], 0.7, Outcome.MET, id="nothing is no more than a part of nothing"),
        pytest.param([0, 0, 0], [1, 1, 1], 0.7, Outcome.MET, id="nothing"),
        pytest.param([1, 1, 1], [0, 0, 0], 0.7, Outcome.MISSED, id="something against nothing"),
    ],
)
def test_gates(single: list[float], multi: list[float], limit: float, outcome: Outcome) -> None:
    """A gate is met when the ratio of the medians keeps the limit and the difference it asks for is no noise."""
    (found,) = judged([Gate("memory", limit)], spreads(single, multi))
    assert found.outcome is outcome


@pytest.mark.parametrize("there", [{}, {"memory": {"single": Spread(1, 1, 1)}}])
def test_a_gate_on_what_was_not_measured_is_not_met(there: dict[str, dict[str, Spread]]) -> None:
    """Without a figure in both modes nothing was shown."""
    (found,) = judged([Gate("memory", 0.7)], there)
    assert (found.outcome, found.ratio) == (Outcome.UNDECIDED, None)
    assert missed([found])


@given(RUNS, RUNS, st.floats(0.01, 3))
def test_a_met_gate_keeps_its_limit(single: list[float], multi: list[float], limit: float) -> None:
    """Met means that the ratio keeps the limit, missed that it does not; below 1, met means ranked too; without overlap all is decided."""
    there = spreads(single, multi)
    (found,) = judged([Gate("memory", limit)], there)
    assert found.ratio is not None
    if found.outcome is not Outcome.UNDECIDED:
        assert (found.outcome is Outcome.MISSED) == (found.ratio > limit)
    else:
        assert there["memory"]["single"].overlaps(there["memory"]["multi"])
    if found.outcome is Outcome.MET and limit < 1:
        assert pairs(there, ENOUGH)[0].ahead == "single"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], False),
        ([Outcome.MET], False),
        ([Outcome.MET, Outcome.MISSED], True),
        ([Outcome.UNDECIDED], True),
    ],
)
def test_one_gate_that_is_not_met_is_enough(outcomes: list[Outcome], expected: bool) -> None:
    """All gates together are met when each is."""
    gate = Gate("memory", 0.7)
    assert missed(Judgement(gate, outcome, 0.5) for outcome in outcomes) is expected
