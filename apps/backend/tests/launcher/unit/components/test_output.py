"""The streams and the handler that stand in for the real ones; attribution is tested with the hosts."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from launcher.components.identity import CURRENT, Identity
from launcher.components.output import Capture
from launcher.model.logs import LogLine, Stream

ME = Identity("me", 2)


@contextmanager
def captured() -> Iterator[list[LogLine]]:
    """What is said while output is captured, by somebody unknown unless told otherwise."""
    said: list[LogLine] = []
    capture = Capture(said.append, "INFO", Identity("fallback", 1))
    capture.install()
    try:
        yield said
    finally:
        capture.remove()
        capture.remove()


def test_it_behaves_like_a_text_stream() -> None:
    """Code that inspects or adjusts its stdout finds what it expects."""
    with captured() as lines:
        out = sys.stdout
        assert (out.isatty(), out.writable(), out.encoding, out.errors) == (
            False,
            True,
            "utf-8",
            "backslashreplace",
        )
        assert out.fileno() == out.buffer.fileno()
        assert out.buffer.writable()
        out.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        assert out.write("abc") == 3
        assert out.buffer.write(bytearray(b"def\n")) == 4
        out.writelines(["x\n", "y\n"])
        out.flush()
    assert [line.message for line in lines] == ["abcdef", "x", "y"]
    assert {(line.component, line.incarnation, line.stream) for line in lines} == {
        ("fallback", 1, Stream.STDOUT)
    }


def test_threads_do_not_mix_within_a_line() -> None:
    """Each thread has a line of its own in the making."""
    with captured() as lines:
        print("main ", end="")
        thread = threading.Thread(target=print, args=("other",))
        thread.start()
        thread.join()
        print("again")
    assert [line.message for line in lines] == ["other", "main again"]


def test_unfinished_lines_come_at_the_end() -> None:
    """What was printed without an end of line is handed on when its component is over, or capturing is."""
    said: list[LogLine] = []
    capture = Capture(said.append, "INFO")
    capture.install()
    try:
        token = CURRENT.set(ME)
        print("mine", end="")
        CURRENT.reset(token)
        print("nobody's", end="")
        capture.end(ME)
        assert [(line.component, line.message) for line in said] == [("me", "mine")]
    finally:
        capture.remove()
    assert [(line.component, line.message) for line in said][1:] == [("", "nobody's")]


def test_levels_and_fields_of_records() -> None:
    """Records below the level are left out; extra fields become plain values."""
    with captured() as lines:
        log = logging.getLogger("test.output")
        log.debug("too low")
        log.info("%d %s", 1, "x", extra={"deep": {"list": [1, object]}, "color_message": "red", "n": None})
    (line,) = lines
    assert (line.message, line.level, line.logger, line.stream) == ("1 x", "INFO", "test.output", Stream.LOG)
    assert line.extra == {"deep": {"list": [1, "<class 'object'>"]}, "n": None}


def test_a_record_that_cannot_be_formatted_is_complained_about() -> None:
    """The mistake is told as logging tells it, and nothing breaks."""
    with captured() as lines:
        logging.getLogger("test.output").info("%d", "no number")
    assert any("Logging error" in line.message for line in lines)


def test_a_collector_that_prints_does_not_go_in_circles(capfd: pytest.CaptureFixture[str]) -> None:
    """What is printed or logged while a line is handed on reaches the real streams."""

    def collect(line: LogLine) -> None:
        print("collected", line.message)
        logging.getLogger("test.output").warning("logged meanwhile")

    capture = Capture(collect, "INFO")
    capture.install()
    try:
        print("hello")
    finally:
        capture.remove()
    assert "collected hello" in capfd.readouterr().out


def test_a_record_does_not_wait_for_another() -> None:
    """Two threads may log at a time: one that holds a lock somebody else wants, in a finaliser, must not wait for that one."""
    second = threading.Event()
    in_time: list[bool] = []

    def collect(line: LogLine) -> None:
        if line.message == "first":
            threading.Thread(target=logging.getLogger().warning, args=("second",)).start()
            in_time.append(second.wait(10))
        else:
            second.set()

    capture = Capture(collect, "INFO")
    capture.install()
    try:
        logging.getLogger().warning("first")
    finally:
        capture.remove()
    assert in_time == [True]
