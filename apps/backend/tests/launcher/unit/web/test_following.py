"""Following a stream through lost connections: scripted connections in place of a launcher."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import following
from launcher.errors import CommandFailed, ConnectionLost, NotRunning
from launcher.following import Told, followed, unchunked
from launcher.sse import Event, encode, encode_mark


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(following, "time", made)
    return made


def number(seq: int) -> bytes:
    return encode(Event("transition", f'{{"seq": {seq}}}', str(seq)))


GONE = NotRunning("nobody")
BROKEN = ConnectionLost("broken")


class Script:
    """What each connection brings, and how it ends: ``None`` for a proper end."""

    def __init__(self, *connections: tuple[bytes, Exception | None]) -> None:
        self.connections = list(connections)
        self.asked: list[str] = []

    def __call__(self, last: str) -> Generator[bytes, None, None]:
        self.asked.append(last)
        data, ended = self.connections.pop(0) if self.connections else (b"", GONE)
        if data:
            yield data
        if ended is not None:
            raise ended


def told(script: Script, *, since: str = "", follow: bool = True, patience: float = 10.0) -> Iterator[Told]:
    return followed(script, since, follow=follow, patience=patience)


def seqs(arrived: Iterator[Told]) -> list[int]:
    return [one.document["seq"] for one in arrived]


def test_it_goes_on_after_what_was_received(clock: Clock) -> None:
    """Each connection asks for what comes after the last event, or after the last mark, of the one before."""
    script = Script(
        (number(1) + number(2)[:-5], BROKEN),
        (number(2) + encode_mark("5"), None),
        (b"", BROKEN),
        (number(6), None),
    )
    assert seqs(told(script)) == [1, 2, 6]
    assert script.asked[:5] == ["", "1", "5", "5", "6"]


def test_nobody_there_is_said_at_once(clock: Clock) -> None:
    """Whoever was never there is not waited for."""
    with pytest.raises(NotRunning):
        list(told(Script(), patience=1000.0))
    assert clock.now == 0.0


def test_who_takes_leave_is_waited_for_and_then_the_stream_ends(clock: Clock) -> None:
    """A restart takes some time; after that the launcher is not coming back, and that is no failure."""
    assert seqs(told(Script((number(1), None)))) == [1]
    assert 10.0 <= clock.now < 11.0


def test_who_vanishes_is_waited_for_and_then_it_is_said(clock: Clock) -> None:
    """A launcher that was killed has not taken its leave."""
    stream = told(Script((number(1), None), (number(2), BROKEN)))
    assert [next(stream).id for _ in range(2)] == ["1", "2"]
    with pytest.raises(NotRunning):
        next(stream)
    assert 10.0 <= clock.now < 11.0


def test_without_following_the_proper_end_is_the_end(clock: Clock) -> None:
    """A connection that breaks is gone on with even then."""
    script = Script((number(1), BROKEN), (number(2), None))
    assert seqs(told(script, since="0", follow=False)) == [1, 2]
    assert script.asked == ["0", "1"]


def test_what_is_refused_is_raised(clock: Clock) -> None:
    """An error of the launcher is not tried again."""
    script = Script((b"", CommandFailed("no")))
    with pytest.raises(CommandFailed):
        list(told(script))
    assert len(script.asked) == 1


def receiver(pieces: list[bytes]) -> Callable[[], bytes]:
    """Return one piece after the other; nothing must be asked for after the last."""
    return lambda: pieces.pop(0)


@given(st.lists(st.binary(min_size=1, max_size=30)), st.lists(st.integers(1, 9), min_size=1))
def test_chunks_however_they_are_cut(chunks: list[bytes], sizes: list[int]) -> None:
    """The content of a chunked body is what was sent, wherever the connection cuts it, and its end is seen."""
    data = b"".join(b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    pieces = []
    for position in range(len(data)):
        size = sizes[position % len(sizes)]
        pieces.append(data[:size])
        data = data[size:]
    assert b"".join(unchunked(receiver([piece for piece in pieces if piece]), b"")) == b"".join(chunks)


def test_what_is_not_chunked() -> None:
    """A length that is none is an error, and not waited for."""
    with pytest.raises(ValueError, match="invalid literal"):
        list(unchunked(receiver([]), b"xyz\r\n"))
