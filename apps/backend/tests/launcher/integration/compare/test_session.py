"""Where a comparison keeps what it writes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from launcher.compare.session import _own_place
from launcher.config.locate import MAX_SOCKET_PATH, SOCKET


@pytest.mark.parametrize("length", [10, 100])
def test_a_place_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """It is new and empty, for its owner only, and short enough for a socket, however long the usual place is."""
    usual = tmp_path / ("x" * length)
    usual.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(usual))
    place = _own_place()
    try:
        assert list(place.iterdir()) == []
        assert place.stat().st_mode & 0o077 == 0
        assert len(os.fsencode(place / "single-1000" / SOCKET)) <= MAX_SOCKET_PATH
    finally:
        shutil.rmtree(place)
