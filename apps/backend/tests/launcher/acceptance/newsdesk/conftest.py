"""Real servers for the reference backend, and what is recorded of it once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.settings import Settings
from tests.backend_servers import servers
from tests.launcher.acceptance.newsdesk.backend import own_settings

__all__ = ["own", "servers"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the servers and takes its time."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.servers)
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def own(servers: Settings) -> Iterator[Settings]:
    """A newsdesk of the test's own on the servers of the session."""
    with own_settings(servers) as settings:
        yield settings
