"""``launcher wait``."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from launcher.cli.messages import say
from launcher.cli.parser import add_output, add_project, add_timeout, paths_from
from launcher.client import Client
from launcher.core.names import selected
from launcher.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "name",
        nargs="?",
        default="",
        metavar="NAME",
        help="the component, with all its replicas; none for the whole backend",
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


def _waited(
    client: Client, names: Sequence[str], condition: str, timeout: float | None
) -> Iterator[dict[str, Any]]:
    """Wait for one after the other; the time to wait is for all together."""
    began = time.monotonic()
    for name in names:
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
        yield client.wait(name, condition, left)


def run(args: argparse.Namespace) -> int:
    """Wait for a condition."""
    condition = args.condition or ("ready" if args.name else "settled")
    if not args.name and condition != "settled":
        raise UsageError(
            f"cannot wait for {condition}: no component is named",
            hint="launcher wait NAME --for " + condition,
        )
    client = Client(paths_from(args).socket)
    names = [args.name]
    if args.name and client.component(args.name)["replicas"] > 1:
        names = selected(names, [item["name"] for item in client.status()["components"]])
    documents = list(_waited(client, names, condition, args.timeout))
    if args.output == "json":
        shown = documents if len(documents) > 1 else documents[0]
        sys.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.OK
    for document in documents:
        say(f"{document['name']} is {document.get('phase') or document['launcher']['state']}")
    return ExitCode.OK
