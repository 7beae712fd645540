"""``launcher up``, in the foreground and in the background."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from launcher.cli.parser import add_mode, add_project, add_selection, add_timeout, request_from, use_color
from launcher.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from launcher.config.load import Request


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    from argparse import SUPPRESS

    from launcher.cli.messages import EXIT_CODES

    parser.epilog = EXIT_CODES
    add_selection(parser)
    add_mode(parser)
    add_project(parser)
    add_timeout(parser, "longest duration of stopping the whole backend (launcher.stop_timeout)")
    parser.add_argument(
        "-d", "--detach", action="store_true", help="run in the background; returns when the start is over"
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="a component that fails to start does not stop the others"
    )
    parser.add_argument(
        "--api",
        metavar="PORT",
        help="serve the control interface on 127.0.0.1, too, for those who know its token (launcher.api)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show failures and the summary only")
    # Given by the launcher to the process that it starts in the background.
    parser.add_argument("--attached", action="store_true", help=SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Start the backend and return its exit code when it has ended; in the background, when its start is over."""
    from launcher.hosts.manager import from_environment

    manager = from_environment()
    if args.detach and not args.attached:
        if manager.sockets:
            raise UsageError(
                "a start in the background cannot use the sockets of the service manager",
                hint="leave out --detach: a service manager watches the process that it has started",
            )
        from launcher.cli.detach import start_in_background

        return start_in_background(args)
    from launcher.hosts.guard import guarded

    def backend() -> int:
        # Imported here, so that the guard stays small and nothing is running when it is split off. Imports leave nothing to collect,
        # and looking for it would take a fifth of their time.
        gc.disable()
        from launcher import bootstrap

        gc.enable()
        options = bootstrap.UpOptions(
            up_request(args), color=use_color(args, sys.stderr), quiet=args.quiet, manager=manager
        )
        return bootstrap.up(options)

    return guarded(backend, manager)


def up_request(args: argparse.Namespace) -> Request:
    """Return what to load: the selection, with the flags that stand for values of the declaration."""
    from dataclasses import replace

    request = request_from(args)
    flags = dict(request.flags)
    if args.timeout is not None:
        flags["launcher.stop_timeout"] = f"{args.timeout:g}"
    if args.keep_going:
        flags["launcher.keep_going"] = "true"
    if args.api is not None:
        flags["launcher.api"] = args.api
    return replace(request, flags=flags)
