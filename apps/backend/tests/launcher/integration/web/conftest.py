"""Fixtures for the control interface."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.launcher.integration.web.scripted import Running, running


@pytest.fixture
def server() -> Iterator[Running]:
    """A server with the usual limits."""
    with running() as started:
        yield started
