"""The messages between a host and its child."""

from __future__ import annotations

import select
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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader counts as stalled sooner."""
    monkeypatch.setattr(pipe, "PATIENCE", 0.2)


def heard(reader: pipe.Channel, last: str) -> list[pipe.Message]:
    """Read until a message with this key has arrived."""
    got: list[pipe.Message] = []
    while not any(last in message for message in got):
        select.select([reader.fileno()], [], [], 60)
        got += reader.read()[0]
    return got


def told(count: int) -> pipe.Message:
    return {"dropped": count}


@pytest.mark.usefixtures("impatient")
def test_a_stalled_reader_costs_no_line() -> None:
    """What is said while nobody reads waits once and is kept; it arrives whole and in order as soon as somebody reads, unasked."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        writer, reader = pipe.Channel(ours), pipe.Channel(theirs)
        sent = 0
        while not writer._stalled or len(writer._unsent) < pipe.KEPT // 4:
            writer.send_line({"n": sent, "pad": "x" * 10_000}, told)
            sent += 1
        writer.send_line({"last": True}, told)
        got = heard(reader, "last")
        assert [message.get("n") for message in got] == [*range(sent), None]


@pytest.mark.usefixtures("impatient")
def test_a_reader_that_stalls_for_long_costs_lines_not_time() -> None:
    """Beyond the bound lines are dropped without any further wait; how many is told in their place, and everything else is whole."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        writer, reader = pipe.Channel(ours), pipe.Channel(theirs)
        sent = 0
        while not writer._dropped:
            writer.send_line({"n": sent, "pad": "x" * 10_000}, told)
            sent += 1
        assert len(writer._unsent) <= pipe.KEPT + 11_000
        began = time.monotonic()
        for _ in range(100):
            writer.send_line({"n": -1}, told)
        assert time.monotonic() - began < pipe.PATIENCE * 100
        got = heard(reader, "dropped")
        assert [message["n"] for message in got[:-1]] == list(range(sent - 1))
        assert got[-1] == {"dropped": 101}
        writer.send_line({"last": True}, told)
        assert heard(reader, "last") == [{"last": True}]


@pytest.mark.usefixtures("impatient")
def test_an_event_does_not_wait_for_a_stalled_reader() -> None:
    """What is no log line is never dropped, and does not hold up the loop either: it is kept behind the lines that came before it."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        writer, reader = pipe.Channel(ours), pipe.Channel(theirs)
        sent = 0
        while not writer._dropped:
            writer.send_line({"n": sent, "pad": "x" * 10_000}, told)
            sent += 1
        writer.send({"event": True})
        got = heard(reader, "dropped")
        assert [message.get("n") for message in got] == [*range(sent - 1), None, None]
        assert got[-2:] == [{"event": True}, {"dropped": 1}]


def test_a_slow_reader_makes_the_writer_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes something now and then has not stalled: each line is in the kernel's keeping when the call returns."""
    monkeypatch.setattr(pipe, "PATIENCE", 60.0)
    ours, theirs = pipe.pair()
    with ours, theirs:
        writer, reader = pipe.Channel(ours), pipe.Channel(theirs)
        got: list[pipe.Message] = []
        thread = threading.Thread(target=lambda: got.extend(heard(reader, "last")))
        thread.start()
        for number in range(2000):
            writer.send_line({"n": number, "pad": "x" * 10_000}, told)
            assert not writer._unsent
        writer.send_line({"last": True}, told)
        thread.join()
        assert [message.get("n") for message in got] == [*range(2000), None]


@pytest.mark.usefixtures("impatient")
def test_what_is_kept_for_a_reader_that_goes_is_let_go() -> None:
    """When the reader ends, nothing waits for it and nothing is kept."""
    ours, theirs = pipe.pair()
    writer = pipe.Channel(ours)
    while not writer._stalled:
        writer.send_line({"pad": "x" * 10_000}, told)
    keeper = next(thread for thread in threading.enumerate() if thread.name == "unsent messages")
    theirs.close()
    keeper.join(60)
    assert not keeper.is_alive()
    writer.send_line({"n": 1}, told)
    writer.send({"n": 2})
    assert not writer._unsent
    writer.flush()
    writer.close()


def test_a_torn_message_hides_no_other() -> None:
    """Two processes that write at once, one forked by the user's code, cost the lines that they have mixed and no other."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        reader = pipe.Channel(theirs)
        ours.sendall(b'{"n": 1}\n{"n": {"n": 2}\n7\n{"n": 3}\n')
        assert reader.read()[0] == [{"n": 1}, {"torn": '{"n": {"n": 2}'}, {"torn": "7"}, {"n": 3}]


def test_a_finaliser_may_say_something_while_a_line_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said in the middle of sending another line comes after it, and both are whole."""
    ours, theirs = pipe.pair()
    with ours, theirs:
        writer, reader = pipe.Channel(ours), pipe.Channel(theirs)
        send_some = writer._send_some

        def interrupted() -> int:
            monkeypatch.setattr(writer, "_send_some", send_some)
            sent = send_some()
            writer.send_line({"last": True}, told)
            return sent

        monkeypatch.setattr(writer, "_send_some", interrupted)
        writer.send_line({"n": 1}, told)
        assert heard(reader, "last") == [{"n": 1}, {"last": True}]


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
