"""The phrases that say what a text is about."""

from __future__ import annotations

import re
from collections import Counter
from typing import TypedDict

from agents.text.stopwords import all_stopwords
from agents.text.tokens import words

PHRASES = 10
LONGEST = 4
"""Phrases of more words are usually an accident of missing punctuation."""

_BREAK = re.compile(r"[^\w\s'\u2019]+|\d+|\n\s*\n")


class Phrase(TypedDict):
    """A phrase in lower case, its score, and how often it occurs."""

    phrase: str
    score: float
    count: int


class Keyphrases(TypedDict):
    """Up to `PHRASES` phrases, best first."""

    keywords: list[Phrase]


def keyphrases(text: str) -> Keyphrases:
    """Rank the phrases of `text` by RAKE; a tie goes to the more frequent, then to the alphabetically first.

    Rose, Engel, Cramer & Cowley (2010), "Automatic keyword extraction from individual documents": candidates
    are the runs of words between stop words and punctuation, a word scores its degree (how many words it
    shares phrases with, itself included) over its frequency, and a phrase the sum of its words.
    """
    counted = Counter(_candidates(text))
    frequency: Counter[str] = Counter()
    degree: Counter[str] = Counter()
    for phrase, count in counted.items():
        for word in phrase:
            frequency[word] += count
            degree[word] += count * len(phrase)
    scored = [
        Phrase(
            phrase=" ".join(phrase),
            score=round(sum(degree[word] / frequency[word] for word in phrase), 3),
            count=count,
        )
        for phrase, count in counted.items()
    ]
    scored.sort(key=lambda item: (-item["score"], -item["count"], item["phrase"]))
    return Keyphrases(keywords=scored[:PHRASES])


def _candidates(text: str) -> list[tuple[str, ...]]:
    ignored = all_stopwords()
    found: list[tuple[str, ...]] = []
    for piece in _BREAK.split(text):
        run: list[str] = []
        for word in [*map(str.casefold, words(piece)), ""]:
            if word and word not in ignored:
                run.append(word)
                continue
            if 1 <= len(run) <= LONGEST and any(len(part) > 2 for part in run):
                found.append(tuple(run))
            run = []
    return found
