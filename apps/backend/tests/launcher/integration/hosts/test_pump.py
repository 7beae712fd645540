"""What is left in a pipe when a process has ended."""

from __future__ import annotations

import asyncio
import os

import pytest

from launcher.hosts import spawn


def test_what_is_left_is_read_whatever_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that had no time to read before the patience ended loses nothing, even when a stranger holds the pipe open."""
    monkeypatch.setattr(spawn, "DRAIN", 0.0)
    ours, theirs = os.pipe()
    lines: list[str] = []
    said = [f"line {number}" for number in range(5000)]

    async def drained() -> None:
        pump = spawn._Pump(asyncio.get_running_loop(), ours, lines.append)
        os.write(theirs, "\n".join(said).encode())
        await pump.drained()

    asyncio.run(drained())
    os.close(ours)
    os.close(theirs)
    assert lines == said


def test_a_stranger_that_goes_on_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody outside of the family still writes ends with what a pipe can hold."""
    monkeypatch.setattr(spawn, "DRAIN", 0.0)
    monkeypatch.setattr(spawn, "LEFT", 1000)
    ours, theirs = os.pipe()
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        os.write(theirs, b"more\n")

    async def drained() -> None:
        pump = spawn._Pump(asyncio.get_running_loop(), ours, on_line)
        os.write(theirs, b"more\n")
        await pump.drained()

    asyncio.run(drained())
    os.close(ours)
    os.close(theirs)
    assert 200 <= len(lines) <= 201
