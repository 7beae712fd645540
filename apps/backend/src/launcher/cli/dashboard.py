"""``launcher dashboard``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from launcher.cli.messages import say
from launcher.cli.parser import add_project, paths_from
from launcher.client import Client

if TYPE_CHECKING:
    import argparse

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Variables of which one is set where a browser can be opened; without a screen, one of the terminal would be found, which runs no page like this."""


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.epilog = "The link logs one browser in, once, within a minute. Needs a launcher with a port for it: launcher up --api PORT."
    add_project(parser)
    parser.add_argument(
        "--print",
        action="store_true",
        help="print the link instead of opening it, as for a browser elsewhere",
    )


def run(args: argparse.Namespace) -> int:
    """Open the dashboard in a browser; where there is none, print the link."""
    link = Client(paths_from(args).socket).login()
    if not args.print and _opened(link["url"]):
        say("opened in your browser")
        return 0
    if not args.print:
        say(f"no browser could be opened; this link works once, within {link['seconds']:g} s")
    sys.stdout.write(f"{link['url']}\n")
    return 0


def _opened(url: str) -> bool:
    """Hand a link to the user's browser; false where there is none."""
    if sys.platform != "darwin" and not any(os.environ.get(name) for name in SCREENS):
        return False
    import webbrowser  # imports much that printing a link does not need

    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
