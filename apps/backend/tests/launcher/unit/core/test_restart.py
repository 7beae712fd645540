"""The arithmetic of restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.restart import JITTER, backoff_delay, jittered, window_used_up, within_window
from launcher.model.spec import Restart

POLICIES = st.builds(
    Restart,
    delay=st.floats(0.0, 10.0),
    max_delay=st.floats(0.0, 600.0),
    immediate_after=st.floats(0.0, 100.0),
    max_restarts=st.integers(0, 10),
    window=st.floats(0.0, 600.0),
)
SECONDS = st.floats(0.0, 1e6)
TIMES = st.lists(st.floats(0.0, 1000.0), max_size=20).map(lambda times: tuple(sorted(times)))


@pytest.mark.parametrize(
    ("failures", "ready_for", "delay"),
    [
        (0, 0.0, 0.2),
        (0, 9.99, 0.2),
        (0, 10.0, 0.0),
        (1, 10.0, 0.4),
        (1, 0.0, 0.4),
        (2, 0.0, 0.8),
        (7, 0.0, 25.6),
        (8, 0.0, 30.0),
        (10_000, 0.0, 30.0),
    ],
)
def test_delay(failures: int, ready_for: float, delay: float) -> None:
    """The default figures: 0.2 s doubled up to 30 s, nothing the first time after ten seconds of readiness."""
    assert backoff_delay(Restart(), failures, ready_for) == pytest.approx(delay)


@given(POLICIES, st.integers(0, 500), SECONDS)
def test_delay_stays_within_its_limits(policy: Restart, failures: int, ready_for: float) -> None:
    """No delay is negative or longer than the longest."""
    assert 0.0 <= backoff_delay(policy, failures, ready_for) <= policy.max_delay


@given(POLICIES, st.integers(0, 500), SECONDS)
def test_delay_never_shrinks_with_failures(policy: Restart, failures: int, ready_for: float) -> None:
    """One more failure never shortens the delay."""
    assert backoff_delay(policy, failures, ready_for) <= backoff_delay(policy, failures + 1, ready_for)


@given(SECONDS, st.text(), st.integers(0, 10_000))
def test_jitter_is_bounded_and_repeatable(delay: float, name: str, incarnation: int) -> None:
    """A delay is spread by at most a fifth, and always the same way for the same life."""
    spread = jittered(delay, name, incarnation)
    room = 1e-9 * delay  # rounding
    assert (1.0 - JITTER) * delay - room <= spread <= (1.0 + JITTER) * delay + room
    assert spread == jittered(delay, name, incarnation)


def test_jitter_takes_components_out_of_step() -> None:
    """Components that die together come back apart, and one that dies often does not do so in a rhythm."""
    assert len({jittered(1.0, f"agents.{number}", 1) for number in range(100)}) == 100
    spread = [jittered(1.0, "api", incarnation) for incarnation in range(1000)]
    assert min(spread) < 0.85
    assert max(spread) > 1.15


def test_no_delay_has_no_jitter() -> None:
    """An immediate restart stays immediate."""
    assert jittered(0.0, "api", 1) == 0.0


@given(TIMES, SECONDS, st.floats(0.0, 600.0))
def test_window_keeps_what_is_recent(times: tuple[float, ...], now: float, window: float) -> None:
    """What lies within the window stays, in order; all else goes."""
    kept = within_window(times, now, window)
    assert kept == tuple(sorted(kept))
    assert all(now - at <= window for at in kept)
    assert len(kept) + sum(now - at > window for at in times) == len(times)


@given(TIMES, st.floats(0.0, 1000.0), POLICIES)
def test_window_is_used_up_by_as_many_restarts_as_allowed(
    times: tuple[float, ...], now: float, policy: Restart
) -> None:
    """Exactly when that many restarts lie in the window, one more would be too many."""
    recent = sum(now - at <= policy.window for at in times)
    assert window_used_up(times, now, policy) is (recent >= policy.max_restarts)


def test_window_by_default() -> None:
    """Five restarts within 60 seconds are allowed, the sixth is not."""
    assert not window_used_up((0.0, 1.0, 2.0, 3.0), 4.0, Restart())
    assert window_used_up((0.0, 1.0, 2.0, 3.0, 4.0), 60.0, Restart())
    assert not window_used_up((0.0, 1.0, 2.0, 3.0, 4.0), 60.1, Restart())
