"""The documentation as data: its pages, and the links, code and tables in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BACKEND = Path(__file__).resolve().parents[2]
ROOT = BACKEND.parents[1]
DOCS = ROOT / "docs"
ENGLISH = ROOT / "README.md"
CHINESE = ROOT / "README.zh-CN.md"
DECISIONS = DOCS / "architecture" / "decisions"

PAGES = tuple(sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)


class Fence(NamedTuple):
    """One fenced block."""

    page: Path
    language: str
    text: str


def name(page: Path) -> str:
    """Return how a page is called in a failure: its path from the root."""
    return str(page.relative_to(ROOT))


def fences(page: Path) -> list[Fence]:
    """Return the fenced blocks of a page."""
    return [Fence(page, match[1], match[2]) for match in _FENCE.finditer(page.read_text())]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Return the targets of all links and pictures of a page."""
    return _LINK.findall(_INLINE.sub("", prose(page)))


def headings(page: Path) -> list[tuple[int, str]]:
    """Return level and text of every heading of a page."""
    return [(len(match[1]), match[2]) for match in _HEADING.finditer(prose(page))]


def anchor(heading: str) -> str:
    """Return the fragment that a heading is reached by, as GitHub and most renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows(page: Path) -> list[list[str]]:
    """Return the cells of every row of every table of a page, without the lines below headers."""
    cells = ([cell.strip() for cell in match[1].split("|")] for match in _ROW.finditer(prose(page)))
    return [row for row in cells if not all(set(cell) <= set("-:") for cell in row)]


def section(page: Path, heading: str) -> list[list[str]]:
    """Return the rows of the tables below one heading, up to the next."""
    _, _, rest = prose(page).partition(f"# {heading}\n")
    text = _HEADING.split(rest, maxsplit=1)[0]
    cells = ([cell.strip() for cell in match[1].split("|")] for match in _ROW.finditer(text))
    return [row for row in cells if not all(set(cell) <= set("-:") for cell in row)]


def typed(page: Path) -> Iterator[str]:
    """Return what a reader is told to type: the lines after `$` in blocks of the language console, without comments."""
    for fence in fences(page):
        if fence.language == "console":
            for line in fence.text.splitlines():
                if line.startswith("$ "):
                    yield re.sub(r"\s+#\s.*$", "", line[2:]).strip()


def spoken(page: Path) -> Iterator[str]:
    """Return everything that looks like code in running text: inline code, and what is to be typed."""
    yield from _INLINE.findall(prose(page))
    yield from typed(page)
