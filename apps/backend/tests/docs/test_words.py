"""The words of the documentation are the words of the code: terms, verbs, flags and names of variables."""

from __future__ import annotations

import re
import runpy
from enum import StrEnum
from pathlib import Path

import pytest

from launcher.config.environment import FOREIGN_VARIABLES, OWN_VARIABLES, variable_names
from launcher.model.spec import DependencyLoss, Kind, Mode, RestartPolicy
from launcher.model.state import Phase
from tests.docs.pages import CHINESE, DOCS, PAGES, ROOT, name, rows, spoken

GLOSSARY = DOCS / "architecture" / "glossary.md"

TERMS = (
    *(
        "component",
        "kind",
        "host",
        "bind",
        "placement",
        "group",
        "supervisor",
        "zygote",
        "plan",
        "depends_on",
    ),
    *("dependency", "probe", "check", "restart policy", "restart window", "phase", "desired", "incarnation"),
    *("event", "effect", "transition", "journal", "snapshot", "stop_grace", "isolate", "colocate", "guard"),
)


@pytest.fixture(scope="module")
def glossary() -> dict[str, list[str]]:
    """The other cells of the glossary by word."""
    return {cells[0].strip("*`"): cells[1:] for cells in rows(GLOSSARY)}


@pytest.mark.parametrize("term", TERMS)
def test_terms_are_defined(glossary: dict[str, list[str]], term: str) -> None:
    """Every term of the design has a Chinese word and a definition of some length."""
    chinese, meaning = glossary[term]
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert len(meaning.split()) > 4


@pytest.mark.parametrize(
    "words", [Kind, Mode, Phase, RestartPolicy, DependencyLoss], ids=lambda words: words.__name__
)
def test_words_of_the_code_are_defined(glossary: dict[str, list[str]], words: type[StrEnum]) -> None:
    """Every kind, mode, phase, restart policy and policy on a loss stands in the glossary."""
    assert {word.value for word in words} - set(glossary) == set()


def test_the_translation_uses_the_glossary(glossary: dict[str, list[str]]) -> None:
    """A term that the Chinese README gives in English beside it is translated as in the glossary."""
    pairs = re.findall(r"([\u4e00-\u9fff]+)\uff08([a-z_ -]+)\uff09", CHINESE.read_text())
    assert pairs
    wrong = [
        (chinese, term)
        for chinese, term in pairs
        if term in glossary and not chinese.endswith(glossary[term][0])
    ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_variables_exist(page: Path) -> None:
    """Every variable of the launcher that a page names is one that it reads or sets."""
    known = {variable for variable, _ in variable_names()} | set(OWN_VARIABLES) | set(FOREIGN_VARIABLES)
    named = {word for code in spoken(page) for word in re.findall(r"\bLAUNCHER_[A-Z_]+\b", code)}
    general = {re.sub(r"^(LAUNCHER_COMPONENTS__)[A-Z]+(?=__)", r"\1NAME", word) for word in named}
    assert general - known - {"LAUNCHER_MOED", "LAUNCHER_"} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_verbs_of_dev_exist(page: Path) -> None:
    """Every verb of ``python3 dev`` that a page names is one that it knows."""
    dev = runpy.run_path(str(ROOT / "dev"), run_name="dev")
    named = {verb for code in spoken(page) for verb in re.findall(r"\bpython3 dev ([a-z]+)", code)}
    assert named - {*dev["VERBS"], *dev["LAUNCHER_VERBS"]} == set()
