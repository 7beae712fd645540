"""What the documentation points to is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.docs.pages import (
    BACKEND,
    DECISIONS,
    DOCS,
    PAGES,
    ROOT,
    anchor,
    headings,
    links,
    name,
    rows,
    section,
    spoken,
)

LAUNCHER = BACKEND / "src" / "launcher"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_resolve(page: Path) -> None:
    """Every relative link leads to a file of the repository, and every fragment to a heading of it."""
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        known = (
            {anchor(text) for _, text in headings(file)} if file.suffix == ".md" and file.exists() else set()
        )
        if not file.exists() or (fragment and fragment not in known):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached() -> None:
    """No page of the documentation is an island: another page links to it."""
    reached = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in links(page)
        if not re.match(r"[a-z]+:", target) and target.partition("#")[0]
    }
    assert [name(page) for page in PAGES if DOCS in page.parents and page not in reached] == []


def test_the_code_map_names_every_module() -> None:
    """The code map lists each module and package of the launcher, and none that does not exist."""
    mapped = {cells[0].strip("`") for cells in section(DOCS / "architecture" / "README.md", "Code map")[1:]}
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in LAUNCHER.iterdir()
        if (path.is_dir() and path.name != "__pycache__") or path.suffix == ".py"
    }
    assert mapped == there - {"__init__.py"}


def test_the_code_map_is_in_order_of_layers() -> None:
    """The code map reads from the lowest layer of the import contract to the highest."""
    contract = (BACKEND / ".importlinter").read_text()
    block = contract.partition("\nlayers =\n")[2].partition("\n\n")[0]
    layers = [[re.sub(r"[()\s]", "", module) for module in line.split("|")] for line in block.splitlines()]
    height = {module: -index for index, layer in enumerate(layers) for module in layer}
    mapped = [cells[0].strip("`/") for cells in section(DOCS / "architecture" / "README.md", "Code map")[1:]]
    heights = [height[module.removesuffix(".py")] for module in mapped if module != "testing.py"]
    assert heights == sorted(heights)


def test_the_index_lists_every_decision() -> None:
    """Each record stands in the index, and each entry of the index is a record."""
    listed = {target for target in links(DECISIONS / "README.md") if target.endswith(".md")}
    assert listed == {path.name for path in DECISIONS.glob("2*.md")}


@pytest.mark.parametrize("record", sorted(DECISIONS.glob("2*.md")), ids=name)
def test_a_record_has_its_four_parts(record: Path) -> None:
    """A record states its status, context, decision and consequences; all but the first are short."""
    text = record.read_text()
    assert "Status: " in text.replace("*", "")
    assert {"Context", "Decision", "Consequences"} <= {heading for _, heading in headings(record)}
    assert re.fullmatch(r"\d{8}-[a-z0-9-]+\.md", record.name)
    assert record.name.startswith("2025") or len(text.splitlines()) <= 40


def test_scripts_of_pnpm_exist() -> None:
    """Every pnpm script that a page names is in package.json."""
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]
    named = {
        script for page in PAGES for code in spoken(page) for script in re.findall(r"\bpnpm (\S+)", code)
    }
    assert named
    assert named - set(scripts) == set()


def test_tables_have_equal_rows() -> None:
    """No row of a table has lost or gained a cell."""
    uneven = []
    for page in PAGES:
        width = 0
        for line in page.read_text().splitlines():
            cells = len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            if cells and width and cells != width:
                uneven.append(f"{name(page)}: {line[:60]}")
            width = cells
    assert uneven == []
    assert any(rows(page) for page in PAGES)
