"""The people, places and organisations a text names, told by capital letters and their surroundings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from agents.text.stopwords import all_stopwords, word_set
from agents.text.tokens import sentences

ENTITIES = 50
"""How many entities of one text are kept, the most frequent first."""

_TITLES = word_set(
    "mr mrs ms miss dr prof sir lady lord king queen president captain general herr frau monsieur"
)
_ORGANISATIONS = word_set(
    """academy agency association bank church college committee company congress corporation council court department
    foundation inc institute limited ltd ministry museum office parliament party press school senate society times union
    university"""
)
_PLACES = word_set(
    "avenue bay city county hall house island lake mountain park republic river road sea square street"
)
_PLACE_PREPOSITIONS = word_set("in at from near to into toward towards through across")
_CALENDAR = word_set(
    """monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december"""
)
_NAME = r"[^\W\d_a-zß-öø-ÿ][^\W\d_]*(?:['\u2019-][^\W\d_]+)*"
_TITLE = r"(?:Mr|Mrs|Ms|Dr|Prof|St)\.\s+"
_RUN = re.compile(rf"(?:{_TITLE})?{_NAME}(?:\s+(?:(?:of|de|la|von|van|der|the)\s+){{0,2}}{_NAME}){{0,5}}")
# Characters before a name in which to look for a preposition.
_NEAR = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A name as the text spells it first, its kind (person, place, organisation, name) and how often it occurs."""

    name: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class _Mention:
    name: str
    kind: str
    opens_sentence: bool


def find_entities(text: str) -> list[Found]:
    """The entities of `text`, the most frequent first, then in alphabetical order.

    A single capitalised word that only ever begins sentences is not taken for a name.
    """
    ignored = all_stopwords() | _CALENDAR
    mentions = [mention for sentence in sentences(text) for mention in _mentions(sentence, ignored)]
    certain = {
        m.name.casefold() for m in mentions if not m.opens_sentence or " " in m.name or m.kind != "name"
    }
    kept = [mention for mention in mentions if mention.name.casefold() in certain]
    counts = Counter(mention.name.casefold() for mention in kept)
    spelling: dict[str, str] = {}
    kinds: dict[str, Counter[str]] = {}
    for mention in kept:
        key = mention.name.casefold()
        spelling.setdefault(key, mention.name)
        kinds.setdefault(key, Counter())[mention.kind] += 1
    found = [Found(spelling[key], _kind(kinds[key]), count) for key, count in counts.items()]
    return sorted(found, key=lambda entity: (-entity.count, entity.name.casefold()))[:ENTITIES]


def _mentions(sentence: str, ignored: frozenset[str]) -> list[_Mention]:
    found = []
    first = next((index for index, character in enumerate(sentence) if character.isalnum()), 0)
    for run in _RUN.finditer(sentence):
        before = sentence[max(0, run.start() - _NEAR) : run.start()].split()
        opens = run.start() <= first
        parts = run.group().split()
        while parts and parts[0].casefold() in ignored:
            parts, opens = parts[1:], False
        while parts and parts[-1].casefold() in ignored:
            parts = parts[:-1]
        titled = bool(parts) and parts[0].rstrip(".").casefold() in _TITLES
        name = " ".join(parts[1:] if titled and len(parts) > 1 else parts)
        if len(name) > 1 and not (titled and len(parts) == 1):
            preposition = before[-1].casefold() if before and not opens else ""
            found.append(_Mention(name, _guess(name, preposition, titled=titled), opens))
    return found


def _guess(name: str, preposition: str, *, titled: bool) -> str:
    parts = [part.casefold() for part in name.split()]
    if titled:
        return "person"
    if not _ORGANISATIONS.isdisjoint(parts):
        return "organisation"
    if not _PLACES.isdisjoint(parts) or preposition in _PLACE_PREPOSITIONS:
        return "place"
    return "person" if len(parts) in (2, 3) and not {"of", "the"} & set(parts) else "name"


def _kind(kinds: Counter[str]) -> str:
    """The most frequent kind; a definite one wins over `name`, and a tie goes to the alphabetically first."""
    definite = {kind: count for kind, count in kinds.items() if kind != "name"} or kinds
    return min(definite, key=lambda kind: (-definite[kind], kind))
