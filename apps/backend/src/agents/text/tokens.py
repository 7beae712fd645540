"""Sentences, words and syllables."""

from __future__ import annotations

import re

from agents.text.stopwords import word_set

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_PARAGRAPH = re.compile(r"\n\s*\n")
# An end mark, whatever closes after it, then a gap and something that can begin a sentence.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”\u2019»)\]]*\s+(?=[\"'“\u2018«¿¡(\[]*[^\W_a-zß-öø-ÿ])")
_ABBREVIATIONS = word_set(
    "mr mrs ms dr prof st jr sr gen col capt rev hon vs etc inc ltd co no vol fig ca cf e.g i.e"
)
_VOWELS = re.compile(r"[aeiouyáéíóúàèìòùâêîôûäëïöüãõåæœø]+")


def words(text: str) -> list[str]:
    """The words of a text in their own spelling: letters of any script, with inner apostrophes, without digits."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """The sentences of a text, with white space made single; a paragraph always ends one."""
    found: list[str] = []
    for paragraph in _PARAGRAPH.split(text):
        begin = 0
        for end in _SENTENCE_END.finditer(paragraph):
            if not _is_abbreviation(paragraph[begin : end.start()], paragraph[end.start()]):
                _append(found, paragraph[begin : end.end()])
                begin = end.end()
        _append(found, paragraph[begin:])
    return found


def syllables(word: str) -> int:
    """An estimate of an English word's syllables, at least 1: groups of vowels, less a silent final e."""
    lowered = word.lower()
    count = len(_VOWELS.findall(lowered))
    silent = lowered.endswith("e") and not lowered.endswith(("le", "ee", "ie", "oe", "ye"))
    silent = silent or (lowered.endswith("ed") and len(lowered) > 3 and lowered[-3] not in "td")
    return max(1, count - 1 if silent else count)


def _is_abbreviation(before: str, mark: str) -> bool:
    if mark != ".":
        return False
    last = before.rsplit(maxsplit=1)[-1].lstrip("\"'“\u2018(").casefold() if before.split() else ""
    return last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha() and last != "i")


def _append(found: list[str], sentence: str) -> None:
    tidy = " ".join(sentence.split())
    if tidy:
        found.append(tidy)
