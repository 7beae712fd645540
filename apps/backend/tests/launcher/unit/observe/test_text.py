"""Text on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.observe.text import clip, duration, pad, safe, width


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1.0, "0 ms"),
        (0.04, "40 ms"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    """A duration has at most two units and no false precision."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "plain", "with_colour"),
    [
        ("plain ✓", "plain ✓", "plain ✓"),
        ("\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m\x1b[0m"),
        ("up\x1b[2Aand away\x1b[2J", "upand away", "upand away"),
        ("\x1b]0;title\x07text", "text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link", "link"),
        ("bell\x07 back\x08 return\r", "bell back return", "bell back return"),
        ("tab\tstays", "tab\tstays", "tab\tstays"),
        ("cut \x1b[", "cut ", "cut "),
        ("\x9b31mc1", "31mc1", "31mc1"),
    ],
)
def test_only_colours_pass(text: str, plain: str, with_colour: str) -> None:
    """Sequences that move, clear, retitle or ring are taken out; colours stay where colour is wanted."""
    assert safe(text, color=False) == plain
    assert safe(text, color=True) == with_colour


@given(st.text())
def test_nothing_unsafe_is_left(text: str) -> None:
    """Whatever a component writes, no escape character reaches a terminal without colour."""
    assert not set(safe(text, color=False)) & {"\x1b", "\x07", "\r", "\x9b", "\x08"}


@given(st.text(st.characters(categories=("L", "N", "P", "Mn"))), st.integers(1, 40))
def test_clipped_text_fits(text: str, columns: int) -> None:
    """Clipped text never takes more columns than it may, and text that fits is not touched."""
    clipped = clip(text, columns)
    assert width(clipped) <= columns
    if width(text) <= columns:
        assert clipped == text


def test_wide_characters_count_twice() -> None:
    """Columns line up with East Asian names, and combining characters take none."""
    assert width("日本") == 4
    assert width("é") == 1
    assert pad("日本", 6) == "日本  "
