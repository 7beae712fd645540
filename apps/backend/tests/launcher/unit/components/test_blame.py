"""Exceptions in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.components import blame


def caught(function: object) -> ValueError:
    try:
        function()  # type: ignore[operator]
    except ValueError as error:
        return error
    raise AssertionError


def test_the_last_own_frame_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of the standard library are passed over, and paths are relative to the working directory."""
    monkeypatch.chdir(Path(__file__).parent)
    error = caught(lambda: json.loads("{"))
    assert blame.told(error).startswith("test_blame.py:")
    assert ": JSONDecodeError: Expecting property name" in blame.told(error)
    assert "json/decoder.py" in blame.full(error)


def test_groups_are_told_by_their_first_leaf() -> None:
    """A task group's wrapper says nothing; what is inside does."""
    error = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("boom")]), KeyError()])
    assert blame.summary(blame.leaf(error)) == "ValueError: boom"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), "ValueError"),
        (ValueError("\n"), "ValueError"),
        (ValueError("one\ntwo"), "ValueError: one"),
        (KeyError("k"), "KeyError: 'k'"),
        (SyntaxError("invalid syntax"), "SyntaxError: invalid syntax"),
    ],
)
def test_one_line_each(error: Exception, text: str) -> None:
    """Only the first line of a message is told."""
    assert blame.summary(error) == text


@pytest.mark.parametrize(
    ("filename", "own"),
    [
        ("/srv/app/main.py", True),
        ("/srv/app/.venv/lib/python3.11/site-packages/fastapi/app.py", False),
        ("/usr/lib/python3/dist-packages/x.py", False),
        (json.__file__, False),
        (blame.__file__, False),
        ("<frozen importlib._bootstrap>", False),
        ("<string>", False),
    ],
)
def test_whose_code_it_is(filename: str, own: bool) -> None:
    """Installed code, the standard library and the launcher are not the user's own."""
    assert blame.is_own(filename) is own


def test_without_own_frames_there_is_no_place() -> None:
    """An exception that passed no code of the user is told without a place."""
    assert blame.told(ValueError("x")) == "ValueError: x"
