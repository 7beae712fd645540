"""The messages between a host and its child."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.hosts import pipe
from launcher.model.events import Exited, Launched, Started, StopRequested
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec, TaskDeath
from launcher.model.state import Exit, ExitKind


def passed(message: pipe.Message) -> pipe.Message:
    """Send a message through a real pair."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        pipe.Channel(ours).send(message)
        return pipe.Channel(theirs).wait()


def test_a_setup_arrives_whole() -> None:
    """What the child needs to know survives the way."""
    setup = pipe.Setup(
        LauncherSpec("p", "/srv", (), pythonpath=("/srv/src",), log_level="DEBUG"),
        ComponentSpec(
            "api",
            Kind.AGENTS,
            "a:b",
            agent="w",
            factory=True,
            stop_grace=3.5,
            on_task_death=TaskDeath.LOG,
            access_log=False,
            root_path="/x",
        ),
        7,
        (5, 6),
        4242,
    )
    assert pipe.to_setup(passed(pipe.of_setup(setup))) == setup


@given(
    st.text(),
    st.text(),
    st.integers(0, 9),
    st.sampled_from(Stream),
    st.dictionaries(st.text(), st.integers()),
)
def test_any_line_arrives(
    message: str, logger: str, incarnation: int, stream: Stream, extra: dict[str, int]
) -> None:
    """Lines of any text arrive as they are, lone surrogates as escapes."""
    line = LogLine(1.5, "api", stream, message, incarnation, "INFO", logger, extra)
    got = pipe.to_line(passed(pipe.of_line(line)))
    assert got.message == message.encode("utf-8", "backslashreplace").decode()
    assert (got.stream, got.incarnation, got.time) == (stream, incarnation, 1.5)


def test_an_exit_arrives_whole() -> None:
    """Every field of an exit survives."""
    ended = Exit(ExitKind.EXITED, "m", "h", 3, 0, "trace", killed=True)
    assert pipe.to_exit(passed(pipe.of_event(Exited("api", 1, ended)))) == ended


def test_events_that_a_child_reports() -> None:
    """Only what a child can know is a message."""
    assert pipe.of_event(Launched("api", 1, 5)) == {"launched": 5}
    assert pipe.of_event(Started("api", 1)) == {"started": True}
    with pytest.raises(TypeError):
        pipe.of_event(StopRequested("api"))


def test_a_stalled_reader_costs_lines_not_time() -> None:
    """When nobody reads, lines are dropped after one short wait; later the count is told and everything is whole."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        writer, reader = pipe.Channel(ours), pipe.Channel(theirs)
        sent = 0
        while not writer._dropped:
            writer.send_line({"n": sent, "pad": "x" * 10_000}, lambda count: {"dropped": count})
            sent += 1
        began = time.monotonic()
        for _ in range(100):
            writer.send_line({"n": -1}, lambda count: {"dropped": count})
        assert time.monotonic() - began < pipe.PATIENCE * 100
        dropped = writer._dropped
        got: list[pipe.Message] = []
        more = True
        while more:
            messages, more = reader.read()
            got += messages
        writer.send_line({"last": True}, lambda count: {"dropped": count})
        messages, _ = reader.read()
        got += messages
        kept = [message["n"] for message in got if "n" in message]
        assert kept == list(range(len(kept)))
        assert {"dropped": dropped} in got
        assert got[-1] == {"last": True}
        assert len(kept) + dropped == sent + 100


def test_reports_wait_for_the_reader() -> None:
    """What is no log line is never dropped: it waits."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        writer, reader = pipe.Channel(ours), pipe.Channel(theirs)
        message = {"pad": "x" * 3_000_000}
        thread = threading.Thread(target=writer.send, args=(message,))
        thread.start()
        assert reader.wait() == message
        thread.join()


def test_a_reader_that_is_gone_is_no_error() -> None:
    """After the other side closed, sending does nothing and reading says so."""
    ours, theirs = pipe.pair()
    channel = pipe.Channel(ours)
    theirs.close()
    channel.send({"a": 1})
    channel.send_line({"a": 1}, lambda count: {"dropped": count})
    with pytest.raises(EOFError):
        channel.read()
    with pytest.raises(EOFError):
        channel.wait()
    channel.close()
