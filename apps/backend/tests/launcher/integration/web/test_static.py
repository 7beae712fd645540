"""The files of the dashboard: all of them are served, and nothing in them asks anybody else."""

from __future__ import annotations

import re
from pathlib import Path

import launcher.web.static as served

PLACE = Path(served.__file__).parent / "static"
FILES = sorted(PLACE.iterdir())


def test_every_file_is_served() -> None:
    """Each file that is there has a path, and each path a file."""
    assert {name for name, _ in served.STATIC.values()} == {path.name for path in FILES}
    for path in served.STATIC:
        response = served.asset(path)
        assert response is not None
        assert response.body


def test_modules_import_only_what_is_served() -> None:
    """Each import of a module, and each file that the page loads, stands beside it."""
    names = {path.name for path in FILES}
    asked = set(re.findall(r'(?:src|href)="([^"#]+)"', (PLACE / "index.html").read_text()))
    for path in PLACE.glob("*.js"):
        asked |= set(re.findall(r'from "\./([^"]+)"', path.read_text()))
        assert not re.search(r'from "[^.]', path.read_text())
    assert len(asked) > len(served.SCRIPTS)
    assert asked - names == set()


def test_no_other_place_is_named() -> None:
    """No address of another machine stands in a file; names of XML namespaces are no addresses."""
    found = {
        (path.name, address)
        for path in FILES
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", path.read_text())
    }
    assert {address for _, address in found} <= {"http://www.w3.org/2000/svg"}


def test_markup_is_never_made_of_text() -> None:
    """No module has a way from a text to markup or to code."""
    ways = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
    )
    assert {
        path.name: ways.findall(path.read_text()) for path in FILES if ways.search(path.read_text())
    } == {}
