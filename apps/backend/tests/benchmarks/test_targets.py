"""Targets and their verdicts."""

from __future__ import annotations

import pytest

from benchmarks.docs import COMPARISON, ROOT
from benchmarks.peers.figures import GROUPS, Rounds
from benchmarks.peers.report import blocks, document, printed
from benchmarks.peers.targets import (
    BEST_PEER,
    TARGETS,
    Target,
    Verdict,
    Worst,
    failed,
    judge,
    judged,
    never,
)
from benchmarks.peers.variants import VARIANTS
from benchmarks.peers.variants.base import Scope

PEERS = ["circus", "pm2"]


def rounds(*figures: dict[str, float]) -> Rounds:
    """One round for each, with a figure `seconds` by variant."""
    return [{variant: {"seconds": value} for variant, value in one.items()} for one in figures]


@pytest.mark.parametrize(
    ("bound", "measured", "verdict", "close"),
    [
        (2.0, (1.0, 1.5, 2.0), Verdict.MET, False),
        (1.5, (1.0, 1.5, 2.0), Verdict.MET, True),
        (1.4, (1.0, 1.5, 2.0), Verdict.MISSED, True),
        (0.9, (1.0, 1.5, 2.0), Verdict.MISSED, False),
    ],
)
def test_a_bound_holds_for_the_median(
    bound: float, measured: tuple[float, ...], verdict: Verdict, close: bool
) -> None:
    """The median decides; a bound inside the spread is called close."""
    target = Target("", "ours", "seconds", bound)
    found = judge(target, rounds(*({"ours": value} for value in measured)), PEERS)
    assert (found.value, found.verdict, found.close) == (1.5, verdict, close)


def test_a_count_must_hold_in_every_round() -> None:
    """One failed request in one round misses a target of none, whatever the median."""
    found = judge(never("", "ours", "seconds"), rounds({"ours": 0.0}, {"ours": 0.0}, {"ours": 1.0}), PEERS)
    assert (found.value, found.verdict) == (1.0, Verdict.MISSED)


def test_the_best_peer_is_the_one_with_the_lowest_median() -> None:
    """The ratio is taken to the best of the peers, which is named; others do not count."""
    target = Target("", "ours", "seconds", 0.5, BEST_PEER)
    found = judge(target, rounds({"ours": 1.0, "circus": 4.0, "pm2": 2.5, "hand": 0.1}), PEERS)
    assert (found.against, found.value, found.verdict) == ("pm2", 0.4, Verdict.MET)


@pytest.mark.parametrize("against", ["", BEST_PEER, "hand"])
def test_what_was_not_measured_is_neither_met_nor_missed(against: str) -> None:
    """Without a figure there is no verdict."""
    found = judge(Target("", "ours", "seconds", 1.0, against), rounds({"theirs": 1.0}), PEERS)
    assert (found.value, found.verdict) == (None, Verdict.OPEN)
    assert not failed([found])


def test_a_stretch_may_be_missed() -> None:
    """Only a target that has to be met fails the run."""
    measured = rounds({"ours": 2.0})
    must, may = (Target("", "ours", "seconds", 1.0, stretch=stretch) for stretch in (False, True))
    assert failed([judge(must, measured, PEERS)])
    assert not failed([judge(may, measured, PEERS)])


def test_targets_name_what_exists() -> None:
    """Every target is of a variant that is measured, and of a figure that is shown or told of a part."""
    names = {figure.name for group in GROUPS.values() for figure in group}
    for target in TARGETS:
        assert target.variant.partition(", ")[0] in VARIANTS
        assert target.against in {"", BEST_PEER, *VARIANTS}
        assert target.counts in Worst
        of_a_part = target.figure.startswith(("left after ", "pss_mib of "))
        assert target.figure in names or of_a_part


def test_a_report_shows_every_target_and_every_variant() -> None:
    """Missed targets stand in the tables like the others, and one round is not ranked."""
    measured: Rounds = [
        {
            name: {
                "ready_seconds": 1.0,
                "pss_mib": 2.0,
                "crash200_noticed_ms": 9.0,
                "restart200_new_seconds": 1.0,
            }
            for name in VARIANTS
        }
    ]
    peers = [name for name, variant in VARIANTS.items() if variant.scope is Scope.PEER]
    results = judged(measured, peers)
    kept = document(
        measured, results, versions={"pm2": "7"}, missing={"honcho": "no reason"}, problems=[], settings={}
    )
    text = printed(kept)
    assert kept["preliminary"]
    assert all(target.shown in text for target in TARGETS)
    assert f"| {Verdict.MISSED} |" in text
    assert "Not ranked" in blocks(kept)["peers-ranking"]
    assert all(f"| {name} |" in blocks(kept)["peers-start-and-rest"] for name in VARIANTS)
    assert "| multi : best peer |" in blocks(kept)["peers-ratios"]
    assert "1.00, supervisor" in blocks(kept)["peers-ratios"]
    assert "Left out: honcho" in blocks(kept)["peers-method"]


def test_every_block_has_its_place() -> None:
    """The page has exactly one place for each table that is made, and for that of the soak."""
    page = (ROOT / COMPARISON).read_text()
    kept = document([{}], [], versions={}, missing={}, problems=[], settings={})
    places = {name: page.count(f"<!-- figures:{name} -->") for name in [*blocks(kept), "soak"]}
    assert set(places.values()) == {1}


def test_three_rounds_are_ranked() -> None:
    """From three rounds on variants are put in order, those that run only the gateway left out."""
    measured: Rounds = [
        {name: {"ready_seconds": float(place)} for place, name in enumerate(VARIANTS)} for _ in range(3)
    ]
    kept = document(measured, [], versions={}, missing={}, problems=[], settings={})
    whole = [[name] for name, variant in VARIANTS.items() if variant.scope is not Scope.GATEWAY]
    assert kept["rankings"]["ready_seconds"] == whole


def test_growth_is_a_line() -> None:
    """Backends of several sizes give what a service costs, and what is there before the first."""
    measured: Rounds = [
        {
            f"launcher multi, {services} services": {
                "ready_seconds": 1 + services / 10,
                "pss_mib": 30 + 15.0 * services,
            }
            for services in (10, 20, 50)
        }
    ]
    kept = document(measured, [], versions={}, missing={}, problems=[], settings={})
    assert kept["lines"]["pss_mib"].slope == pytest.approx(15)
    assert "30.0 MiB + 15.00 MiB per service" in blocks(kept)["peers-scale"]
    assert "10, 20 and 50 services" in blocks(kept)["peers-scale"]


def test_ratios_that_another_run_could_turn_round_are_not_told() -> None:
    """Of two variants whose spreads overlap no ratio is shown."""
    measured: Rounds = [
        {
            "launcher multi": {"ready_seconds": ours},
            "launcher single": {"ready_seconds": 2.0},
            "pm2": {"ready_seconds": 8.0},
        }
        for ours in (1.0, 2.0, 3.0)
    ]
    kept = document(measured, [], versions={}, missing={}, problems=[], settings={})
    assert (
        "| all ready, s | 0.25 (0.12 to 0.38), pm2 | too close to rank | - |" in blocks(kept)["peers-ratios"]
    )
