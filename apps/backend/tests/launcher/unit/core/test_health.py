"""From checks to verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.health import Health, observe


def verdicts(checks: list[bool], threshold: int) -> list[bool | None]:
    """Return the verdict after each check."""
    health, found = Health(), []
    for ok in checks:
        health, verdict = observe(health, ok=ok, threshold=threshold)
        found.append(verdict)
    return found


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ("+", [True]),
        ("++", [True, None]),
        ("---+", [None, None, None, True]),
        ("+--+", [True, None, None, None]),
        ("+---", [True, None, None, False]),
        ("+----", [True, None, None, False, None]),
        ("+---+", [True, None, None, False, True]),
        ("+--+--", [True, None, None, None, None, None]),
        ("------", [None] * 6),
    ],
)
def test_verdicts(checks: str, expected: list[bool | None]) -> None:
    """One success makes ready, three failures in a row make unready, and only changes are told."""
    assert verdicts([check == "+" for check in checks], 3) == expected


@given(st.lists(st.booleans()), st.integers(1, 5))
def test_verdicts_take_turns_and_begin_with_ready(checks: list[bool], threshold: int) -> None:
    """Never the same verdict twice, never unready before ready."""
    told = [verdict for verdict in verdicts(checks, threshold) if verdict is not None]
    assert told == [number % 2 == 0 for number in range(len(told))]


@given(st.lists(st.booleans()), st.integers(1, 5))
def test_unready_needs_so_many_failures_in_a_row(checks: list[bool], threshold: int) -> None:
    """A verdict of unready comes exactly with the last of so many failed checks; one of ready with a good one."""
    for number, verdict in enumerate(verdicts(checks, threshold)):
        if verdict is False:
            assert not any(checks[number - threshold + 1 : number + 1])
            assert checks[number - threshold]
        if verdict is True:
            assert checks[number]


@given(st.lists(st.booleans(), min_size=1), st.integers(1, 5))
def test_health_remembers_the_last_verdict(checks: list[bool], threshold: int) -> None:
    """The health says what was told last, and counts the failures since the last success."""
    health = Health()
    for ok in checks:
        health, _ = observe(health, ok=ok, threshold=threshold)
    told = [verdict for verdict in verdicts(checks, threshold) if verdict is not None]
    assert health.ready is (told[-1] if told else None)
    trailing = len(checks) - 1 - max((at for at, ok in enumerate(checks) if ok), default=-1)
    assert health.failures == trailing
