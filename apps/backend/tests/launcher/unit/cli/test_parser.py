"""How words on the command line become values."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

import pytest

from launcher.cli import COMMANDS, _split
from launcher.cli.logs import moment
from launcher.cli.messages import wants_json
from launcher.cli.parser import (
    Parser,
    add_project,
    add_selection,
    add_timeout,
    request_from,
    seconds,
    use_color,
)
from launcher.cli.up import configure, up_request
from launcher.core.names import selected
from launcher.errors import UnknownComponent, UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("2m", 120.0),
        ("2min", 120.0),
        ("1h", 3600.0),
    ],
)
def test_durations(text: str, value: float) -> None:
    """Seconds, or a number with a unit."""
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e99", "5 apples", "1y"])
def test_what_is_no_duration(text: str) -> None:
    """Everything else is refused, infinity and nothing-at-all too."""
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(text)


def test_up_becomes_a_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pairs, names, profiles, settings and the flags that stand for values."""
    monkeypatch.chdir(tmp_path)
    parser = Parser("launcher up")
    configure(parser, "up")
    words = "api=a:b worker --only x,y --exclude z --profile p --profile q,r --set a.b=c=d -t 5 --keep-going --mode multi"
    request = up_request(parser.parse_args(words.split()))
    assert request.directory == tmp_path
    assert request.pairs == ("api=a:b",)
    assert request.only == ("worker", "x", "y")
    assert request.exclude == ("z",)
    assert request.profiles == ("p", "q", "r")
    assert request.mode == "multi"
    assert request.flags == {"a.b": "c=d", "launcher.stop_timeout": "5", "launcher.keep_going": "true"}


@pytest.mark.parametrize("text", ["novalue", "=1", ""])
def test_a_setting_needs_key_and_value(text: str) -> None:
    """--set without either is refused with an example."""
    parser = Parser("x")
    add_selection(parser)
    add_project(parser)
    with pytest.raises(UsageError) as caught:
        request_from(parser.parse_args(["--set", text]))
    assert "--set components.api.port" in caught.value.hint


def test_mistakes_are_errors_with_a_hint() -> None:
    """Argparse does not end the process."""
    parser = Parser("launcher down")
    add_timeout(parser, "wait")
    with pytest.raises(UsageError) as caught:
        parser.parse_args(["-t", "soon"])
    assert "soon" in caught.value.message
    assert caught.value.hint == "launcher down --help"


@pytest.mark.parametrize(
    ("argv", "split"),
    [
        ([], ([], "", [])),
        (["up", "-d"], ([], "up", ["-d"])),
        (["-f", "x.toml", "--no-color", "logs", "-f"], (["--file", "x.toml", "--no-color"], "logs", ["-f"])),
        (["--file=x", "status"], (["--file=x"], "status", [])),
        (["-f"], (["--file"], "", [])),
    ],
)
def test_options_may_stand_before_the_command(
    argv: list[str], split: tuple[list[str], str, list[str]]
) -> None:
    """-f means the declaration before the command, and what the command makes of it after."""
    assert _split(argv) == split


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["status", "-o", "json"], True),
        (["status", "-ojson", "--bogus"], True),
        (["status", "--output=json"], True),
        (["status", "-o", "table"], False),
        (["status", "-o"], False),
        (["logs", "json"], False),
    ],
)
def test_json_is_noticed_on_a_wrong_command_line(argv: list[str], wanted: bool) -> None:
    """Errors of the parser itself come as JSON, too."""
    assert wants_json(argv) is wanted


KNOWN = ["api", "agents.writer", "agents.editor", "db"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["api"], ["api"]),
        (["agents"], ["agents.writer", "agents.editor"]),
        (["agents.*", "api"], ["agents.writer", "agents.editor", "api"]),
        (["*i"], ["api"]),
        (["db", "all"], ["db", "api", "agents.writer", "agents.editor"]),
    ],
)
def test_names_wildcards_and_entries(wanted: list[str], names: list[str]) -> None:
    """Each component once, in the order asked for."""
    assert selected(wanted, KNOWN) == names


def test_an_unknown_name_is_answered_with_the_likely_one() -> None:
    """A mistyped name changes nothing and says what was meant."""
    with pytest.raises(UnknownComponent) as caught:
        selected(["api", "apy"], KNOWN)
    assert "api" in caught.value.hint


def test_since() -> None:
    """A duration, a time of today, a date."""
    now = datetime(2026, 1, 31, 15, 0).astimezone().timestamp()
    assert moment("10m", now) == now - 600
    assert moment("10m ago", now) == now - 600
    assert moment("14:30", now) == now - 1800
    assert moment("2026-01-31T14:59", now) == now - 60
    assert moment("2026-01-31", now) == now - 15 * 3600
    with pytest.raises(UsageError):
        moment("yesterday", now)


@pytest.mark.parametrize(
    ("no_color", "environ", "wanted"),
    [
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"FORCE_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (False, {}, False),
    ],
)
def test_when_to_colour(
    no_color: bool, environ: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file gets no colour unless forced; NO_COLOR and --no-color always win."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "file").open("w") as stream:
        assert use_color(argparse.Namespace(no_color=no_color), stream) is wanted


def test_every_command_says_what_it_does() -> None:
    """The list of commands needs no second look."""
    assert all(command.summary and command.summary[0].islower() for command in COMMANDS.values())
