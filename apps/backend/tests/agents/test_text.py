"""The text functions: known answers, and what holds for every text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.text.entities import ENTITIES, find_entities
from agents.text.keyphrases import LONGEST, PHRASES, keyphrases
from agents.text.languages import UNDETERMINED, recognise
from agents.text.readability import (
    automated_readability_index,
    coleman_liau_index,
    flesch_kincaid_grade,
    flesch_reading_ease,
    readability,
)
from agents.text.sentiment import sentiment
from agents.text.summary import SENTENCES, summarise
from agents.text.tokens import sentences, syllables, words
from services.schema import seeds

TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(
        st.sampled_from(
            ["The", "king", "of", "Spain", "Mr.", "never", "loved", "it.", "War!", "\n\n", "é", "7"]
        ),
        max_size=60,
    ).map(" ".join),
)

FUNCTIONS: list[Callable[[str], Mapping[str, Any]]] = [
    summarise,
    keyphrases,
    readability,
    recognise,
    sentiment,
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One.", ["One."]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Mr. Bennet met Dr. Long. They spoke.", ["Mr. Bennet met Dr. Long.", "They spoke."]),
        ("J. S. Bach wrote it. He was born in 1685.", ["J. S. Bach wrote it.", "He was born in 1685."]),
        ('"Is it?" she asked. "Yes."', ['"Is it?" she asked.', '"Yes."']),
        ("A heading\n\nA text", ["A heading", "A text"]),
        ("wrapped\nline. Next", ["wrapped line.", "Next"]),
        ("It cost 3.50 in all. Cheap.", ["It cost 3.50 in all.", "Cheap."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    """Where sentences end, and where a full stop ends none."""
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't stop-it, 2nd café", ["don't", "stop", "it", "nd", "café"]),
        ("L\u2019été \u03b1\u03b2", ["L\u2019été", "\u03b1\u03b2"]),
        ("__ 42 --", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    """Letters of any script with inner apostrophes; no digits, no underscores."""
    assert words(text) == expected


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("a", 1),
        ("cat", 1),
        ("make", 1),
        ("table", 2),
        ("walked", 1),
        ("wanted", 2),
        ("syllable", 3),
        ("tree", 1),
        ("hmm", 1),
    ],
)
def test_syllables(word: str, count: int) -> None:
    """Vowel groups, less a silent e."""
    assert syllables(word) == count


def test_readability_formulas() -> None:
    """The published formulas, worked by hand for 100 words, 5 sentences, 150 syllables and 450 letters."""
    assert flesch_reading_ease(100, 5, 150) == pytest.approx(59.635)
    assert flesch_kincaid_grade(100, 5, 150) == pytest.approx(9.91)
    assert coleman_liau_index(100, 5, 450) == pytest.approx(9.18)
    assert automated_readability_index(100, 5, 450) == pytest.approx(9.765)


def test_readability_of_nothing() -> None:
    """A text without words has counts but no scores."""
    scores = readability("... 42!")
    assert scores["words"] == 0
    assert scores["flesch_reading_ease"] is None


def test_easier_text_scores_easier() -> None:
    """Short words in short sentences beat long ones."""
    easy = readability("The cat sat. The dog ran. We go home.")["flesch_reading_ease"]
    hard = readability(
        "Incomprehensible institutional considerations notwithstanding, administrators deliberated."
    )
    assert easy is not None
    assert hard["flesch_reading_ease"] is not None
    assert easy > hard["flesch_reading_ease"]


@pytest.mark.parametrize(
    ("start", "language"),
    [
        ("The Gettysburg", "en"),
        ("Pride", "en"),
        ("Don Quijote", "es"),
        ("Die Verwandlung", "de"),
    ],
)
def test_the_seeds_are_recognised(start: str, language: str) -> None:
    """Real prose in its language."""
    (body,) = [body for title, body in seeds() if title.startswith(start)]
    assert recognise(body)["language"] == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Je ne sais pas ce que vous voulez dire avec cette question.", "fr"),
        ("Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura.", "it"),
        ("Het is niet de eerste keer dat zij naar de stad zijn gegaan.", "nl"),
        ("Det var en gång en flicka som inte ville gå till skolan och som bodde i skogen.", "sv"),
        ("Não é a primeira vez que ele foi com os seus irmãos para a cidade.", "pt"),
        (
            "\u0412\u0441\u0435 \u0441\u0447\u0430\u0441\u0442\u043b\u0438\u0432\u044b\u0435 \u0441\u0435\u043c\u044c\u0438",
            "ru",
        ),
        ("Ἐν ἀρχῇ ἦν ὁ λόγος", "el"),
        ("吾輩は猫である。名前はまだ無い。", "ja"),
        ("", UNDETERMINED),
        ("xyzzy plugh qwerty", UNDETERMINED),
        ("12345 !!!", UNDETERMINED),
    ],
)
def test_languages(text: str, language: str) -> None:
    """By common words in the Latin script, by the letters elsewhere, and an honest `und`."""
    assert recognise(text)["language"] == language


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("What a wonderful, happy day for a good friend.", "pleasant"),
        ("The terrible war brought death and despair.", "unpleasant"),
        ("The table is in the room.", "neutral"),
        ("That was not good.", "unpleasant"),
        ("It isn't bad.", "pleasant"),
        ("Die Frau war in der Stadt und die Kinder waren bei dem Vater.", "unknown"),
        ("", "neutral"),
    ],
)
def test_sentiment(text: str, label: str) -> None:
    """Words of feeling, turned round by a negation, and no opinion on other languages."""
    assert sentiment(text)["label"] == label


def test_an_intensifier_strengthens() -> None:
    """`very good` weighs more than `good`."""
    plain, strong = sentiment("It is a good book.")["score"], sentiment("It is a very good book.")["score"]
    assert plain is not None
    assert strong is not None
    assert strong > plain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mr. Bennet lives in England.", {"Bennet": "person", "England": "place"}),
        ("The University of Oxford is old.", {"University of Oxford": "organisation"}),
        ("Yesterday we saw Ada Lovelace on Monday.", {"Ada Lovelace": "person"}),
        ("However, it rained. Indeed.", {}),
        ("Paris is big. I love Paris.", {"Paris": "name"}),
        ("", {}),
    ],
)
def test_entities(text: str, found: dict[str, str]) -> None:
    """Names and what they name; a word that only begins sentences is none."""
    assert {entity.name: entity.kind for entity in find_entities(text)} == found


def test_keyphrases_follow_the_published_scoring() -> None:
    """Worked by hand: degree over frequency of each word, summed over the phrase."""
    ranked = keyphrases("Compact linear systems. Linear systems are compact. Strict systems.")["keywords"]
    scores = {item["phrase"]: item["score"] for item in ranked}
    assert scores["compact linear systems"] == pytest.approx(2.0 + 2.5 + 7 / 3, abs=0.001)
    assert scores["linear systems"] == pytest.approx(2.5 + 7 / 3, abs=0.001)
    assert scores["compact"] == pytest.approx(2.0)
    assert next(iter(scores)) == "compact linear systems"


def test_the_summary_takes_what_the_text_comes_back_to() -> None:
    """The sentences about the repeated subject win, in the order of the text."""
    text = (
        "Harbour cranes lift heavy steel containers. A bird sang once somewhere unusual yesterday. "
        "Steel containers fill every harbour. Cranes move containers across the harbour daily. Bread costs little."
    )
    assert summarise(text)["sentences"] == [
        "Harbour cranes lift heavy steel containers.",
        "Steel containers fill every harbour.",
        "Cranes move containers across the harbour daily.",
    ]


@pytest.mark.parametrize("function", FUNCTIONS)
@given(text=TEXTS)
def test_every_text_has_a_storable_result(function: Callable[[str], Mapping[str, Any]], text: str) -> None:
    """No text raises; the result is plain JSON without infinities, and the same the second time."""
    result = function(text)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert function(text) == result


@given(text=TEXTS)
def test_sentences_lose_nothing(text: str) -> None:
    """Splitting keeps every character but white space, in order."""
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(text=TEXTS)
def test_a_summary_is_part_of_the_text(text: str) -> None:
    """At most so many sentences, each from the text, in its order."""
    chosen = summarise(text)["sentences"]
    remaining = iter(sentences(text))
    assert len(chosen) <= SENTENCES
    assert all(sentence in remaining for sentence in chosen)


@given(text=TEXTS)
def test_keyphrases_are_few_short_and_ranked(text: str) -> None:
    """Bounds and order of the list."""
    ranked = keyphrases(text)["keywords"]
    assert len(ranked) <= PHRASES
    assert all(1 <= len(item["phrase"].split()) <= LONGEST for item in ranked)
    assert [item["score"] for item in ranked] == sorted((item["score"] for item in ranked), reverse=True)


@given(text=TEXTS)
def test_entities_occur_in_the_text(text: str) -> None:
    """Each name is spelled as in the text, once, and counted at least once."""
    found = find_entities(text)
    names = [entity.name.casefold() for entity in found]
    assert len(names) == len(set(names)) <= ENTITIES
    assert all(entity.count >= 1 and entity.name in " ".join(text.split()) for entity in found)


@given(text=TEXTS)
def test_scores_keep_their_bounds(text: str) -> None:
    """Sentiment lies in [-1, 1], confidence in [0, 1]."""
    score = sentiment(text)["score"]
    assert score is None or math.fabs(score) <= 1
    assert 0 <= recognise(text)["confidence"] <= 1


@pytest.mark.parametrize("piece", ["A of ", "a. ", "A'", ". ", "A ", "\n", "A-", "''"])
def test_a_hostile_text_takes_no_excessive_time(piece: str) -> None:
    """Nothing in the text functions is quadratic: the longest article of one repeated piece ends well within the timeout."""
    text = (piece * 100_000)[:100_000]
    for function in (*FUNCTIONS, find_entities):
        function(text)
