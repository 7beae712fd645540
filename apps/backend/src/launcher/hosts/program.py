"""Whether a command can be started at all, and what to do when it cannot."""

from __future__ import annotations

import difflib
import errno
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from launcher.model.state import Exit, ExitKind

SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"})
"""Words that only a shell gives a meaning to."""

SHELL_BUILTINS = frozenset({"cd", "export", "source", ".", "exec", "eval", "set", "ulimit", "umask"})
"""Commands that only exist within a shell."""


def refusal(argv: Sequence[str], directory: str, environment: Mapping[str, str]) -> Exit | None:
    """Return why a command cannot be started, as far as that can be seen beforehand; nothing when it can."""
    if not argv or not argv[0]:
        return _unstartable("the command is empty", "set `command`")
    if not Path(directory).is_dir():
        what = "is not a directory" if Path(directory).exists() else "does not exist"
        return _unstartable(f"its directory {directory} {what}", "set `directory`, or create it")
    words = [word for word in argv if word in SHELL_WORDS]
    if words:
        return _unstartable(f"{words[0]!r} means nothing without a shell", _shell_hint(argv))
    if os.sep in argv[0]:
        return _refused_path(argv, Path(directory, argv[0]))
    if shutil.which(argv[0], path=environment.get("PATH", os.defpath)) is None:
        return _unstartable(f"command not found: {argv[0]}", _not_found_hint(argv, directory, environment))
    return None


def failure(argv: Sequence[str], directory: str, error: OSError) -> Exit:
    """Return the exit for a program that the system refused to execute."""
    if error.errno == errno.ENOEXEC:
        return _unstartable(
            f"{argv[0]} is not a program for this system", "a script needs a first line such as #!/bin/sh"
        )
    if error.errno == errno.ENOENT:
        return _unstartable(
            f"{argv[0]} cannot be executed: its interpreter does not exist",
            _interpreter_of(Path(directory, argv[0])),
        )
    if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
        return Exit(ExitKind.RAISED, f"cannot start a process: {error.strerror}")
    return _unstartable(f"{argv[0]} cannot be executed: {error.strerror or error}")


def _refused_path(argv: Sequence[str], path: Path) -> Exit | None:
    if not path.exists():
        return _unstartable(f"command not found: {path}", _similar(path.name, _names_in([str(path.parent)])))
    if path.is_dir():
        return _unstartable(f"{path} is a directory", "name the program in it")
    if not os.access(path, os.X_OK):
        hint = f"chmod +x {shlex.quote(str(path))}"
        if path.suffix == ".py":
            hint += f", or run it as: python {shlex.join(argv)}"
        return _unstartable(f"{path} is not executable", hint)
    return None


def _not_found_hint(argv: Sequence[str], directory: str, environment: Mapping[str, str]) -> str:
    name = argv[0]
    if name in SHELL_BUILTINS:
        return _shell_hint(argv)
    if any(each.isspace() for each in name):
        return "the first word of the command is the program alone; write its arguments as words of their own"
    if Path(directory, name).is_file():
        return f"{name} lies in {directory}: write ./{name}"
    names = _names_in(environment.get("PATH", os.defpath).split(os.pathsep))
    return _similar(name, names) or "install it, or give its path"


def _shell_hint(argv: Sequence[str]) -> str:
    return f'use a shell: command = ["sh", "-c", "{" ".join(argv)}"]'


def _names_in(directories: Sequence[str]) -> list[str]:
    names: list[str] = []
    for directory in directories:
        try:
            names += [entry.name for entry in Path(directory or ".").iterdir()]
        except OSError:
            continue
    return names


def _similar(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return f"did you mean {close[0]}?" if close else ""


def _interpreter_of(program: Path) -> str:
    try:
        with program.open("rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    return f"its first line is {first.decode(errors='replace').strip()}" if first.startswith(b"#!") else ""


def _unstartable(message: str, hint: str = "") -> Exit:
    return Exit(ExitKind.UNSTARTABLE, message, hint=hint)
