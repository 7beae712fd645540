"""An extractive summary: the sentences that hold most of what the text keeps coming back to."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

from agents.text.stopwords import all_stopwords
from agents.text.tokens import sentences, words

SENTENCES = 3
"""How many sentences a summary has, unless the text has fewer."""


class Summary(TypedDict):
    """The chosen sentences in the order of the text, joined, and how much shorter that is."""

    summary: str
    sentences: list[str]
    compression: float


def summarise(text: str) -> Summary:
    """Pick up to `SENTENCES` sentences; a tie goes to the earlier one.

    A sentence scores the average, over its words that are not stop words, of how often they occur in the
    whole text; that the frequent words mark the significant sentences is the idea of Luhn (1958), "The
    automatic creation of literature abstracts", IBM Journal 2(2). Sentences of fewer than four such words are
    taken only when nothing else is left.
    """
    ignored = all_stopwords()
    found = sentences(text)
    content = [
        [word for word in map(str.casefold, words(sentence)) if word not in ignored] for sentence in found
    ]
    frequency = Counter(word for sentence in content for word in sentence)

    def merit(index: int) -> tuple[bool, float, int]:
        own = content[index]
        average = sum(frequency[word] for word in own) / len(own) if own else 0.0
        return len(own) >= 4, average, -index

    chosen = sorted(sorted(range(len(found)), key=merit, reverse=True)[:SENTENCES])
    picked = [found[index] for index in chosen]
    summary = " ".join(picked)
    length = sum(len(sentence) for sentence in found)
    return Summary(
        summary=summary, sentences=picked, compression=round(len(summary) / length, 3) if length else 1.0
    )
