"""A real terminal: Ctrl-C typed by a person, a window that is closed, output that nobody reads any more."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.launcher.acceptance.project import AGENT, PATIENCE, Project, eventually, gone, processes_of


class Terminal:
    """A pseudo-terminal with ``launcher up`` as its foreground process."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.screen = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(project.root)
            os.execv(sys.executable, [sys.executable, "-m", "launcher", "up", *arguments])

    def shows(self, text: str) -> bool:
        """Read what has been written; whether ``text`` is part of it."""
        with suppress(OSError):
            self.screen += os.read(self._master, 65536)
        return text.encode() in self.screen

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._master)

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def backend(project: Project) -> Project:
    return project.write(jobs=AGENT).declare('[components.worker]\nrun = "jobs:run"\n')


def test_ctrl_c_at_a_terminal(backend: Project, mode: str) -> None:
    """Ctrl-C reaches the whole foreground group at once; the stop is orderly and ends with 0."""
    terminal = Terminal(backend, "--mode", mode)
    eventually("it is up", lambda: terminal.shows("is up after"))
    tree = processes_of(terminal.pid)
    terminal.type(b"\x03")
    eventually("it says that it stopped", lambda: terminal.shows("has stopped"))
    assert terminal.exit_code() == 0
    assert gone(tree)


def test_a_closed_window_stops_the_backend(backend: Project, mode: str) -> None:
    """A terminal that hangs up stops the backend in order; nothing goes on serving without it."""
    terminal = Terminal(backend, "--mode", mode)
    eventually("it is up", lambda: terminal.shows("is up after"))
    tree = processes_of(terminal.pid)
    terminal.hang_up()
    assert terminal.exit_code() == 0
    assert gone(tree)


def test_output_that_nobody_reads(backend: Project, mode: str) -> None:
    """``launcher up | head -1`` goes on when the reader has gone, and stops in order."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", "up", "--mode", mode],
        cwd=backend.root,
        stdout=writing,
        stderr=writing,
        stdin=subprocess.DEVNULL,
    )
    os.close(writing)
    os.read(reading, 10)
    os.close(reading)
    backend.wait("worker")
    tree = processes_of(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert gone(tree)
