"""What the command line says on standard error, and how it shows errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from launcher.errors import ConfigError, LauncherError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = """\
exit codes:
  0    done; for up: the backend was stopped in order
  1    a component failed for good, or a command could not be carried out
  2    the command line or the configuration is wrong; nothing was started
  3    status: a component that is wanted up is not up
  4    no launcher is running for this project
  5    up: a launcher is already running for this project
  6    a state was not reached within the time given
  7    compare: a gate was not met
  70   a critical component failed for good and the backend was stopped
  75   the backend was stopped, but something had to be killed
  130  interrupted; for up: a second Ctrl-C killed what was still stopping
"""


def wants_json(argv: Sequence[str]) -> bool:
    """Whether ``-o json`` was asked for, even on a command line that is otherwise wrong."""
    words = list(argv)
    pairs = zip(words, [*words[1:], ""], strict=True)
    return any(
        word in {"-ojson", "--output=json", "-o=json"} or (word in {"-o", "--output"} and following == "json")
        for word, following in pairs
    )


def show_error(error: LauncherError, *, as_json: bool = False) -> int:
    """Show an error and return its exit code: as text on standard error, or as a document on standard output."""
    if as_json:
        import json

        from launcher.documents import error_document

        sys.stdout.write(json.dumps(error_document(error), indent=2) + "\n")
        return error.exit_code
    from launcher.cli.render import problem_lines

    lines = [f"error: {error.message}"]
    if isinstance(error, ConfigError):
        lines += problem_lines(error.problems)
    if error.hint:
        lines.append(f"hint: {error.hint}")
    say("\n".join(lines))
    return error.exit_code


def say(text: str) -> None:
    """Write a message to standard error; one that cannot be written is lost, and that is all."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
