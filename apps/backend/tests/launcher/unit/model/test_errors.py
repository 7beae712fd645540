"""Errors that are shown to the user."""

from __future__ import annotations

import pytest

from launcher import errors
from launcher.errors import ConfigError, ExitCode, LauncherError, Problem


def test_an_error_has_a_message_and_a_hint() -> None:
    """Both are kept apart, and the hint may be missing."""
    error = LauncherError("port 8000 is taken", hint="choose another")
    assert (error.message, error.hint, str(error)) == (
        "port 8000 is taken",
        "choose another",
        "port 8000 is taken",
    )
    assert LauncherError("no").hint == ""


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("LauncherError", 1),
        ("UsageError", 2),
        ("ConfigError", 2),
        ("BindFailed", 1),
        ("NotRunning", 4),
        ("AlreadyRunning", 5),
        ("WaitTimeout", 6),
        ("RunDirectoryError", 1),
        ("CommandFailed", 1),
        ("UnknownComponent", 2),
    ],
)
def test_every_error_has_its_exit_code(name: str, code: int) -> None:
    """The command line ends with the code of the error."""
    kind = getattr(errors, name)
    assert issubclass(kind, LauncherError)
    assert kind.exit_code == code


def test_exit_codes_are_part_of_the_interface() -> None:
    """Scripts rely on the numbers."""
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "NOT_UP": 3,
        "NOT_RUNNING": 4,
        "ALREADY_RUNNING": 5,
        "TIMEOUT": 6,
        "GATE_MISSED": 7,
        "ESCALATED": 70,
        "KILLED": 75,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("count", "message"),
    [(1, "the configuration has 1 error"), (2, "the configuration has 2 errors")],
)
def test_a_wrong_configuration_counts_its_errors(count: int, message: str) -> None:
    """All problems are carried along."""
    problems = [Problem(f"launcher.toml:{number}", "wrong") for number in range(count)]
    error = ConfigError(problems)
    assert (error.message, error.problems) == (message, tuple(problems))
