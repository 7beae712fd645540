"""``launcher events``."""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from launcher.cli.messages import say
from launcher.cli.parser import add_output, paths_from, split_commas
from launcher.client import Client
from launcher.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="components with all their replicas, entries of agents, or wildcards (default: all)",
    )
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on as things happen, also when the launcher is restarted, until Ctrl-C or until it has ended",
    )
    parser.add_argument(
        "--since",
        default="",
        metavar="ID",
        help="only what came after the event with this id, or now (default: all that the launcher still knows)",
    )
    parser.add_argument(
        "--file", metavar="FILE", help="the declaration (here without a short form: -f follows)"
    )
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Show what has happened and, if asked, what happens."""
    client = Client(paths_from(args).socket)
    with contextlib.suppress(KeyboardInterrupt):
        for told in client.events(split_commas(args.names), since=args.since, follow=args.follow):
            if args.output == "json":
                shown = told.document if told.kind == "transition" else {told.kind: told.document}
                sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
            elif told.kind == "transition":
                sys.stdout.write(transition_line(told.document) + "\n")
            else:
                say(gap_line(told.document))
            if args.follow:
                sys.stdout.flush()
    return ExitCode.OK


def transition_line(document: dict[str, Any]) -> str:
    """Return a ``TransitionDocument`` as one line."""
    at = datetime.fromisoformat(document["time"]).astimezone()
    change = f"{document['before']} -> {document['after']}"
    if document["role"] != "current":
        change = f"{document['role']}, {document['event']}"
    ended = document["exit"]["message"] if document["exit"] else ""
    details = "; ".join(dict.fromkeys(text for text in (document["reason"], ended) if text))
    return (
        f"{at:%H:%M:%S}.{at.microsecond // 1000:03}  {document['component']}#{document['incarnation']}  {change}"
        + (f"  ({details})" if details else "")
    )


def gap_line(document: dict[str, Any]) -> str:
    """Return a ``GapDocument`` as one line."""
    missing = document["missing"]
    what = "events are missing here" if missing is None else f"{missing} events are missing here"
    return f"{what}: {document['reason']}"
