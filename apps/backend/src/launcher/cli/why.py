"""``launcher why``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from launcher.cli.parser import add_output, add_project, paths_from
from launcher.client import Client
from launcher.core.names import selected
from launcher.observe.text import safe

if TYPE_CHECKING:
    import argparse

    from launcher.web.explanations import WhyDocument


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="components, entries or wildcards; none for all that are not as they are wanted",
    )
    parser.epilog = "The first sentence tells the root cause."
    add_project(parser)
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Say why components are as they are."""
    client = Client(paths_from(args).socket)
    status = client.status(look=not args.names)
    names = selected(args.names, [item["name"] for item in status["components"]])
    if not args.names:
        from launcher.cli.render import amiss

        names = amiss(status)
    explanations = [client.why(name) for name in names]
    if args.output == "json":
        text = json.dumps({"components": explanations}, indent=2, ensure_ascii=False)
    elif not explanations:
        text = "everything is as it is wanted"
    else:
        text = "\n\n".join("\n".join(_lines(each)) for each in explanations)
    sys.stdout.write(f"{text}\n")
    return 0


def _lines(explanation: WhyDocument) -> list[str]:
    """Return the sentences, those after the first one indented."""
    cause, *details = (safe(line.replace("\n", " "), color=False) for line in explanation["lines"])
    return [cause, *(f"  {line}" for line in details)]
