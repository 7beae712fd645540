"""``launcher run``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from launcher.cli.parser import add_project, add_selection, request_from, use_color
from launcher.errors import UsageError

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.epilog = (
        "Nothing that the components depend on is started, nothing is restarted, and no other terminal can control them.\n"
        "It ends when they have ended."
    )
    add_selection(parser)
    add_project(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="leave out the lines of the components")


def run(args: argparse.Namespace) -> int:
    """Run components alone in this process and return the exit code when they have ended."""
    names = [word.partition("=")[0] for word in args.what]
    if not names:
        raise UsageError("no component is named", hint="launcher run NAME, or NAME=module:attribute")
    # The names decide what is run; the declaration as a whole is loaded, so that they are found in it.
    args.what = [word for word in args.what if "=" in word]
    from launcher import bootstrap
    from launcher.hosts.manager import from_environment

    options = bootstrap.UpOptions(
        request_from(args), color=use_color(args, sys.stderr), quiet=args.quiet, manager=from_environment()
    )
    return bootstrap.run(options, names)
