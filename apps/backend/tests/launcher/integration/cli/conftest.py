"""Fixtures for the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launcher.integration.cli.project import Project


@pytest.fixture
def project() -> Iterator[Project]:
    """An empty project, in a directory that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="prj", dir="/tmp") as directory:
        yield Project(Path(directory).resolve())
