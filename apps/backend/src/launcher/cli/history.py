"""``launcher history``."""

from __future__ import annotations

import json
import sys
import time
from fnmatch import fnmatchcase
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from launcher.cli.logs import moment as meant
from launcher.cli.messages import say
from launcher.cli.parser import add_output, add_project, paths_from, split_commas, use_color
from launcher.cli.render import PHASE_COLOURS
from launcher.cli.store import in_memory, reading, state_from, this_launcher
from launcher.client import Client
from launcher.errors import ExitCode, NotRunning, UsageError
from launcher.observe.text import coloured, pad, safe, width
from launcher.records import moment, record_document
from launcher.stores.base import told

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

DEFAULT_COUNT = 100

KEEP = '[state] url = "sqlite:///.launcher/state.db"'
"""What to write to have more than memory."""

Transition = dict[str, Any]


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.epilog = (
        "Where [state] url names a file or a Redis server, transitions of earlier runs are shown, too, whether a launcher runs or not.\n"
        "With -o json there is one object per line."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="components (default: all); an entry stands for all its agents",
    )
    parser.add_argument(
        "-n",
        "--lines",
        default=str(DEFAULT_COUNT),
        metavar="COUNT",
        help=f"how many transitions, or all (default: {DEFAULT_COUNT})",
    )
    parser.add_argument(
        "--since",
        default="",
        metavar="WHEN",
        help="only transitions from then on: 10m ago, 14:30, or 2026-01-31T14:30",
    )
    add_project(parser)
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Show the last transitions, oldest first."""
    count = count_from(args.lines)
    start = meant(args.since, time.time()) if args.since else 0.0
    names = split_commas(args.names)
    state = state_from(args)
    if in_memory(state):
        found = chosen(reversed(_of_running(args)), names, start, count)
    else:
        with reading(state) as store:
            documents = map(record_document, told(store.records(this_launcher(args, state))))
            found = chosen(documents, names, start, count)
    if not found:
        say(f"nothing is known of {', '.join(names) or 'any component'}" + (" since then" if start else ""))
    lines = map(_json, found) if args.output == "json" else history_lines(found, color=use_color(args))
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return ExitCode.OK


def _of_running(args: argparse.Namespace) -> list[Transition]:
    """Return what the running launcher knows, and say that it is no more than that."""
    try:
        known = Client(paths_from(args).socket).history()
    except NotRunning:
        raise NotRunning(
            "no launcher is running, and the state was kept in its memory", hint=f"to keep it: {KEEP}"
        ) from None
    say(
        f"these are the transitions of the running launcher only (hint: to keep those of earlier ones, too: {KEEP})"
    )
    return known


def chosen(
    newest_first: Iterable[Transition], names: Sequence[str], start: float, count: int | None
) -> list[Transition]:
    """Return the last transitions that are asked for, oldest first; gaps are part of them, whatever they swallowed.

    Args:
        newest_first: all transitions; no more are taken than needed.
        names: of components, entries or replicated components, or wildcards; none for all.
        start: seconds since the epoch; what was before is left out.
        count: how many at most; ``None`` for all.
    """
    late = takewhile(lambda each: moment(each) >= start, newest_first) if start else newest_first
    wanted = (
        each for each in late if not names or "gap" in each or _matches(each.get("component", ""), names)
    )
    return list(islice(wanted, count))[::-1]


def _matches(component: str, names: Sequence[str]) -> bool:
    return any(
        component == name or component.startswith(f"{name}.") or fnmatchcase(component, name)
        for name in names
    )


def count_from(text: str) -> int | None:
    """Return the number that ``-n`` means; ``None`` for all.

    Raises:
        UsageError: it is none.
    """
    if text == "all":
        return None
    if not text.isdecimal():
        raise UsageError(f'-n takes a number or all, not "{text}"', hint="for example -n 50")
    return int(text)


def _json(document: Transition) -> str:
    return json.dumps(document, ensure_ascii=False)


def history_lines(found: Sequence[Transition], *, color: bool = False) -> list[str]:
    """Return one line per transition, and one before each run of the launcher."""
    columns = max((width(_name(each)) for each in found), default=0)
    lines, run = [], None
    for each in found:
        if each.get("run") != run:
            run = each.get("run", 0)
            lines.append(f"{_clock(run / 1000)}  the launcher started")
        lines.append(_line(each, columns, color=color))
    return lines


def _line(each: Transition, columns: int, *, color: bool) -> str:
    front = f"{_clock(moment(each))}  "
    if "gap" in each:
        first, last = map(int, each["gap"])
        count = last - first + 1
        lost = (
            f"{count} transition{'s were' if count != 1 else ' was'} lost: the state store was not reachable"
        )
        return front + (coloured(lost, "33") if color else lost)
    before, after = (_plain(str(each.get(key, ""))) for key in ("before", "after"))
    phase = coloured(after, PHASE_COLOURS.get(after, "")) if color else after
    what = f"{before} -> {phase}" if before != after else phase
    return f"{front}{pad(_name(each), columns)}  {what}{_details(each)}"


def _details(each: Transition) -> str:
    """Return which life it was, and why."""
    role = each.get("role", "current")
    life = "incarnation" if role == "current" else f"{role} incarnation"
    number = f" ({life} {each['incarnation']})" if each.get("incarnation") else ""
    ended = each.get("exit") or {}
    reason = each.get("reason") or ended.get("message", "")
    return number + (f": {_plain(reason)}" if reason and reason != each.get("after") else "")


def _name(each: Transition) -> str:
    return _plain(str(each.get("component", "")))


def _plain(text: str) -> str:
    return safe(text.replace("\n", " "), color=False)


def _clock(at: float) -> str:
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))}.{int(at * 1000) % 1000:03}"
