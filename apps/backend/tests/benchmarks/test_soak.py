"""Whether what a soak has seen grows."""

from __future__ import annotations

import pytest

from benchmarks.soak import trends


@pytest.mark.parametrize(
    ("growth", "flat"), [(0.0, True), (0.02, False)], ids=["level", "a descriptor every fifty restarts"]
)
def test_growth_is_seen(growth: float, flat: bool) -> None:
    """A leak of a descriptor now and then is told, a level count is flat."""
    samples = [
        {"restarts": float(number), "descriptors of launcher": 20.0 + int(growth * number)}
        for number in range(50, 10_001, 50)
    ]
    found = trends(samples, 10_000)["descriptors of launcher"]
    assert found.flat is flat
    assert found.per_thousand == pytest.approx(1000 * growth, abs=0.1)


def test_the_beginning_does_not_count() -> None:
    """What fills up in the first tenth of a run is no growth."""
    samples = [
        {"restarts": float(number), "rss_mib of launcher": min(30.0, 20.0 + number / 100)}
        for number in range(50, 10_001, 50)
    ]
    assert trends(samples, 10_000)["rss_mib of launcher"].flat


def test_what_is_not_in_every_sample_has_no_trend() -> None:
    """A process that was seen only for a while is left out, and too few samples say nothing."""
    samples = [{"restarts": float(number), "threads of launcher": 2.0} for number in range(100, 1100, 100)]
    assert set(trends([*samples, {"restarts": 1100.0}], 1100)) == set()
    assert trends(samples[:2], 200) == {}
