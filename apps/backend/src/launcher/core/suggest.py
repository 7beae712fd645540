"""Answer a mistyped name with the one that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known name most like ``word``, or an empty string when none is alike."""
    from difflib import get_close_matches

    names = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str], *, what: str = "known") -> str:
    """Return a hint: the closest name, or else the list of names there are."""
    names = list(known)
    if found := closest(word, names):
        return f"did you mean {found}?"
    return f"{what}: {', '.join(names)}" if names else ""
