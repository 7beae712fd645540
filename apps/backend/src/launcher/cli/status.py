"""``launcher status``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

from launcher.cli.parser import add_output, add_project, paths_from, use_color
from launcher.cli.render import not_up, status_lines
from launcher.client import Client
from launcher.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.epilog = (
        "Ends with 3 when a component that is wanted up is not ready, and with 4 when no launcher is running.\n"
        "CPU is in percent of one core, since somebody looked last. Columns that do not fit are left out; -o json has everything."
    )
    parser.add_argument(
        "-w",
        "--watch",
        action="store_true",
        help="show it again and again until Ctrl-C; into a pipe or file, whenever something has changed",
    )
    parser.add_argument(
        "-a",
        "--all",
        action="store_true",
        help="show every launcher that keeps its state in the same store, on all machines",
    )
    add_project(parser)
    add_output(parser)


def run(args: argparse.Namespace) -> int:
    """Show every component and dependency, or every launcher."""
    if args.all:
        from launcher.cli.launchers import show_all

        return show_all(args)
    client = Client(paths_from(args).socket)
    if args.watch:
        from launcher.cli.watch import watch

        return watch(client, as_json=args.output == "json", color=use_color(args))
    status = client.status(look=True)
    if args.output == "json":
        text = json.dumps(status, indent=2, ensure_ascii=False)
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _told_columns()
        text = "\n".join(status_lines(status, color=use_color(args), columns=columns))
    sys.stdout.write(f"{text}\n")
    return ExitCode.NOT_UP if not_up(status) else ExitCode.OK


def _told_columns() -> int | None:
    """Return the width that somebody wants although no terminal shows it; none for no limit."""
    told = os.environ.get("COLUMNS", "")
    return int(told) if told.isdecimal() and int(told) else None
