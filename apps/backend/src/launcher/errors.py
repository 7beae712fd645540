"""Everything that can go wrong in a way the user can understand and act on.

An error has a message (what failed and why), an optional hint (what to do) and the exit code that the command line ends with.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


@unique
class ExitCode(IntEnum):
    """The exit codes of the ``launcher`` command; part of its interface."""

    OK = 0
    """The command did what was asked; for ``up``: the backend was stopped in order."""
    FAILED = 1
    """A component failed for good, or a command could not be carried out."""
    USAGE = 2
    """The command line or the configuration is wrong; nothing was started."""
    NOT_UP = 3
    """``status``: a component that is wanted up is not up."""
    NOT_RUNNING = 4
    """No launcher is running for this project."""
    ALREADY_RUNNING = 5
    """``up``: a launcher is already running for this project."""
    TIMEOUT = 6
    """A state was not reached within the time given."""
    GATE_MISSED = 7
    """``compare``: a gate was missed, or the figures were too noisy to show that it is met."""
    ESCALATED = 70
    """A critical component failed for good and the backend was stopped (``EX_SOFTWARE``: a service manager should act)."""
    KILLED = 75
    """The backend was stopped, but something ignored the stop and had to be killed (``EX_TEMPFAIL``)."""
    INTERRUPTED = 130
    """A second Ctrl-C killed what was still stopping (128 + SIGINT)."""


class LauncherError(Exception):
    """Base of all errors that are shown to the user as one message and a hint, without a traceback.

    Attributes:
        hint: what the user can do about it; empty when there is nothing better than the message.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def message(self) -> str:
        """The one-line statement of what failed and why."""
        return str(self.args[0])


class UsageError(LauncherError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class Problem(NamedTuple):
    """One thing that is wrong with a declaration.

    Attributes:
        where: file and key path, such as ``launcher.toml:12: components.api.port``.
        what: what is wrong there.
        hint: what to write instead; may be empty.
    """

    where: str
    what: str
    hint: str = ""


class ConfigError(LauncherError):
    """The declaration is invalid; carries *all* problems found in one run."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"the configuration has {count} error{'s' if count != 1 else ''}")
        self.problems = tuple(problems)


class BindFailed(LauncherError):
    """A socket could not be bound before the start."""


class NotRunning(LauncherError):
    """There is no launcher to talk to."""

    exit_code = ExitCode.NOT_RUNNING


class AlreadyRunning(LauncherError):
    """A launcher for the same project is running."""

    exit_code = ExitCode.ALREADY_RUNNING


class WaitTimeout(LauncherError):
    """A component did not reach the wanted state in time."""

    exit_code = ExitCode.TIMEOUT


class RunDirectoryError(LauncherError):
    """The run or log directory cannot be used."""


class CommandFailed(LauncherError):
    """The running launcher refused or could not carry out a command."""


class ConnectionLost(CommandFailed):
    """The launcher ended before it had answered."""


class UnknownComponent(LauncherError):
    """A command names a component that the plan does not have."""

    exit_code = ExitCode.USAGE
