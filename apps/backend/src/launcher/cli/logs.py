"""``launcher logs``."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from launcher.cli.messages import say
from launcher.cli.parser import add_output, paths_from, seconds, split_commas, use_color
from launcher.cli.render import log_lines
from launcher.errors import ExitCode, LauncherError, UsageError
from launcher.observe.logs import encode
from launcher.observe.read import Follower, follow, last, logged_components, make_filter
from launcher.observe.text import PALETTE, width

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from launcher.model.logs import LogLine
    from launcher.observe.read import Filter

DEFAULT_LINES = 100


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="components (default: all); an entry of agents stands for its agents",
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on as lines are written, until Ctrl-C"
    )
    parser.add_argument(
        "-n",
        "--lines",
        default=str(DEFAULT_LINES),
        metavar="COUNT",
        help=f"how many lines in all, or all (default: {DEFAULT_LINES})",
    )
    parser.add_argument(
        "--since",
        default="",
        metavar="WHEN",
        help="only lines from then on: 10m ago, 14:30, or 2026-01-31T14:30",
    )
    parser.add_argument(
        "--until",
        default="",
        metavar="WHEN",
        help="only lines up to then, written as for --since; with -f it ends then",
    )
    parser.add_argument("--grep", default="", metavar="REGEX", help="only lines whose message matches")
    parser.add_argument(
        "--level",
        default="",
        metavar="LEVEL",
        help="only lines of this level or above; plain output counts as info",
    )
    parser.add_argument(
        "--no-prefix", action="store_true", help="the messages alone, without time and component"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="the declaration (here without a short form: -f follows)"
    )
    parser.add_argument("--no-color", action="store_true", help="no colours (as NO_COLOR in the environment)")
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Show the last lines and, if asked, those that follow."""
    wanted = _wanted(args, time.time())
    count = _count(args.lines)
    directory = paths_from(args).log_dir
    wanted_names = split_commas(args.names)
    names = _names(directory, wanted_names, args)
    if wanted_names and not names:
        return ExitCode.OK  # what was asked for has written nothing yet
    tail = last(directory, names, count, wanted)
    show = _printer(args, names or logged_components(directory))
    for line in tail.lines:
        show(line)
    if args.follow:
        sys.stdout.flush()
        follower = Follower(directory, names, tail.positions, wanted)
        with contextlib.suppress(KeyboardInterrupt):
            for line in follow(follower, ended=lambda: time.time() > wanted.until):
                show(line)
                sys.stdout.flush()
        follower.close()
    return ExitCode.OK


def _wanted(args: argparse.Namespace, now: float) -> Filter:
    """Return which lines were asked for.

    Raises:
        UsageError: a moment, level or expression is none, or nothing can lie between the two moments.
    """
    since = moment(args.since, now) if args.since else 0.0
    until = moment(args.until, now) if args.until else math.inf
    if until < since:
        raise UsageError(
            f"--until {args.until} is before --since {args.since}", hint="swap them, or leave one out"
        )
    return make_filter(args.level, args.grep, since, until)


def _names(directory: Path, wanted: Sequence[str], args: argparse.Namespace) -> list[str]:
    """Return the components whose logs are meant; while following, one that has none yet may get one.

    Raises:
        UsageError: there is no such log.
    """
    known = logged_components(directory)
    if not known and not args.follow:
        raise UsageError(
            f"there are no logs in {directory}", hint="nothing was started here yet: launcher up"
        )
    names: dict[str, None] = {}
    for text in wanted:
        matching = [
            name for name in known if name == text or name.startswith(f"{text}.") or fnmatchcase(name, text)
        ]
        if not matching and args.follow:
            say(f"there is no log of {text} yet: waiting for it")
            matching = [text]
        elif not matching and text in _declared(args):
            say(f"{text} has written nothing yet")
        elif not matching:
            from launcher.core.suggest import did_you_mean

            raise UsageError(f'there is no log of "{text}"', hint=did_you_mean(text, known))
        names |= dict.fromkeys(matching)
    return list(names)


def _declared(args: argparse.Namespace) -> list[str]:
    """Return the names of the declaration, as far as it can be read."""
    from launcher.cli.parser import request_from
    from launcher.config.load import load

    with contextlib.suppress(LauncherError):
        return [component.name for component in load(request_from(args)).spec.components]
    return []


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise UsageError(f'-n takes a number or all, not "{text}"', hint="for example -n 50")
    return int(text)


def _printer(args: argparse.Namespace, names: Sequence[str]) -> Callable[[LogLine], None]:
    """Return what writes one line the way it was asked for."""
    if args.output == "json":
        return lambda line: _write(encode(line).decode("utf-8"))
    color = use_color(args)
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(names)}
    columns = max(map(width, names), default=0)

    def show(line: LogLine) -> None:
        colour = colours.get(line.component, "2") if color else ""
        _write(log_lines(line, columns, prefix=not args.no_prefix, colour=colour) + "\n")

    return show


def _write(text: str) -> None:
    sys.stdout.write(text)


def moment(text: str, now: float) -> float:
    """Return the moment that ``--since`` or ``--until`` means, in seconds since the epoch.

    Args:
        text: a duration before now (``10m``), a time of today (``14:30``), or a date with or without a time.
        now: seconds since the epoch.

    Raises:
        UsageError: it is none of these.
    """
    import argparse
    from datetime import datetime

    with contextlib.suppress(argparse.ArgumentTypeError):
        return now - seconds(text.removesuffix("ago").rstrip())
    today = datetime.fromtimestamp(now).astimezone()
    for candidate in (text, f"{today:%Y-%m-%d}T{text}"):
        with contextlib.suppress(ValueError):
            return (
                datetime.fromisoformat(candidate)
                .astimezone(None if "+" in candidate else today.tzinfo)
                .timestamp()
            )
    raise UsageError(
        f'"{text}" is no time',
        hint="give a duration (10m), a time (14:30) or a date with a time (2026-01-31T14:30)",
    )
