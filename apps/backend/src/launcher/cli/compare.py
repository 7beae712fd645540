"""``launcher compare``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from launcher.cli.messages import say
from launcher.cli.parser import add_output, add_project, add_selection, paths_from, request_from, seconds
from launcher.errors import ExitCode, LauncherError, UsageError

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from launcher.compare.plan import Comparison
    from launcher.compare.report import Report


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.epilog = (
        "Takes the same selection as launcher up. Ends with 7 when a gate is not met, and with 1 when the backend does not start in a mode.\n"
        "A launcher that runs for the project is left alone, but its ports must be free."
    )
    add_selection(parser)
    add_project(parser)
    add_output(parser)
    parser.add_argument(
        "--modes", default="single,multi", metavar="MODES", help="what to compare (default: single,multi)"
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=3,
        metavar="N",
        help="runs of each mode that count (default: 3); one more warms up",
    )
    parser.add_argument(
        "--settle",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="how long the backend is left alone, and then CPU at rest counted for as long (default: 2); give it a whole round of what the backend does by itself",
    )
    parser.add_argument(
        "--load", default="", metavar="COMMAND", help="a program to run while the backend is up; no shell"
    )
    parser.add_argument(
        "--request",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="what to ask ASGI components for, or one of them (default: the path of its readiness, else /)",
    )
    parser.add_argument("--no-blast", action="store_true", help="kill nothing to see who notices")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with charts")
    parser.add_argument(
        "--gate",
        nargs="?",
        const="",
        metavar="FIGURE=RATIO,…",
        help="end with 7 unless single takes at most this share of multi (default: memory=0.7,cpu=0.7)",
    )


def run(args: argparse.Namespace) -> int:
    """Compare the modes; whatever becomes of this process, nothing that it started is left."""
    comparison = _comparison(args)
    if args.html is not None and not args.html.absolute().parent.is_dir():
        raise UsageError(f"cannot write {args.html}: there is no such directory", hint="make it first")
    from launcher.hosts.guard import guarded

    return guarded(lambda: _compared(args, comparison))


def _comparison(args: argparse.Namespace) -> Comparison:
    from launcher.compare.plan import Comparison, checked, gates_from, load_from, modes_from, requests_from

    return checked(
        Comparison(
            modes=modes_from(args.modes),
            runs=args.runs,
            settle=args.settle,
            load=load_from(args.load),
            requests=requests_from(args.request),
            gates=() if args.gate is None else gates_from(args.gate),
            blast=not args.no_blast,
        )
    )


def _compared(args: argparse.Namespace, comparison: Comparison) -> int:
    from launcher.compare.session import compare
    from launcher.compare.verdict import missed

    _unwind_when_terminated()
    found = compare(request_from(args), up_words(args), comparison, paths_from(args).socket, say)
    if args.html is not None:
        _write_page(found, args.html)
    sys.stdout.write(_text(found, as_json=args.output == "json") + "\n")
    return ExitCode.GATE_MISSED if missed(found.judgements) else ExitCode.OK


def _unwind_when_terminated() -> None:
    """Let a request to end stop the backend in order, as Ctrl-C does."""
    import signal

    def end(_signum: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def up_words(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the selection as words for ``launcher up``."""
    words: list[str] = list(args.what)
    for option in ("profile", "only", "exclude"):
        words += [f"--{option}={value}" for value in getattr(args, option)]
    words += [f"--set={setting}" for setting in args.settings]
    return (*words, f"--file={args.file}") if args.file else tuple(words)


def _text(found: Report, *, as_json: bool) -> str:
    from launcher.compare.report import caption, document, tables

    if as_json:
        return json.dumps(document(found), indent=2, ensure_ascii=False)
    from launcher.cli.render import table

    lines: list[str] = []
    for part in tables(found):
        lines += [*([part.title] if part.title else []), *table(part.header, part.rows), ""]
    return "\n".join([*lines, *caption(found), *(f"note: {note}" for note in found.findings.notes)])


def _write_page(found: Report, path: Path) -> None:
    from launcher.compare.page import page

    try:
        path.write_text(page(found), encoding="utf-8")
    except OSError as error:
        raise LauncherError(
            f"cannot write {path}: {error.strerror or error}", hint="choose another file"
        ) from error
    say(f"page: {path}")
