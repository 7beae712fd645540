"""Server-sent events: what one end writes, the other reads, however it is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.sse import LONGEST, Event, Parser, encode, encode_mark, encode_retry

TEXTS = st.text(st.characters(codec="utf-8")).map(json.dumps)
IDS = st.text("0123456789abcdef-@:,%", max_size=12)
EVENTS = st.lists(st.builds(Event, st.sampled_from(["transition", "log", "gap"]), TEXTS, IDS))


@given(EVENTS, st.lists(st.integers(1, 40)))
def test_events_survive_any_cut(events: list[Event], sizes: list[int]) -> None:
    """However the bytes are cut, the same events arrive in the same order, each with the last id that was told."""
    data = b"".join(encode(event) for event in events)
    parser, arrived = Parser(), []
    for size in sizes:
        arrived += list(parser.feed(data[:size]))
        data = data[size:]
    arrived += list(parser.feed(data))
    assert [(event.kind, event.data) for event in arrived] == [(event.kind, event.data) for event in events]
    identity = ""
    for event, told in zip(events, arrived, strict=True):
        identity = event.id or identity
        assert told.id == identity
    assert parser.last_id == identity


def test_an_event_that_breaks_off_was_not_received() -> None:
    """The id of half an event is not where to go on from."""
    parser = Parser()
    assert list(parser.feed(encode(Event("log", "{}", "1")) + encode(Event("log", "{}", "2"))[:-1]))
    assert parser.last_id == "1"


def test_a_mark_moves_the_point_and_tells_nothing() -> None:
    """Between events a stream tells from where to go on, and that it lives."""
    parser = Parser("0")
    assert list(parser.feed(encode_retry(1.0) + encode_mark("7"))) == []
    assert parser.last_id == "7"


def test_what_is_no_utf_8_is_sent_as_json_would_write_it() -> None:
    """A lone surrogate, from bytes that were no UTF-8, becomes an escape."""
    data = json.dumps({"message": "\udcff"}, ensure_ascii=False)
    (event,) = Parser().feed(encode(Event("log", data)))
    assert json.loads(event.data) == {"message": "\udcff"}


def test_an_event_without_end() -> None:
    """A stream that never comes to the end of a line does not fill the memory."""
    parser = Parser()
    with pytest.raises(ValueError, match="no end"):
        list(parser.feed(b"x" * (LONGEST + 1)))
