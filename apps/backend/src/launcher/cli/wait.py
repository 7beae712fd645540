"""``launcher wait``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from launcher.cli.messages import say
from launcher.cli.parser import add_output, add_project, add_timeout, paths_from
from launcher.client import Client
from launcher.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="the component; none for the whole backend"
    )
    parser.add_argument(
        "--for",
        dest="condition",
        choices=("ready", "stopped", "completed", "settled"),
        help="what to wait for (default: ready; without NAME: settled, the start of the whole backend is over)",
    )
    add_project(parser)
    add_timeout(parser, "longest wait (default: what the declaration allows); ends with 6 after it")
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Wait for a condition."""
    condition = args.condition or ("ready" if args.name else "settled")
    if not args.name and condition != "settled":
        raise UsageError(
            f"cannot wait for {condition}: no component is named",
            hint="launcher wait NAME --for " + condition,
        )
    document = Client(paths_from(args).socket).wait(args.name, condition, args.timeout)
    if args.output == "json":
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        say(f"{document['name']} is {document.get('phase') or document['launcher']['state']}")
    return ExitCode.OK
