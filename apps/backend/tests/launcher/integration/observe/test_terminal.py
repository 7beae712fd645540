"""Writing to pipes, terminals and what is left of them."""

from __future__ import annotations

import os
import pty
import re
import select
import threading
from collections.abc import Iterator

import pytest

from launcher.observe.terminal import Terminal


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def text(self) -> str:
        """Everything written, once all writers are closed."""
        os.close(self.writer)
        with os.fdopen(self.reader, encoding="utf-8") as file:
            return file.read()


def full(writer: int) -> bool:
    """Whether a pipe takes nothing more just now."""
    return not select.select([], [writer], [], 0)[1]


@pytest.fixture
def terminal_pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def read_until(fd: int, wanted: str) -> str:
    """Read from a descriptor until a text has come; the deadline is that of the test."""
    data = b""
    while wanted not in data.decode("utf-8", "replace"):
        assert select.select([fd], [], [], 30)[0], data
        data += os.read(fd, 4096)
    return data.decode()


def test_both_streams_in_order() -> None:
    """Everything written before the end arrives, and survives the closing of the original descriptors."""
    out, err = Pipe(), Pipe()
    terminal = Terminal(out.writer, err.writer)
    for number in range(100):
        terminal.write(f"line {number}\n", droppable=True)
        terminal.write(f"said {number} ✓ \udcff\n", error=True)
    terminal.close()
    terminal.write("late\n")
    assert out.text() == "".join(f"line {number}\n" for number in range(100))
    assert err.text() == "".join(f"said {number} ✓ ?\n" for number in range(100))


def test_a_stalled_reader_holds_nobody_up() -> None:
    """With a full pipe lines are dropped and counted, writing returns at once, and the end is not delayed for ever.

    The descriptors are let go of when the reader has gone at last: whoever reads the other one sees its end.
    """
    out, err = Pipe(), Pipe()
    terminal = Terminal(out.writer, err.writer, pending=10_000)
    while not full(out.writer) or not terminal.dropped:
        terminal.write("x" * 100 + "\n", droppable=True)
    for _ in range(2000):
        terminal.write("x" * 100 + "\n", droppable=True)
    assert terminal.dropped > 1000
    terminal.close(timeout=0.1)
    os.close(out.reader)
    os.close(out.writer)
    assert err.text() == ""


def test_dropped_lines_are_mentioned_when_there_is_room_again() -> None:
    """The reader is told how many lines it has missed."""
    out, err = Pipe(), Pipe()
    terminal = Terminal(out.writer, err.writer, pending=1000)
    for _ in range(2000):
        terminal.write("x" * 200 + "\n", droppable=True)
    collected: list[str] = []
    thread = threading.Thread(target=lambda: collected.append(out.text()))
    dropped = terminal.dropped
    assert dropped
    os.set_blocking(out.reader, True)
    thread.start()
    terminal.close(timeout=30)
    os.close(err.writer)
    with os.fdopen(err.reader, encoding="utf-8") as file:
        said = file.read()
    thread.join()
    mentioned = re.findall(
        r"^… lines not shown because the terminal is too slow: (\d+)$", collected[0] + said, re.MULTILINE
    )
    assert sum(map(int, mentioned)) == dropped
    assert collected[0].count("x\n") == 2000 - dropped


def test_a_reader_that_has_gone() -> None:
    """After EPIPE nothing is written to that stream any more; the other one goes on."""
    out, err = Pipe(), Pipe()
    os.close(out.reader)
    terminal = Terminal(out.writer, err.writer)
    for number in range(10):
        terminal.write(f"{number}\n", droppable=True)
        terminal.write(f"{number}\n", error=True)
    terminal.close()
    os.close(out.writer)
    assert err.text() == "".join(f"{number}\n" for number in range(10))


def test_closed_descriptors_are_no_streams() -> None:
    """A daemon without standard streams has a console that shows nothing."""
    pipe = Pipe()
    os.close(pipe.reader)
    os.close(pipe.writer)
    terminal = Terminal(pipe.writer, pipe.writer)
    terminal.write("x\n")
    terminal.status("y")
    terminal.close()
    assert not terminal.redraws


def test_a_nonblocking_pipe_is_waited_for() -> None:
    """A script runner may have made our pipe non-blocking: nothing is lost."""
    out, err = Pipe(), Pipe()
    os.set_blocking(out.writer, False)
    terminal = Terminal(out.writer, err.writer)
    terminal.write("x" * 300_000 + "\n")
    collected: list[str] = []
    thread = threading.Thread(target=lambda: collected.append(out.text()))
    os.set_blocking(out.reader, True)
    thread.start()
    terminal.close(timeout=30)
    thread.join()
    err.text()
    assert collected == ["x" * 300_000 + "\n"]


def test_the_last_line_is_drawn_again(terminal_pair: tuple[int, int]) -> None:
    """On a terminal the status line is taken away for a line of text, and drawn again below it."""
    ours, theirs = terminal_pair
    terminal = Terminal(theirs, theirs)
    os.close(theirs)
    assert terminal.redraws
    terminal.status("waiting for db")
    assert read_until(ours, "waiting for db") == "waiting for db"
    terminal.write("a line\n", error=True)
    assert read_until(ours, "line\r\nwaiting for db") == "\r\x1b[Ka line\r\nwaiting for db"
    closing = threading.Thread(target=terminal.close)
    closing.start()
    assert read_until(ours, "\x1b[K") == "\r\x1b[K"
    closing.join()


def test_a_terminal_that_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO of a dead terminal is the end of writing, not of the launcher."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    terminal = Terminal(theirs, theirs)
    os.close(theirs)
    os.close(ours)
    terminal.write("x\n", error=True)
    terminal.status("waiting")
    terminal.write("y\n", error=True)
    terminal.close(timeout=5)


def test_a_dumb_terminal_is_not_redrawn(
    terminal_pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TERM=dumb gets lines only."""
    monkeypatch.setenv("TERM", "dumb")
    _, theirs = terminal_pair
    terminal = Terminal(theirs, theirs)
    os.close(theirs)
    assert not terminal.redraws
    terminal.close()
