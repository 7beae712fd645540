"""How hard a text is to read, by four classic formulas for English."""

from __future__ import annotations

from typing import TypedDict

from agents.text.tokens import sentences, syllables, words

WORDS_PER_MINUTE = 238
"""Silent reading speed of adults: Brysbaert (2019), "How many words do we read per minute?", J. Memory and Language 109."""


class Readability(TypedDict):
    """Counts and scores; the scores are None for a text without words.

    `flesch_reading_ease`: about 100 very easy, 0 very hard; the other three estimate the years of (US)
    schooling needed.
    """

    words: int
    sentences: int
    reading_seconds: int
    flesch_reading_ease: float | None
    flesch_kincaid_grade: float | None
    coleman_liau_index: float | None
    automated_readability_index: float | None


def readability(text: str) -> Readability:
    """Score `text`."""
    found = words(text)
    count = len(found)
    lines = sum(1 for sentence in sentences(text) if words(sentence))
    result = Readability(
        words=count,
        sentences=lines,
        reading_seconds=round(count * 60 / WORDS_PER_MINUTE),
        flesch_reading_ease=None,
        flesch_kincaid_grade=None,
        coleman_liau_index=None,
        automated_readability_index=None,
    )
    if count:
        parts = sum(syllables(word) for word in found)
        letters = sum(len(word) for word in found)
        result["flesch_reading_ease"] = round(flesch_reading_ease(count, lines, parts), 2)
        result["flesch_kincaid_grade"] = round(flesch_kincaid_grade(count, lines, parts), 2)
        result["coleman_liau_index"] = round(coleman_liau_index(count, lines, letters), 2)
        result["automated_readability_index"] = round(automated_readability_index(count, lines, letters), 2)
    return result


def flesch_reading_ease(word_count: int, sentence_count: int, syllable_count: int) -> float:
    """Flesch (1948), "A new readability yardstick", J. Applied Psychology 32(3)."""
    return 206.835 - 1.015 * word_count / sentence_count - 84.6 * syllable_count / word_count


def flesch_kincaid_grade(word_count: int, sentence_count: int, syllable_count: int) -> float:
    """Kincaid, Fishburne, Rogers & Chissom (1975), Research Branch Report 8-75, US Navy."""
    return 0.39 * word_count / sentence_count + 11.8 * syllable_count / word_count - 15.59


def coleman_liau_index(word_count: int, sentence_count: int, letter_count: int) -> float:
    """Coleman & Liau (1975), "A computer readability formula designed for machine scoring", J. Applied Psychology 60(2)."""
    return 0.0588 * 100 * letter_count / word_count - 0.296 * 100 * sentence_count / word_count - 15.8


def automated_readability_index(word_count: int, sentence_count: int, letter_count: int) -> float:
    """Senter & Smith (1967), "Automated Readability Index", report AMRL-TR-6620, US Air Force."""
    return 4.71 * letter_count / word_count + 0.5 * word_count / sentence_count - 21.43
