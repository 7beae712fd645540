"""Whether the words of an English text are rather pleasant or unpleasant."""

from __future__ import annotations

import math
from typing import TypedDict

from agents.text.languages import UNDETERMINED, recognise
from agents.text.stopwords import word_set
from agents.text.tokens import sentences, words

_PLEASANT = """admire admired advance advanced amazing beautiful beauty benefit best better bliss brave bravely bright
    brilliant calm celebrate charming cheer cheerful clean clear clever comfort confident courage creative delight
    delighted delightful dear eager ease easy elegant enjoy enjoyed excellent fair faithful fine flourish fortunate
    fortune free freedom friend friendly gain generous gentle glad glory good grace grateful great growth happily
    happiness happy healthy help helpful hero honest honour hope hopeful improve improved innocent inspire inspired joy
    joyful kind kindness laugh liberty like love loved lovely loyal lucky merry noble peace peaceful perfect pleasant
    please pleased pleasure praise pretty progress proud reliable rich safe secure smile splendid strong succeed success
    successful superb support sweet tender thank thrive triumph true trust useful victory warm welcome wisdom wise win won
    wonderful worthy"""
_UNPLEASANT = """abandon abuse afraid agony anger angry anxious ashamed attack awful bad bitter blame blood brutal burden
    cold collapse complain corrupt crash crime crisis cruel cry damage danger dangerous dark darkness dead death defeat
    despair destroy destroyed die died dirty disaster disease dread dreadful dull enemy evil fail failed failure false
    fault fear fearful fight foolish foolishness foul fraud grave grief grim guilt guilty harm harsh hate hatred horrible
    horror hostile hunger hurt ill injury injustice kill killed lament lie lonely lose loss lost mad miserable misery
    mistake mourn murder nasty neglect pain painful panic poor poverty punish reject ruin ruined sad scandal severe shame
    sick sin slave sorrow suffer suffered suffering terrible terror threat threaten tired tragedy trouble ugly unfair
    unhappy unjust vain violence violent war weak weep wicked worse worst wound wrong"""
_NEGATIONS = word_set("not no never neither nor without cannot hardly scarcely nothing nobody")
_STRONGER = word_set("very so extremely really deeply most utterly highly truly")

REACH = 3
"""How many words before a word of feeling may negate it."""

_STRONGER_BY = 1.5
_NEGATED_BY = -0.75
_SMOOTHING = 15.0
"""Keeps short texts from the extremes: the normalisation of VADER, Hutto & Gilbert (2014), ICWSM 8."""


class Sentiment(TypedDict):
    """A score from -1 to 1, what it is called, and how many words of either kind were counted.

    A text in another language than English has no score and the label `unknown`: "die" and "war" mean
    something else in German.
    """

    score: float | None
    label: str
    pleasant: int
    unpleasant: int


def sentiment(text: str) -> Sentiment:
    """Weigh the words of feeling in `text`; a negation shortly before turns one round, an intensifier raises it."""
    if recognise(text)["language"] not in ("en", UNDETERMINED):
        return Sentiment(score=None, label="unknown", pleasant=0, unpleasant=0)
    weights = dict.fromkeys(_PLEASANT.split(), 1.0) | dict.fromkeys(_UNPLEASANT.split(), -1.0)
    values = [value for sentence in sentences(text) for value in _values(words(sentence.casefold()), weights)]
    total = math.fsum(values)
    score = round(total / math.sqrt(total * total + _SMOOTHING), 4)
    return Sentiment(
        score=score,
        label="pleasant" if score > 0.05 else "unpleasant" if score < -0.05 else "neutral",
        pleasant=sum(value > 0 for value in values),
        unpleasant=sum(value < 0 for value in values),
    )


def _values(found: list[str], weights: dict[str, float]) -> list[float]:
    values = []
    for position, word in enumerate(found):
        if weight := weights.get(word):
            before = found[max(0, position - REACH) : position]
            if before and before[-1] in _STRONGER:
                weight *= _STRONGER_BY
            if any(other in _NEGATIONS or other.endswith(("n't", "n\u2019t")) for other in before):
                weight *= _NEGATED_BY
            values.append(weight)
    return values
