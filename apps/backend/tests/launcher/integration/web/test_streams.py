"""Streams of events and log lines over real sockets: order, completeness, resumption, and followers that behave badly."""

from __future__ import annotations

import json
import socket
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.client import Client
from launcher.errors import NotRunning, UnknownComponent
from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import LogStore
from launcher.observe.stream import LogReader, Portion
from launcher.sse import Event
from launcher.supervisor.journal import KEPT
from launcher.web import logs, streams
from launcher.web.server import Limits
from tests.launcher.integration.web.opened import Opened, numbers, opened
from tests.launcher.integration.web.scripted import eventually


@pytest.fixture
def both() -> Iterator[Opened]:
    with opened() as interface:
        yield interface


def fresh(both: Opened) -> None:
    """Begin another run, with an empty journal."""
    both.close()
    both.begin()


# ---- events ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tcp", [False, True])
def test_every_transition_as_it_happens(both: Opened, tcp: bool) -> None:
    """What is kept comes first, then what happens; each once, in order, with its id and its document."""
    both.publish(1, 2)
    reading = both.followed("/events", tcp=tcp)
    both.publish(3)
    both.publish(4, 5)
    events = reading.take(5)
    assert numbers(events) == [1, 2, 3, 4, 5]
    assert [event.id for event in events] == [f"{both.journal.run}-{number}" for number in range(1, 6)]
    assert {event.kind for event in events} == {"transition"}
    document = json.loads(events[2].data)
    assert document.pop("time").endswith("Z")
    assert document == {
        "id": f"{both.journal.run}-3",
        "seq": 3,
        "component": "api",
        "incarnation": 3,
        "role": "current",
        "before": "starting",
        "after": "ready",
        "desired": "up",
        "event": "BecameReady",
        "reason": "",
        "exit": None,
        "pid": None,
    }
    reading.close()
    eventually(lambda: both.followers() == 0, "the follower is forgotten")


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_lost_connection_loses_nothing(both: Opened, how: str) -> None:
    """After a real disconnect, the header and the parameter both go on after the last event that was received."""
    both.publish(1, 2, 3)
    reading = both.followed("/events")
    last = reading.take(2)[-1].id
    reading.close()
    both.publish(4)
    again = (
        both.followed("/events", last_event_id=last)
        if how == "header"
        else both.followed(f"/events?since={last}")
    )
    assert numbers(again.take(2)) == [3, 4]
    again.close()


def test_the_header_wins(both: Opened) -> None:
    """A browser connects again to the same address, with the header that says how far it came."""
    both.publish(1, 2, 3)
    run = both.journal.run
    reading = both.followed(f"/events?since={run}-1&follow=0", last_event_id=f"{run}-2")
    assert numbers(reading.rest()) == [3]


def test_only_what_happens_from_now_on(both: Opened) -> None:
    """``now`` leaves out what is kept, and gives a point to go on from before anything has happened."""
    both.publish(1, 2)
    reading = both.followed("/events?since=now")
    eventually(lambda: both.followers() == 1, "it is followed")
    both.publish(3)
    assert numbers(reading.take(1)) == [3]
    quiet = both.followed("/events?since=now&follow=0")
    assert quiet.rest() == []
    assert quiet.parser.last_id == f"{both.journal.run}-3"
    for one in (reading, quiet):
        one.close()


@pytest.mark.parametrize("asked", ["0123abcd-7", "{run}-99", "what is this"])
def test_a_point_that_is_not_known_is_a_gap(both: Opened, asked: str) -> None:
    """Of another run, of the future, or of nobody: it is said first, and all that is kept follows."""
    both.publish(1, 2)
    asked = asked.replace("{run}", both.journal.run)
    reading = both.followed("/events?follow=0", last_event_id=asked)
    gap, *events = reading.rest()
    assert gap.kind == "gap"
    assert json.loads(gap.data) | {"reason": ""} == {"asked": asked, "reason": "", "missing": None}
    assert gap.id == f"{both.journal.run}-0"
    assert numbers(events) == [1, 2]


def test_what_is_no_longer_kept_is_a_gap(both: Opened) -> None:
    """How much is missing is said, and the point after the gap is one to go on from."""
    both.publish(*range(KEPT + 5))
    run = both.journal.run
    reading = both.followed(f"/events?since={run}-2&follow=0")
    gap, *events = reading.rest()
    assert json.loads(gap.data)["missing"] == 3
    assert gap.id == f"{run}-5"
    assert numbers(events) == list(range(6, KEPT + 6))
    assert numbers(both.followed(f"/events?since={run}-5&follow=0").rest())[0] == 6
    assert (
        numbers(both.followed("/events?follow=0").rest())[0] == 6
    )  # whoever asks for what is kept misses nothing


