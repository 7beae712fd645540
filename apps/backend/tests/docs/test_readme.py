"""Both READMEs tell the same, and what they tell is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launcher.errors import ExitCode
from tests.docs.pages import CHINESE, DOCS, ENGLISH, fences, headings, links, rows, section, typed

TROUBLESHOOTING = DOCS / "guide" / "troubleshooting.md"


def test_same_headings() -> None:
    """The translation has the same sections, on the same levels."""
    assert [level for level, _ in headings(CHINESE)] == [level for level, _ in headings(ENGLISH)]


def test_same_commands() -> None:
    """The translation tells to type the same."""
    commands = list(typed(ENGLISH))
    assert len(commands) > 10
    assert list(typed(CHINESE)) == commands


def test_same_code() -> None:
    """Blocks of code differ in their comments only."""

    def bare(text: str) -> list[str]:
        return [re.sub(r"\s+#\s.*$", "", line) for line in text.splitlines()]

    assert [bare(fence.text) for fence in fences(CHINESE)] == [bare(fence.text) for fence in fences(ENGLISH)]


def test_same_tables_and_links() -> None:
    """The translation has the same rows and points to the same places, but for the link to the other language."""
    assert [len(row) for row in rows(CHINESE)] == [len(row) for row in rows(ENGLISH)]
    assert set(links(CHINESE)) - {"README.md"} == set(links(ENGLISH)) - {"README.zh-CN.md"}


@pytest.mark.parametrize("readme", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_places_to_fill(readme: Path) -> None:
    """The picture and the figures stand between marks that a script can find."""
    text = readme.read_text()
    assert re.search(r"<!-- picture:up -->\n.*docs/images/up\.svg.*\n<!-- /picture -->", text)
    assert re.search(r"<!-- figures:modes -->\n.*?<!-- /figures -->", text, re.DOTALL)


@pytest.mark.parametrize(
    ("page", "heading"),
    [(ENGLISH, "Exit codes"), (CHINESE, "退出码"), (TROUBLESHOOTING, "Exit codes")],
    ids=["README.md", "README.zh-CN.md", "troubleshooting.md"],
)
def test_exit_codes(page: Path, heading: str) -> None:
    """The table of exit codes holds each code with its name, and no other."""
    told = {(int(cells[0]), cells[1]) for cells in section(page, heading) if cells[0].isdecimal()}
    assert told == {(int(code), code.name) for code in ExitCode}
