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
    drive_warm,
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


@pytest.fixture(params=["inline", "process", "warm"])
def drive(request: pytest.FixtureRequest) -> Callable[..., Seen]:
    """Every placement and start of a component; what they promise is the same."""
    drives: dict[str, Callable[..., Seen]] = {
        "inline": drive_inline,
        "process": drive_processes,
        "warm": drive_warm,
    }
    return drives[request.param]


@pytest.fixture(params=["cold", "warm"])
def drive_process(request: pytest.FixtureRequest) -> Callable[..., Seen]:
    """Both starts of a process; what they promise is the same."""
    return drive_processes if request.param == "cold" else drive_warm