def test_components_that_are_wanted(both: Opened) -> None:
    """Names, entries and wildcards choose; the point to go on from moves past what is not wanted."""
    both.publish(1, component="api")
    both.publish(2, component="api.2")
    both.publish(3, component="db")
    for query, wanted in [
        ("component=api", [1, 2]),
        ("component=api.1", [1]),
        ("component=d*&component=api.2", [2, 3]),
        ("component=all", [1, 2, 3]),
    ]:
        reading = both.followed(f"/events?{query}&follow=0")
        assert numbers(reading.rest()) == wanted
        reading.close()
    quiet = both.followed(f"/events?component=db&since={both.journal.run}-3&follow=0")
    both.publish(4)
    assert quiet.rest() == []
    assert both.ask("GET /events?component=apy").status == 404
    assert "api" in both.ask("GET /events?component=apy").document["error"]["hint"]


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=0123abcd-", "follow=maybe", "follow=2", "component=nobody"]
)
def test_queries_of_events_that_are_refused(both: Opened, query: str) -> None:
    """With a status, a message and a hint, before a stream begins."""
    answer = both.ask(f"GET /events?{query}")
    assert answer.status == (404 if "component" in query else 400)
    assert answer.document["error"]["hint"]


def test_silence_shows_signs_of_life(both: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment comes when nothing else does, also while others are told something; it holds the point to go on from."""
    monkeypatch.setattr(streams, "KEEP_ALIVE", 0.05)
    both.publish(1, component="db")
    reading = both.followed("/events?component=db")
    reading.take(1)
    both.publish(2, component="api")
    eventually(lambda: both.journal.last == 2, "something else has happened")
    while reading.parser.last_id != f"{both.journal.run}-2":
        list(reading.parser.feed(reading.until(b"\n\n")))
    assert b"\n: " in reading.raw
    reading.close()


def test_the_end_comes_after_the_last_transition(both: Opened) -> None:
    """When the launcher ends, streams end properly, and with everything that has happened."""
    readings = [both.followed("/events"), both.followed("/events", tcp=True)]
    eventually(lambda: both.followers() == 2, "both follow")
    both.publish(1, 2, 3)
    both.close()
    for reading in readings:
        assert numbers(reading.rest()) == [1, 2, 3]
        reading.close()
    with socket.socket(socket.AF_UNIX) as late:
        assert late.connect_ex(str(both.path)) != 0


def test_the_end_of_a_stream_is_a_whole_answer(both: Opened) -> None:
    """A client can tell the end from a connection that broke: the last chunk is there."""
    with both.connected() as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: both.followers() == 1, "it is followed")
        both.close()
        data = b""
        while piece := connection.recv(4096):
            data += piece
    assert data.endswith(b"\r\n0\r\n\r\n")


def test_a_follower_that_stalls_hurts_nobody() -> None:
    """It is ended; the journal never waits for it, others get everything, and it can go on later, with a gap that is told."""
    with opened(Limits(send_seconds=0.5)) as both:
        stalled = both.followed("/events")
        stalled.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        brisk = both.followed("/events")
        eventually(lambda: both.followers() == 2, "both follow")
        last, total = "", 0
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        while both.followers() == 2:
            both.publish(*range(100))
            total += 100
            assert numbers(brisk.take(100)) == list(range(total - 99, total + 1))
            assert total < 1_000_000
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        # The journal is full, and what the system holds for a connection is not ours; all that came meanwhile is a multiple of that.
        assert grown < 4_000_000
        last = stalled.rest()[-1].id
        both.publish(*range(KEPT))
        gap, first, *_ = both.followed("/events?follow=0", last_event_id=last).rest()
        assert gap.kind == "gap"
        assert json.loads(gap.data)["missing"] == total - int(last.partition("-")[2])
        assert numbers([first]) == [total + 1]
        brisk.close()


def test_a_follower_that_falls_behind_is_told(both: Opened) -> None:
    """Whoever reads too slowly for the journal, and is not yet ended, gets a gap in the middle and goes on after it."""
    reading = both.followed("/events")
    eventually(lambda: both.followers() == 1, "it is followed")
    both.publish(*range(3 * KEPT))  # all of it before the stream has its turn
    gap, *events = reading.take(KEPT + 1)
    assert gap.kind == "gap"
    assert json.loads(gap.data)["missing"] == 2 * KEPT
    assert numbers(events) == list(range(2 * KEPT + 1, 3 * KEPT + 1))
    reading.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=8), st.booleans())
def test_however_often_the_connection_breaks(both: Opened, turns: list[tuple[int, int]], tcp: bool) -> None:
    """The events of all connections together are the journal: each once, in order."""
    fresh(both)
    arrived: list[Event] = []
    for happen, read in turns:
        both.publish(*range(happen))
        last = arrived[-1].id if arrived else ""
        reading = both.followed("/events", tcp=tcp, last_event_id=last)
        arrived += reading.take(min(read, both.journal.last - len(arrived)))
        reading.close()
    last = arrived[-1].id if arrived else ""
    reading = both.followed("/events?follow=0", tcp=tcp, last_event_id=last)
    arrived += reading.rest()
    assert numbers(arrived) == [entry.seq for entry in both.journal.entries]


# ---- logs --------------------------------------------------------------------------------------------------------------------------


def written(both: Opened, count: int, component: str = "api", level: str = "", begin: int = 0) -> None:
    """Write numbered lines, a second apart."""
    store = LogStore(both.log_dir)
    for number in range(begin, begin + count):
        store.write(LogLine(1000.0 + number, component, Stream.STDOUT, f"line {number}", level=level))
    store.close()


def lines(events: list[Event]) -> list[int]:
    """The number of each line, and -1 for each gap."""
    return [int(json.loads(event.data)["message"][5:]) if event.kind == "log" else -1 for event in events]


@pytest.mark.parametrize("tcp", [False, True])
def test_the_last_lines_and_those_that_follow(both: Opened, tcp: bool) -> None:
    """Each line is the object of the log file; it goes on as lines are written, also by those that come later."""
    written(both, 10)
    reading = both.followed("/logs?n=3", tcp=tcp)
    first = reading.take(3)
    assert lines(first) == [7, 8, 9]
    assert json.loads(first[0].data) == {
        "time": "1970-01-01T00:16:47.000000Z",
        "component": "api",
        "stream": "stdout",
        "message": "line 7",
    }
    written(both, 2, "db", begin=10)
    assert lines(reading.take(2)) == [10, 11]
    reading.close()


def test_a_lost_connection_loses_no_line(both: Opened) -> None:
    """Header and parameter go on after the last line, whatever the number of lines says."""
    written(both, 10)
    reading = both.followed("/logs?n=5")
    last = reading.take(2)[-1].id
    reading.close()
    written(both, 2, begin=10)
    assert lines(both.followed("/logs?n=5&follow=0", last_event_id=last).rest()) == [7, 8, 9, 10, 11]
    assert lines(both.followed(f"/logs?n=0&follow=0&since={last}").rest()) == [7, 8, 9, 10, 11]
    fresh(both)  # the log outlives the launcher, and so do points in it
    assert lines(both.followed("/logs?follow=0", last_event_id=last).rest()) == [7, 8, 9, 10, 11]


def test_lines_that_are_wanted(both: Opened) -> None:
    """Component, level, text and time choose."""
    written(both, 3)
    written(both, 3, "db", level="ERROR", begin=3)
    for query, wanted in [
        ("", [0, 1, 2, 3, 4, 5]),
        ("component=db", [3, 4, 5]),
        ("level=error", [3, 4, 5]),
        ("level=critical", []),
        ("grep=e%203", [3]),
        ("grep=.*", []),
        ("since=1003.5", [4, 5]),
        ("since=1970-01-01T00:16:44Z", [4, 5]),
        ("n=2", [4, 5]),
        ("n=0", []),
        ("component=api&n=1", [2]),
    ]:
        assert lines(both.followed(f"/logs?follow=0&{query}").rest()) == wanted, query


@pytest.mark.parametrize(
    "query",
    [
        *(
            "n=-1",
            "n=many",
            "n=10001",
            "n=99999999999999999999",
            "n=1.5",
            "level=loud",
            "since=@x",
            "since=soon",
        ),
        *("since=99999-01-01", "since=1e9", "follow=x", "component=nobody", "n=%C2%B2"),
    ],
)
def test_queries_of_logs_that_are_refused(both: Opened, query: str) -> None:
    """With a status, a message and a hint."""
    answer = both.ask(f"GET /logs?follow=0&{query}")
    assert answer.status == (404 if "component" in query else 400)
    assert answer.document["error"]["hint"]


def test_what_there_is_has_an_end(both: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without following, a stream ends although a component writes as fast as it is read."""
    written(both, 5)
    read = LogReader.read

    def read_and_write(reader: LogReader) -> Portion:
        portion = read(reader)
        written(both, 1, begin=5)
        return portion

    monkeypatch.setattr(LogReader, "read", read_and_write)
    assert lines(both.followed("/logs?follow=0").rest())[:5] == [0, 1, 2, 3, 4]


def test_a_long_search_shows_that_it_goes_on(both: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing that is wanted is found, the reader is told how far the search has come, and can go on from there."""
    monkeypatch.setattr(logs, "SEARCH", 0.0)
    written(both, 3000)
    reading = both.followed("/logs?follow=0&since=@&grep=line%202999")
    assert lines(reading.rest()) == [2999]
    assert reading.raw.count(b": go on from here") > 2


def test_a_log_that_was_removed_is_a_gap(both: Opened) -> None:
    """A point in a log that is no longer there is told, and what there is follows."""
    written(both, 3)
    last = both.followed("/logs?follow=0").rest()[-1].id
    (both.log_dir / "api.jsonl").unlink()
    written(both, 2, begin=7)
    events = both.followed("/logs?follow=0", last_event_id=last).rest()
    assert lines(events) == [-1, 7, 8]
    assert "api" in json.loads(events[0].data)["reason"]


def test_a_stalled_follower_of_logs_is_ended() -> None:
    """It holds no thread and no file, and others are told everything meanwhile."""
    with opened(Limits(send_seconds=0.3)) as both:
        written(both, 30_000)
        stalled = both.followed("/logs?n=10000")
        eventually(lambda: both.clients() == 0, "the follower is forgotten")
        assert lines(both.followed("/logs?n=1&follow=0").rest()) == [29_999]
        stalled.close()


def test_the_end_of_logs(both: Opened) -> None:
    """When the launcher ends, what was written until then is still sent, and the stream ends properly."""
    written(both, 1)
    reading = both.followed("/logs")
    assert lines(reading.take(1)) == [0]
    written(both, 2, begin=1)
    both.close()
    assert lines(reading.rest()) == [1, 2]


# ---- the client --------------------------------------------------------------------------------------------------------------------


def test_the_client_goes_on_through_a_restart(both: Opened) -> None:
    """A launcher that is restarted is another run: the client connects again by itself and tells the gap."""
    both.publish(1, 2)
    told = Client(both.path).events(patience=30)
    assert [next(told).document["seq"] for _ in range(2)] == [1, 2]
    fresh(both)
    both.publish(7)
    gap, first = next(told), next(told)
    assert (gap.kind, first.kind) == ("gap", "transition")
    assert both.journal.run in gap.document["reason"]
    assert (first.id, first.document["incarnation"]) == (f"{both.journal.run}-1", 7)
    told.close()  # type: ignore[attr-defined]


def test_the_client_goes_on_through_a_broken_connection(both: Opened) -> None:
    """Connections that break in the middle lose nothing and repeat nothing."""
    told = Client(both.path).events(patience=30)

    async def broken() -> None:
        for server in both.interface._servers:
            for client in server._clients.values():
                client._writer.transport.abort()

    arrived = []
    for number in range(1, 6):
        both.publish(number)
        arrived.append(next(told).document["seq"])
        both.do(broken())
        both.publish(number)
        arrived.append(next(told).document["seq"])
    assert arrived == list(range(1, 11))
    told.close()  # type: ignore[attr-defined]


def test_the_client_follows_logs(both: Opened) -> None:
    """The arguments arrive; the id of a line is where to go on."""
    written(both, 5)
    client = Client(both.path)
    told = list(client.logs(["api"], lines=3, grep="line", level="info", follow=False))
    assert [one.document["message"] for one in told] == ["line 2", "line 3", "line 4"]
    assert [one.document["message"] for one in client.logs(since=told[1].id, follow=False)] == ["line 4"]
    assert [one.document["message"] for one in client.logs(since="1003", follow=False)] == [
        "line 3",
        "line 4",
    ]


def test_the_client_and_a_launcher_that_is_gone(both: Opened) -> None:
    """Nobody there is said at once; who has taken leave ends the iteration; what is refused is raised."""
    client = Client(both.path)
    both.publish(1)
    told = client.events(patience=0.0)
    assert next(told).document["seq"] == 1
    with pytest.raises(UnknownComponent):
        next(client.events(["nobody"]))
    both.close()
    assert list(told) == []
    with pytest.raises(NotRunning):
        next(client.events())
    both.begin()


def test_readiness(both: Opened) -> None:
    """200 when it is ready, 503 with the reason otherwise; for one component or for all."""
    assert both.ask("GET /readyz").status == 503
    answer = both.ask("GET /readyz?component=db")
    assert answer.status == 503
    assert answer.document["ready"] is False
    assert "db is" in answer.document["reason"]
    assert both.ask("GET /readyz?component=nobody").status == 404
