"""Fixtures of the acceptance tests: the real command line, real processes, real signals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.launcher.acceptance.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project."""
    made = Project(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["single", "multi"])
def mode(request: pytest.FixtureRequest) -> str:
    """Every test that asks for a mode runs in each."""
    return str(request.param)
