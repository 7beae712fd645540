"""``launcher start``, ``stop`` and ``restart``."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, TypeAlias

from launcher.cli.messages import say, show_error
from launcher.cli.parser import add_output, add_project, add_timeout, paths_from, split_commas
from launcher.cli.render import component_line
from launcher.client import Client
from launcher.core.names import selected
from launcher.core.replicas import declared_name
from launcher.errors import CommandFailed, ExitCode, LauncherError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from launcher.documents import ComponentDocument

    Outcome: TypeAlias = "list[ComponentDocument] | LauncherError"

REACHED = {"start": "is ready", "stop": "has stopped", "restart": "is ready again"}


def configure(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="components, each with all its replicas; wildcards such as 'agents.*', or the name of an entry of agents",
    )
    if verb == "restart":
        parser.epilog = (
            "Replicas of one component are restarted one after the other; the first failure ends it."
        )
    add_project(parser)
    add_timeout(parser, f"longest wait until each {REACHED[verb]} (default: what its declaration allows)")
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Carry out the command on all components at once, on replicas to be restarted one by one, and wait for each."""
    client = Client(paths_from(args).socket)
    known = [item["name"] for item in client.status()["components"]]
    names = selected(split_commas(args.names), known)

    def command(name: str) -> list[ComponentDocument]:
        return [getattr(client, args.verb)(name, args.timeout)]

    rows: dict[str, list[str]] = {}
    for name in names:
        rows.setdefault(declared_name(name, known) if args.verb == "restart" else name, []).append(name)
    return report(carry_out(list(rows.values()), command), as_json=args.output == "json")


def carry_out(
    rows: Sequence[Sequence[str]], command: Callable[[str], list[ComponentDocument]]
) -> list[Outcome]:
    """Carry out a command on the names of each row one after the other, up to the first failure, and on all rows at once."""
    results: dict[str, Outcome] = {}

    def work(row: Sequence[str]) -> None:
        for place, name in enumerate(row):
            try:
                results[name] = command(name)
            except LauncherError as error:
                results[name] = error
                if rest := row[place + 1 :]:
                    results[rest[0]] = CommandFailed(
                        f"left as {'it was' if len(rest) == 1 else 'they were'}, since {name} failed: {', '.join(rest)}"
                    )
                return

    threads = [threading.Thread(target=work, args=(row,), daemon=True) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[name] for row in rows for name in row if name in results]


def report(results: Sequence[Outcome], *, as_json: bool) -> int:
    """Print what was reached and what was not; return the exit code."""
    errors = [result for result in results if isinstance(result, LauncherError)]
    done = [item for result in results if not isinstance(result, LauncherError) for item in result]
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
