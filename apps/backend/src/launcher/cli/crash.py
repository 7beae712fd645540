"""``launcher crash``."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from launcher.cli.parser import add_output, add_project, paths_from, split_commas
from launcher.cli.render import table
from launcher.errors import ExitCode, UsageError
from launcher.observe.crashes import crash_dir, read, reports
from launcher.observe.text import duration, safe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Report = dict[str, Any]


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="components, each with its latest crash in full (default: list the crashes of all)",
    )
    parser.add_argument(
        "-n",
        "--count",
        type=int,
        default=1,
        metavar="COUNT",
        help="how many crashes of each component (default: 1)",
    )
    add_project(parser)
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Show the crashes of components, whether a launcher runs or not."""
    if args.count < 1:
        raise UsageError(f"-n takes a number from 1, not {args.count}", hint="for example -n 3")
    directory = crash_dir(paths_from(args).run_dir)
    names = split_commas(args.names)
    found = _named(directory, names, args.count) if names else _read(reports(directory))
    if args.output == "json":
        text = json.dumps(found, indent=2, ensure_ascii=False)
    elif names:
        text = "\n\n".join("\n".join(_in_full(report)) for report in found)
    else:
        text = "\n".join(_listed(found))
    sys.stdout.write(f"{text}\n")
    return ExitCode.OK


def _named(directory: Path, names: Sequence[str], count: int) -> list[Report]:
    """Return the latest crashes of each component, oldest first.

    Raises:
        UsageError: one of them has none.
    """
    found: list[Report] = []
    for name in names:
        own = _read(reports(directory, name)[:count])
        if not own:
            from launcher.core.suggest import did_you_mean

            others = sorted({path.name.partition("@")[0] for path in reports(directory)})
            raise UsageError(f"there is no crash of {name}", hint=did_you_mean(name, others))
        found += reversed(own)
    return found


def _read(paths: Sequence[Path]) -> list[Report]:
    return [report for path in paths if (report := read(path)) is not None]


def _listed(found: Sequence[Report]) -> list[str]:
    if not found:
        return ["nothing has crashed"]
    header = ["TIME", "COMPONENT", "INCARNATION", "AFTER", "WHAT"]
    rows = [
        [
            _when(report),
            report["component"],
            str(report["incarnation"]),
            _uptime(report),
            report["exit"]["message"],
        ]
        for report in found
    ]
    return table(header, rows)


def _in_full(report: Report) -> Iterator[str]:
    ended = report["exit"]
    shown = {
        "incarnation": f"{report['incarnation']}, after {_uptime(report)}, restarts so far: {report['restarts']}",
        "ended": f"{_when(report)}, {report['before']} -> {report['after']}",
        "why": ended["message"],
        "hint": ended["hint"],
        "used": _used(report["resources"]),
    }
    yield f"crash of {report['component']}"
    for what, told in shown.items():
        if told:
            yield f"  {what:<11}  {safe(told, color=False)}"
    if report["traceback"]:
        yield from ("  traceback:", *_indented(report["traceback"]))
    if report["lines"]:
        yield "  last lines:"
        for line in report["lines"]:
            level = f"{line['level']} " if line["level"] else ""
            yield from _indented(f"{_clock(line['time'])} {level}{line['message']}")


def _indented(text: str) -> Iterator[str]:
    return (f"    {safe(line, color=False)}" for line in text.rstrip("\n").split("\n"))


def _used(resources: Mapping[str, Any] | None) -> str:
    if resources is None:
        return ""
    cpu = f"CPU {resources['user_seconds'] + resources['system_seconds']:.2f} s"
    memory = f"at most {resources['peak_memory_bytes'] / 2**20:.0f} MiB of memory"
    faults = f"page faults {resources['minor_faults']} and {resources['major_faults']} with reading"
    whose = "" if resources["of"] == "process" else " (all of the process that it shared)"
    return f"{cpu}, {memory}, {faults}{whose}"


def _uptime(report: Report) -> str:
    return "-" if report["uptime"] is None else duration(report["uptime"])


def _when(report: Report) -> str:
    return f"{datetime.fromisoformat(report['time']).astimezone():%Y-%m-%d %H:%M:%S}"


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="milliseconds")[11:23]
