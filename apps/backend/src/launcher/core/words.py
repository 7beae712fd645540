"""Small pieces of sentences that people read."""

from __future__ import annotations


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
