"""``launcher start``, ``stop`` and ``restart``."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING

from launcher.cli.messages import say, show_error
from launcher.cli.parser import add_output, add_project, add_timeout, paths_from, split_commas
from launcher.cli.render import component_line
from launcher.client import Client
from launcher.core.names import selected
from launcher.errors import ExitCode, LauncherError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launcher.documents import ComponentDocument

REACHED = {"start": "is ready", "stop": "has stopped", "restart": "is ready again"}


def configure(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="components; wildcards such as 'agents.*', or the name of an entry of agents",
    )
    add_project(parser)
    add_timeout(parser, f"longest wait until each {REACHED[verb]} (default: what its declaration allows)")
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Carry out the command on all components at once and wait for each."""
    client = Client(paths_from(args).socket)
    names = selected(split_commas(args.names), [item["name"] for item in client.status()["components"]])
    results: dict[str, ComponentDocument | LauncherError] = {}

    def command(name: str) -> None:
        try:
            results[name] = getattr(client, args.verb)(name, args.timeout)
        except LauncherError as error:
            results[name] = error

    threads = [threading.Thread(target=command, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _report([results[name] for name in names], as_json=args.output == "json")


def _report(results: Sequence[ComponentDocument | LauncherError], *, as_json: bool) -> int:
    errors = [result for result in results if isinstance(result, LauncherError)]
    done = [result for result in results if not isinstance(result, LauncherError)]
    if as_json:
        if errors:
            return show_error(errors[0], as_json=True)
        sys.stdout.write(json.dumps(done, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.OK
    for item in done:
        say(component_line(item))
    for error in errors:
        show_error(error)
    return errors[0].exit_code if errors else ExitCode.OK
