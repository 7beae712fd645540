"""``launcher scale``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.cli.control import carry_out, report
from launcher.cli.parser import add_output, add_project, add_timeout, paths_from
from launcher.client import Client
from launcher.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launcher.documents import ComponentDocument

EXAMPLE = "for example: launcher scale api=4"


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.epilog = (
        "The number holds until the launcher ends; write `replicas` into the declaration to keep it."
    )
    parser.add_argument(
        "what",
        nargs="+",
        metavar="NAME=N",
        help="component and number of replicas; or the two as words: NAME N",
    )
    add_project(parser)
    add_timeout(
        parser,
        "longest wait until new replicas are ready and others are gone (default: what the declaration allows)",
    )
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Scale all components at once and wait for each."""
    numbers = wanted(args.what)
    client = Client(paths_from(args).socket)

    def scale(name: str) -> list[ComponentDocument]:
        return client.scale(name, numbers[name], args.timeout)

    return report(carry_out([[name] for name in numbers], scale), as_json=args.output == "json")


def wanted(words: Sequence[str]) -> dict[str, int]:
    """Return the number of replicas by component, from ``NAME=N …`` or ``NAME N``.

    Raises:
        UsageError: it is neither, or a component is named twice.
    """
    if len(words) == 2 and not any("=" in word for word in words):
        words = ["=".join(words)]
    numbers: dict[str, int] = {}
    for word in words:
        name, _, text = word.partition("=")
        if not name or not text:
            raise UsageError(f'scale takes NAME=N, not "{word}"', hint=EXAMPLE)
        if name in numbers:
            raise UsageError(f"{name} is named twice", hint="one number for each component")
        try:
            numbers[name] = int(text)
        except ValueError:
            raise UsageError(f'"{text}" is no number of replicas of {name}', hint=EXAMPLE) from None
    return numbers
