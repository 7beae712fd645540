"""The commonest words of a few languages: they tell the language, and say nothing about the subject."""

from __future__ import annotations

from collections.abc import Mapping

_LISTS = {
    "en": """a about after again all also am an and any are as at be because been before being but by can could did do
        does down for from had has have he her here him his how i if in into is it its me more most my no nor not now of
        on one only or other our out over own said same she should so some such than that the their them then there these
        they this those through to too under until up upon very was we were what when where which while who whom why will
        with would you your""",
    "de": """aber als am an auch auf aus bei bin bis da das dass dem den der des die doch du durch ein eine einem einen
        einer es für haben hat hatte ich ihm ihn ihr im in ist ja kann mit nach nicht noch nur ob oder ohne sehr sein seine
        seinem seinen sich sie sind so über um und uns unter vom von vor war was wenn wie wir wird zu zum zur zwischen""",
    "fr": """au aux avec ce ces cette dans de des du elle en est et être il ils je la le les leur lui mais me même mon ne
        nous on ou où par pas pour qu que qui sa sans se ses si son sont sur ta te tu un une vous était étaient avait""",
    "es": """al algo como con cuando de del desde donde el ella en entre era es ese esta este fue ha había hasta la las le
        lo los más me mi muy no nos o para pero por que quien se ser si sin sobre su sus también tenía un una uno y ya yo""",
    "it": """al alla anche che chi ci come con da dal dei del della delle di dove e ed era essere fu gli ha ho i il in io
        la le lo ma me mi nel nella non per perché più quando quello questa questo se si sono su sua suo tra un una""",
    "pt": """ao aos as com como da das de depois do dos e ela ele em entre era essa esse esta este eu foi havia isso já
        lhe mais mas me meu muito na nas no nos não o os ou para pela pelo por quando que se sem ser seu sua também um uma""",
    "nl": """aan al als bij dan dat de der deze die dit doch door een en er had heb heeft het hij hoe hun ik in is je kan
        maar me meer met mij naar niet nog nu of om onder ook op over te tegen toch toen tot uit van veel voor was wat werd
        wij worden zal ze zich zij zijn zo""",
    "sv": """alla att av blev bli då de dem den denna det detta dig din du där efter eller en ett för från ha hade han har
        hans henne hon honom hur här i icke inte ja jag kan man med men mig min mot mycket någon nu när och om på sig sin
        skulle som till under upp ut vad var vi är över""",
}


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as running text."""
    return frozenset(text.split())


def stopwords() -> Mapping[str, frozenset[str]]:
    """The lists by language code (ISO 639-1), in lower case."""
    return {language: word_set(words) for language, words in _LISTS.items()}


def all_stopwords() -> frozenset[str]:
    """The words of every list."""
    return frozenset[str]().union(*stopwords().values())
