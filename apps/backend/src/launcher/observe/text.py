"""Small questions about text on a terminal: how wide it is, what of it is safe to show, how long something took."""

from __future__ import annotations

import re
import unicodedata

from launcher.core.words import duration

__all__ = ["PALETTE", "RESET", "clip", "coloured", "duration", "pad", "percent", "safe", "size", "width"]

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


def percent(share: float) -> str:
    """Return a share of one core for people: ``0.4 %``, ``12 %``."""
    return f"{share:.1f} %" if share < 9.95 else f"{share:.0f} %"


def size(amount: int) -> str:
    """Return an amount of memory for people: ``812 KiB``, ``41 MiB``, ``1.2 GiB``."""
    for unit, power, digits in (("GiB", 3, 1), ("MiB", 2, 0)):
        if amount >= 1024**power:
            return f"{amount / 1024**power:.{digits}f} {unit}"
    return f"{amount / 1024:.0f} KiB"
