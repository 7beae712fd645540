"""Small questions about text on a terminal: how wide it is, what of it is safe to show, how long something took."""

from __future__ import annotations

import re
import unicodedata

RESET = "\x1b[0m"

PALETTE = ("36", "33", "35", "32", "34", "31", "96", "93", "95", "92", "94")
"""Colours of component names, in the order in which components are declared (ANSI codes)."""

# CSI, OSC (titles, links), other escape sequences, and control characters other than tab and newline.
_SEQUENCE = re.compile(
    r"(?P<csi>\x1b\[[0-?]*[ -/]*[@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*|\x1b[^\[\]]?|[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def coloured(text: str, code: str) -> str:
    """Return ``text`` in a colour; ``code`` is what stands between ``ESC [`` and ``m``."""
    return f"\x1b[{code}m{text}{RESET}" if code else text


def safe(text: str, *, color: bool) -> str:
    """Return ``text`` without anything that could move the cursor, set a title or ring; colours stay if ``color`` is set."""
    if text.isprintable():
        return text
    kept = False

    def replacement(found: re.Match[str]) -> str:
        nonlocal kept
        if color and found["csi"] and _COLOUR.fullmatch(found["csi"]):
            kept = True
            return found["csi"]
        return ""

    shown = _SEQUENCE.sub(replacement, text)
    return shown + RESET if kept else shown


def width(text: str) -> int:
    """Return the number of terminal columns that ``text`` takes; East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def pad(text: str, columns: int) -> str:
    """Return ``text`` followed by as many spaces as it needs to take ``columns`` columns."""
    return text + " " * (columns - width(text))


def clip(text: str, columns: int) -> str:
    """Return ``text`` cut to ``columns`` columns, ending in an ellipsis when something is missing."""
    if width(text) <= columns:
        return text
    used, kept = 0, []
    for character in text:
        used += _columns(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def duration(seconds: float) -> str:
    """Return a duration for people: ``40 ms``, ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 0.0995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    for unit, name, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if total >= unit:
            rest = total % unit // smaller
            return f"{total // unit} {name} {rest} {small}" if rest else f"{total // unit} {name}"
    return f"{total} s"
