"""Lines that are JSON objects."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.structured import structured
from launcher.model.logs import LogLine, Stream


def line(message: str, stream: Stream = Stream.STDOUT) -> LogLine:
    return LogLine(1.5, "api", stream, message, 3)


@pytest.mark.parametrize(
    ("text", "level", "logger", "message", "extra"),
    [
        pytest.param(
            '{"event": "saved", "level": "warning", "logger": "db", "timestamp": "2026-11-27T18:00:00Z", "rows": 3}',
            "WARNING",
            "db",
            "saved",
            {"timestamp": "2026-11-27T18:00:00Z", "rows": 3},
            id="structlog",
        ),
        pytest.param(
            '{"asctime": "x", "name": "root", "levelname": "ERROR", "message": "no", "exc_info": "Trace\\nback"}',
            "ERROR",
            "root",
            "no",
            {"asctime": "x", "exc_info": "Trace\nback"},
            id="python-json-logger",
        ),
        pytest.param(
            '{"level":40,"time":1700000000000,"pid":7,"hostname":"h","msg":"slow"}',
            "WARNING",
            "",
            "slow",
            {"time": 1700000000000, "pid": 7, "hostname": "h"},
            id="pino",
        ),
        pytest.param('{"severity": "NOTICE", "message": "m"}', "INFO", "", "m", {}, id="Google"),
        pytest.param('{"message": "m", "level": 40}', "", "", "m", {"level": 40}, id="a number of somebody"),
        pytest.param('{"message": "m", "level": "loud"}', "", "", "m", {"level": "loud"}, id="unknown level"),
        pytest.param('{"message": "m", "name": "Ann"}', "", "", "m", {"name": "Ann"}, id="somebody's name"),
        pytest.param('{"message": 5, "event": "e"}', "", "", "e", {"message": 5}, id="the first text counts"),
        pytest.param('{"message": "two\\nlines"}', "", "", "two\nlines", {}, id="several lines"),
        pytest.param('{"msg": "m", "level": true}', "", "", "m", {"level": True}, id="a truth value"),
    ],
)
def test_objects(text: str, level: str, logger: str, message: str, extra: dict[str, object]) -> None:
    """Level, logger, message and all other fields are kept as such; time, component, incarnation and stream are ours."""
    expected = LogLine(1.5, "api", Stream.STDOUT, message, 3, level, logger, extra)
    assert structured(line(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "{",
        "{}",
        '{"a": 1}',
        '["message"]',
        '{"message": 1}',
        '{"message": "m"',
        "{" * 9000,
        '{"a":' * 9000,
    ],
)
def test_what_is_no_such_object_stays_text(text: str) -> None:
    """Torn, foreign and other lines are what they were."""
    assert structured(line(text)) == line(text)


def test_a_record_keeps_its_own_level_and_logger() -> None:
    """Structlog renders the text of a record of logging: its fields are kept, and what contradicts the record is a field."""
    text = '{"event": "saved", "level": "info", "logger": "db", "rows": 3}'
    record = replace(line(text, Stream.LOG), level="INFO", logger="db", extra={"task": 1})
    assert structured(record) == replace(record, message="saved", extra={"task": 1, "rows": 3})
    other = replace(record, level="ERROR", logger="root")
    fields = {"task": 1, "level": "info", "logger": "db", "rows": 3}
    assert structured(other) == replace(other, message="saved", extra=fields)


def test_what_the_launcher_says_is_not_read() -> None:
    """A traceback or a reason is text, whatever it looks like."""
    said = line('{"message": "m", "level": "error"}', Stream.LAUNCHER)
    assert structured(said) == said


@given(
    st.dictionaries(
        st.text(max_size=8) | st.sampled_from(("message", "event", "msg", "level", "logger", "name")),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists, max_leaves=5),
        max_size=6,
    )
)
def test_nothing_of_an_object_is_lost(fields: dict[str, object]) -> None:
    """Every value is in the message, the level, the logger or the fields."""
    told = structured(line(json.dumps(fields)))
    if told.message == json.dumps(fields):
        return
    values = [*told.extra.values(), told.message, told.logger]
    for key, value in fields.items():
        assert value in values or (key in {"level", "lvl", "severity"} and told.level)
