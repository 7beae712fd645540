"""The guide to the control interface lists what there is."""

from __future__ import annotations

import re

from launcher.web.routes import ROUTES
from tests.docs.pages import DOCS


def test_every_route_stands_in_the_guide_and_no_other() -> None:
    """The table of the guide has a line for each method and path, and for each parameter of a query."""
    rows = re.findall(
        r"^\| `(GET|POST) ([^`?]+)(?:\?([^`]*))?`", (DOCS / "guide" / "api.md").read_text(), re.MULTILINE
    )
    told = {(method, path): set(re.findall(r"(\w+)=", query)) for method, path, query in rows}
    there = {
        (route.method, re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), route.path)): {
            parameter.name for parameter in route.query
        }
        for route in ROUTES
    }
    assert told == there
