"""Which language a text is written in."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TypedDict

from agents.text.stopwords import stopwords
from agents.text.tokens import words

UNDETERMINED = "und"
"""The code for a language that could not be told (ISO 639-2)."""

ENOUGH = 0.08
"""Smallest share of the words that must be common words of the language; running text has 30 % and more."""

_SAMPLE_WORDS = 2000
# Scripts that practically stand for one language here, by the first word of their Unicode character names.
_SCRIPTS = {
    "GREEK": "el",
    "HEBREW": "he",
    "ARABIC": "ar",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "THAI": "th",
}
_SHARED_SCRIPTS = {"CYRILLIC": "ru", "CJK": "zh", "DEVANAGARI": "hi"}


class Language(TypedDict):
    """The language (ISO 639-1, or `UNDETERMINED`), how sure (0 to 1), and the share of common words by language."""

    language: str
    confidence: float
    scores: dict[str, float]


def recognise(text: str) -> Language:
    """Tell the language of `text` by its script, and for the Latin script by the common words in it.

    The confidence is the lead of the best language over the next, relative to the best. Only the beginning of
    a long text is read.
    """
    sample = [word.casefold() for word in words(text[: _SAMPLE_WORDS * 20])][:_SAMPLE_WORDS]
    if not sample:
        return Language(language=UNDETERMINED, confidence=0.0, scores={})
    if by_script := _by_script("".join(sample)):
        return by_script
    counts = {language: sum(word in common for word in sample) for language, common in stopwords().items()}
    scores = {language: round(count / len(sample), 4) for language, count in counts.items() if count}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    (best, most), (_, second) = ranked[0], ranked[1]
    if most / len(sample) < ENOUGH or most == second:
        return Language(language=UNDETERMINED, confidence=0.0, scores=scores)
    return Language(language=best, confidence=round((most - second) / most, 4), scores=scores)


def _by_script(letters: str) -> Language | None:
    scripts = Counter(unicodedata.name(letter, "UNKNOWN").partition(" ")[0] for letter in letters)
    counts: Counter[str] = Counter()
    for script, count in scripts.items():
        if language := _SCRIPTS.get(script) or _SHARED_SCRIPTS.get(script):
            counts[language] += count
    if "ja" in counts:
        # Japanese mixes its own letters with Chinese characters.
        counts["ja"] += counts.pop("zh", 0)
    if not counts or counts.total() * 2 <= len(letters):
        return None
    language, count = counts.most_common(1)[0]
    share = round(count / len(letters), 4)
    return Language(language=language, confidence=share, scores={language: share})
