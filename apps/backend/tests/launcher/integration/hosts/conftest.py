"""Fixtures of the host tests."""

from __future__ import annotations

import sys
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

STACKS = {"uvloop-httptools": (), "asyncio-h11": ("uvloop", "httptools")}
"""What is not installed there."""


def hide(names: tuple[str, ...], directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have modules seem not installed, here and in the processes started from here."""
    for name in names:
        (directory / f"{name}.py").write_text("raise ImportError('hidden')")
        monkeypatch.setitem(sys.modules, name, None)
    if names:
        monkeypatch.setenv("PYTHONPATH", str(directory))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project; this process is as before afterwards."""
    before = here(tmp_path)
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


@pytest.fixture(params=list(STACKS))
def stack(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A loop and a parser of HTTP, as they are where the faster ones are installed and where not."""
    import uvicorn.protocols.http.auto as chosen
    from uvicorn.protocols.http.h11_impl import H11Protocol

    name: str = request.param
    hide(STACKS[name], tmp_path_factory.mktemp("hidden"), monkeypatch)
    if STACKS[name]:
        monkeypatch.setattr(chosen, "AutoHTTPProtocol", H11Protocol)
    return name
