"""Fixtures of the host tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.launcher.integration.hosts.driver import (
    Project,
    Seen,
    drive_inline,
    drive_processes,
    here,
    restore,
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project; this process is as before afterwards."""
    before = here() | {"root": tmp_path}
    try:
        yield Project(tmp_path)
    finally:
        restore(before)


@pytest.fixture(params=["inline", "process"])
def drive(request: pytest.FixtureRequest) -> Callable[..., Seen]:
    """Both placements of a component; what they promise is the same."""
    return drive_inline if request.param == "inline" else drive_processes
