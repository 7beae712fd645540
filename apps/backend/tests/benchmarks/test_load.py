"""The load generator against real servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.support.load import Exchange, Load, Outcome, Tally, first_answer

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\nx: y\r\n\r\n{"pid": 421}'
LAST = ANSWER.replace(b"x: y", b"Connection: close")


@contextmanager
def served(answer: Callable[[socket.socket, int], None]) -> Iterator[tuple[int, list[int]]]:
    """A server that hands each connection and its number to `answer`; yields its port and the numbers of the connections so far."""
    connections: list[int] = []
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.append(len(connections))
                threading.Thread(target=talk, args=(connection, connections[-1]), daemon=True).start()

        def talk(connection: socket.socket, number: int) -> None:
            with connection:
                answer(connection, number)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], connections
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def once(connection: socket.socket, _number: int) -> None:
    """Answer one request."""
    connection.recv(65536)
    connection.sendall(ANSWER)


def again_and_again(connection: socket.socket, _number: int) -> None:
    """Answer until the client leaves."""
    while connection.recv(65536):
        connection.sendall(ANSWER)


def once_and_says_so(connection: socket.socket, _number: int) -> None:
    """Answer one request with the word that no other will be; close when the client has, or sends one all the same."""
    connection.recv(65536)
    connection.sendall(LAST)
    connection.settimeout(0.2)
    with suppress(TimeoutError):
        connection.recv(65536)


def seldom(connection: socket.socket, number: int) -> None:
    """Answer every other connection; close the rest without a word."""
    if number % 2:
        once(connection, number)
    else:
        connection.recv(65536)


def wrongly(connection: socket.socket, _number: int) -> None:
    """Answer that there is nothing."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nx: y\r\n\r\n")


def finished(load: Load, least: int) -> list[Exchange]:
    """The exchanges of a load that has ended by itself: it is given no time limit but the number it can reach."""
    exchanges = load.wait()
    assert len(exchanges) >= least
    return exchanges


def test_every_request_is_answered_on_a_connection_of_its_own() -> None:
    """Each request has a new connection, an answer, and the process that gave it."""
    with served(once) as (port, connections), Load(port, 200, seconds=0.3) as load:
        exchanges = finished(load, 50)
        assert {(one.outcome, one.pid) for one in exchanges} == {(Outcome.ANSWERED, 421)}
        assert len(connections) == len(exchanges)
    assert all(one.planned <= one.sent <= one.ended for one in exchanges)


def test_connections_are_kept() -> None:
    """With keep-alive far fewer connections are made than requests."""
    with served(again_and_again) as (port, connections), Load(port, 200, seconds=0.3, keep_alive=5) as load:
        exchanges = finished(load, 50)
        assert {one.outcome for one in exchanges} == {Outcome.ANSWERED}
        assert len(connections) < len(exchanges)


def test_a_connection_is_not_used_after_its_last_answer() -> None:
    """A server that says ``connection: close`` and closes later loses no request, as with every client that follows the protocol."""
    with served(once_and_says_so) as (port, connections), Load(port, 200, seconds=0.3, keep_alive=5) as load:
        exchanges = finished(load, 50)
        assert {one.outcome for one in exchanges} == {Outcome.ANSWERED}
        assert len(connections) == len(exchanges)


@pytest.mark.parametrize(
    ("answer", "outcomes"),
    [(seldom, {Outcome.ANSWERED, Outcome.RESET}), (wrongly, {Outcome.STATUS})],
    ids=["closed without an answer", "another status"],
)
def test_failures_are_told_apart(
    answer: Callable[[socket.socket, int], None], outcomes: set[Outcome]
) -> None:
    """A broken connection and a wrong status are different outcomes."""
    with served(answer) as (port, _), Load(port, 100, seconds=0.3) as load:
        assert {one.outcome for one in finished(load, 20)} == outcomes


def test_nobody_listens() -> None:
    """Refused connections are written down as such, and the schedule goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Load(port, 200, seconds=0.3) as load:
        exchanges = finished(load, 50)
    assert {one.outcome for one in exchanges} == {Outcome.REFUSED}


def test_a_load_can_be_stopped() -> None:
    """A load that could go on for an hour ends when it is told to."""
    with served(once) as (port, _), Load(port, 50, seconds=3600) as load:
        assert {one.outcome for one in load.stop()} <= {Outcome.ANSWERED}


def test_the_tally_tells_what_nobody_could_save() -> None:
    """Of the failed requests those count as inside that had been sent before the kill."""
    exchanges = [
        Exchange(1.0, 1.0, 1.5, Outcome.ANSWERED, 7),
        Exchange(2.0, 2.0, 2.1, Outcome.RESET, 0),
        Exchange(2.0, 0.0, 2.1, Outcome.REFUSED, 0),
        Exchange(3.5, 3.5, 3.6, Outcome.RESET, 0),
        Exchange(2.0, 2.0, 33.0, Outcome.TIMEOUT, 0),
        Exchange(4.0, 0.0, 4.0, Outcome.UNSENT, 0),
    ]
    assert Tally.of(exchanges, killed_at=3.0) == Tally(
        requests=5, failed=4, refused=1, inside=1, unsent=1, slowest_ms=500.0
    )
    assert Tally.of(exchanges).inside == 0


def test_first_answer_is_that_of_another_process() -> None:
    """An answer that the dead process had still sent does not count as serving again."""
    exchanges = [
        Exchange(1.0, 1.0, 2.0, Outcome.ANSWERED, 7),
        Exchange(1.0, 1.0, 3.0, Outcome.ANSWERED, 8),
        Exchange(1.0, 1.0, 2.5, Outcome.RESET, 0),
    ]
    assert first_answer(exchanges, 1.5, {7}) == 3.0
    assert first_answer(exchanges, 3.0, {7}) is None
