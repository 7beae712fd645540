"""Log lines as people see them."""

from __future__ import annotations

import pytest

from launcher.model.logs import LogLine, Stream
from launcher.observe.shown import LONGEST, shown


@pytest.mark.parametrize(
    ("message", "extra", "expected"),
    [
        ("plain", {}, ["plain"]),
        ("", {}, [""]),
        ("two\nlines", {"a": 1}, ["two", "lines  a=1"]),
        ("saved", {"rows": 3, "table": "news"}, ["saved  rows=3  table=news"]),
        (
            "saved",
            {"text": "a b", "empty": "", "none": None, "list": [1, "x"]},
            ['saved  text="a b"  empty=""  none=null  list=[1, "x"]'],
        ),
        ("saved", {"timestamp": "2026", "time": 1, "ts": 2}, ["saved"]),
        ("failed", {"exception": "Traceback\n  line\n"}, ["failed", "exception:", "Traceback", "  line"]),
        ("10%\r20%\r100%", {}, ["100%"]),
        ("10%\r20%\r", {}, ["20%"]),
        ("\r\r", {}, [""]),
        ("long", {"x": "y" * 1000}, [f"long  x={'y' * LONGEST}…"]),
        ("odd", {"x": {1}}, ['odd  x="{1}"']),
    ],
)
def test_lines(message: str, extra: dict[str, object], expected: list[str]) -> None:
    """Fields follow the message, long ones are cut, tracebacks have their own lines, and of a progress bar the last state is left."""
    assert shown(LogLine(1.0, "api", Stream.STDOUT, message, extra=extra)) == expected
