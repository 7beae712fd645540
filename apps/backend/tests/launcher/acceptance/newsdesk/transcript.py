"""What was asked and answered, made comparable, and the first difference between two of them in words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from itertools import zip_longest

from tests.launcher.acceptance.newsdesk.wire import Request, Response

Transcript = Sequence[tuple[Request, Response]]

TIMESTAMP = re.compile(
    rb'("(?:created_at|delivered_at)": ?)"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|\+00:00)"'
)
"""When the database wrote a row; the only values in any body that a clock decides, but for the latencies."""

LATENCY = re.compile(rb'("latency_ms": ?)\d+(?:\.\d+)?')
"""How long a service took to answer a readiness check."""

KEEP_ALIVE = re.compile(rb"^: .*\n\n?", re.MULTILINE)
"""A comment in an event stream, which only says that the connection lives; how many there are depends on the clock."""

LINE = 110
MOST_LINES = 80


def comparable(response: Response) -> Response:
    """Return a response without what differs from run to run in any server, and with its headers in a fixed order.

    Replaced are: the value of a valid ``date``; timestamps and latencies in JSON; and, where one of these made the body shorter or
    longer, a ``content-length`` that agrees with the body.
    """
    body = LATENCY.sub(rb"\1<latency>", TIMESTAMP.sub(rb'\1"<timestamp>"', response.body))
    if response.header("content-type").startswith("text/event-stream"):
        body = _events_in_order(body)
    headers = sorted(
        _header(name, value, response, changed=body != response.body) for name, value in response.headers
    )
    return replace(response, headers=tuple(headers), body=body)


def _header(name: str, value: str, response: Response, *, changed: bool) -> tuple[str, str]:
    if name.lower() == "date":
        assert parsedate_to_datetime(value).utcoffset() is not None, f"no date: {value!r}"
        return name, "<date>"
    if name.lower() == "content-length" and changed:
        assert int(value) == len(response.body), f"content-length {value} for {len(response.body)} bytes"
        return name, "<length of the body>"
    return name, value


def _events_in_order(stream: bytes) -> bytes:
    """Return an event stream with its enrichments in the order of their text.

    Which agent delivers first is chance; that the events are numbered from 1 and that the last one is no enrichment is not.
    """
    events = [event for event in KEEP_ALIVE.sub(b"", stream).split(b"\n\n") if event]
    results = [event for event in events if b"event: enrichment" in event]
    numbers = [re.findall(rb"^id: (\d+)$", event, re.MULTILINE) for event in results]
    assert numbers == [[b"%d" % number] for number in range(1, len(results) + 1)], stream
    assert events[: len(results)] == results, stream
    anonymous = sorted(
        re.sub(rb"^id: \d+$", b"id: <in order>", event, flags=re.MULTILINE) for event in results
    )
    return b"\n\n".join([*anonymous, *events[len(results) :], b""])


def assert_same(expected: Transcript, found: Transcript, name: str) -> None:
    """Fail with the first request that was answered differently, and with the difference.

    ``expected`` is what the backend answers without the launcher, ``found`` what it answers as started by ``name``.
    """
    assert expected, "nothing was asked"
    pairs = list(zip_longest(expected, found))
    for number, (one, other) in enumerate(pairs, 1):
        assert one is not None, f"only {name} was asked: {other[0]}"
        assert other is not None, f"{name} was not asked: {one[0]}"
        assert one[0].raw == other[0].raw, f"not the same question: {one[0]} and {other[0]}"
        left, right = comparable(one[1]), comparable(other[1])
        if left != right:
            difference = "\n".join(_difference(left, right, name))
            raise AssertionError(
                f"request {number} of {len(pairs)} is answered differently: {one[0]}\n{difference}"
            )


def _difference(left: Response, right: Response, name: str) -> list[str]:
    lines = list(
        difflib.unified_diff(
            list(_lines(left)), list(_lines(right)), "without the launcher", name, n=3, lineterm=""
        )
    )
    more = [f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return lines[:MOST_LINES] + more


def _lines(response: Response) -> Iterator[str]:
    """The lines of a response, long ones of the body broken."""
    if response.status == 0:
        yield "the connection was closed without an answer"
        return
    yield from (f"interim {status}" for status in response.interim)
    yield f"{response.version} {response.status} {response.reason}"
    yield from (f"{name}: {value}" for name, value in response.headers)
    yield ""
    for line in response.body.decode("utf-8", "backslashreplace").split("\n"):
        yield from (line[at : at + LINE] for at in range(0, max(len(line), 1), LINE))
