"""``launcher init``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.cli.messages import say
from launcher.errors import CommandFailed, ExitCode, UsageError

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.add_argument("--stdout", action="store_true", help="print it instead of writing a file")


def run(args: argparse.Namespace) -> int:
    """Write a first declaration for what is found here; a file that exists is never touched."""
    from launcher.config.init import init_text

    path = Path.cwd() / "launcher.toml"
    if not args.stdout and path.exists():
        raise UsageError(
            f"{path.name} exists already and is left alone", hint="launcher init --stdout prints a new one"
        )
    text = init_text(path.parent)
    if args.stdout:
        sys.stdout.write(text)
        return ExitCode.OK
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path.name} exists already and is left alone") from None
    except OSError as error:
        raise CommandFailed(
            f"cannot write {path}: {error.strerror or error}", hint="launcher init --stdout prints it"
        ) from error
    say(f"{path.name} is written; look at it, then: launcher check, launcher up")
    return ExitCode.OK
