"""What is said once when everything is up."""

from __future__ import annotations

import pytest

from launcher.core.plan import build
from launcher.model.spec import Bind, ComponentSpec, Kind, LauncherSpec, Mode
from launcher.observe.summary import summary


@pytest.mark.parametrize(
    ("api", "page"), [(0, []), (8100, [("page", "launcher dashboard opens http://127.0.0.1:8100")])]
)
def test_the_page_is_named_where_there_is_one(api: int, page: list[tuple[str, str]]) -> None:
    """Whoever has opened the interface over TCP is told where it is and how to get in; nobody else is."""
    components = (ComponentSpec("web", Kind.ASGI, "web:app", bind=Bind(8000)),)
    plan = build(LauncherSpec("shop", "/srv", components, mode=Mode.SINGLE, api=api, log_dir="/srv/logs"))
    rows = summary(plan)
    assert [row for row in rows if row[0] == "page"] == page
    assert [name for name, _ in rows if name != "page"] == ["mode", "web", "logs", "stop", "more"]
