"""When it is said who is still being waited for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.observe.stopping import reminders


@pytest.mark.parametrize(
    ("waited", "number"),
    [(0.0, 0), (0.49, 0), (0.5, 1), (3.29, 1), (3.31, 2), (8.2, 2), (8.31, 3), (13.31, 4)],
)
def test_reminders(waited: float, number: int) -> None:
    """With ten seconds of grace: at 5 %, at 33 %, and then every five seconds."""
    assert reminders(waited, 10.0) == number


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 100))
def test_reminders_never_go_back(waited: float, more: float, grace: float) -> None:
    """More time waited never means fewer reminders."""
    assert reminders(waited, grace) <= reminders(waited + more, grace)
