"""The comparison itself: it overlooks what a clock decides, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.launcher.acceptance.newsdesk.transcript import assert_same
from tests.launcher.acceptance.newsdesk.wire import Response, get

BODY = b'{"id":"a","created_at":"2025-11-24T03:48:30.133888Z","latency_ms":1.25}'
LATER = b'{"id":"a","created_at":"2025-11-24T03:48:31Z","latency_ms":12.5}'
HEADERS = (
    ("date", "Mon, 24 Nov 2025 03:48:30 GMT"),
    ("server", "uvicorn"),
    ("content-length", str(len(BODY))),
    ("content-type", "application/json"),
)
ANSWER = Response(200, "HTTP/1.1", "OK", HEADERS, BODY)
ASKED = get("/articles/a", "an example")


def same(one: Response, other: Response) -> None:
    assert_same([(ASKED, one)], [(ASKED, other)], "single")


def test_what_a_clock_decides_is_overlooked() -> None:
    """Another date, timestamp and latency, a length that follows from them, and another order of the headers are no difference."""
    headers = (
        ("date", "Tue, 25 Nov 2025 00:00:00 GMT"),
        HEADERS[3],
        HEADERS[1],
        ("content-length", str(len(LATER))),
    )
    same(ANSWER, replace(ANSWER, headers=headers, body=LATER))


@pytest.mark.parametrize(
    "other",
    [
        replace(ANSWER, status=201),
        replace(ANSWER, reason="Fine"),
        replace(ANSWER, version="HTTP/1.0"),
        replace(ANSWER, interim=(100,)),
        replace(ANSWER, headers=HEADERS[1:]),
        replace(ANSWER, headers=(*HEADERS, ("server", "uvicorn"))),
        replace(ANSWER, headers=(("Date", HEADERS[0][1]), *HEADERS[1:])),
        replace(ANSWER, headers=(("date", "yesterday"), *HEADERS[1:])),
        replace(ANSWER, headers=(*HEADERS[:2], ("content-length", "1"), HEADERS[3])),
        replace(ANSWER, body=BODY.replace(b'"a"', b'"b"')),
        replace(ANSWER, body=BODY.replace(b"Z", b" ")),
        replace(ANSWER, body=BODY.replace(b",", b", ")),
        Response(0),
    ],
)
def test_everything_else_is_a_difference(other: Response) -> None:
    """Status, version, names, values and number of headers, and every other byte of the body count."""
    with pytest.raises((AssertionError, ValueError)):
        same(ANSWER, other)


def test_the_difference_is_shown() -> None:
    """The message names the request and shows the lines that differ."""
    with pytest.raises(AssertionError, match="request 2 of 2") as caught:
        assert_same([(ASKED, ANSWER)] * 2, [(ASKED, ANSWER), (ASKED, replace(ANSWER, status=500))], "multi")
    assert "GET /articles/a HTTP/1.1  (an example)" in str(caught.value)
    assert "\n-HTTP/1.1 200 OK\n+HTTP/1.1 500 OK" in str(caught.value)


STREAM = b'event: enrichment\ndata: {"agent": "a"}\nid: 1\n\nevent: enrichment\ndata: {"agent": "b"}\nid: 2\n\nevent: settled\n\n'


def streamed(body: bytes) -> Response:
    return Response(200, "HTTP/1.1", "OK", (("content-type", "text/event-stream; charset=utf-8"),), body)


def test_agents_may_deliver_in_any_order() -> None:
    """Events are compared as a set, since agents work at the same time; keep-alive comments do not count."""
    other = b': ping\n\nevent: enrichment\ndata: {"agent": "b"}\nid: 1\n\nevent: enrichment\ndata: {"agent": "a"}\nid: 2\n\nevent: settled\n\n'
    same(streamed(STREAM), streamed(other))


@pytest.mark.parametrize(
    "other",
    [
        STREAM.replace(b"id: 2", b"id: 3"),
        STREAM.replace(b'"b"', b'"a"'),
        STREAM.replace(b"event: settled\n\n", b""),
        STREAM.replace(b"event: settled", b"event: pause"),
        b"event: settled\n\n" + STREAM.replace(b"event: settled\n\n", b""),
    ],
)
def test_events_are_numbered_and_end(other: bytes) -> None:
    """A gap in the numbers, a missing or another event, and an end that is not at the end are differences."""
    with pytest.raises(AssertionError):
        same(streamed(STREAM), streamed(other))
