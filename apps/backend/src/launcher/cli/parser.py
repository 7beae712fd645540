"""Arguments that several commands share, and how they become values."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from launcher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from launcher.config.load import Request
    from launcher.config.locate import RunPaths

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are errors like all others."""

    def __init__(self, prog: str, usage: str | None = None, description: str = "", epilog: str = "") -> None:
        """Make a parser that leaves the line breaks of its texts alone and takes no abbreviated options."""
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what would otherwise end the process."""
        raise UsageError(message, hint=f"{self.prog} --help")


def add_project(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes."""
    parser.add_argument(
        "-f",
        "--file",
        metavar="FILE",
        help="the declaration (default: launcher.toml or pyproject.toml, upwards from here)",
    )
    parser.add_argument("--no-color", action="store_true", help="no colours (as NO_COLOR in the environment)")


def add_output(parser: argparse.ArgumentParser, text: str = "table") -> None:
    """Add ``-o``."""
    parser.add_argument(
        "-o", "--output", choices=(text, "json"), default=text, help=f"format of the output (default: {text})"
    )


def add_timeout(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add ``-t``."""
    parser.add_argument("-t", "--timeout", type=seconds, metavar="SECONDS", help=meaning)


def add_mode(parser: argparse.ArgumentParser) -> None:
    """Add what decides about processes."""
    parser.add_argument(
        "--mode", choices=("single", "multi", "groups", "auto"), help="one process, or one for each component"
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add what decides about what is run."""
    parser.add_argument(
        "what",
        nargs="*",
        metavar="NAME | NAME=TARGET",
        help="components to run with what they need (names, groups, wildcards), or components declared right here, such as api=api.main:app",
    )
    parser.add_argument(
        "--profile", action="append", default=[], metavar="NAME", help="use a profile of the declaration"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAMES", help="the same as naming components"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAMES", help="leave components out"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="KEY=VALUE",
        help="replace one value, such as components.api.port=8001",
    )


def request_from(args: argparse.Namespace) -> Request:
    """Return what to load, from parsed arguments of ``add_project`` and ``add_selection``.

    Raises:
        UsageError: a setting is not ``KEY=VALUE``.
    """
    from launcher.config.load import Request

    what: list[str] = getattr(args, "what", [])
    return Request(
        directory=Path.cwd(),
        file=Path(args.file) if args.file else None,
        pairs=tuple(word for word in what if "=" in word),
        profiles=tuple(split_commas(getattr(args, "profile", []))),
        only=tuple(split_commas([*(word for word in what if "=" not in word), *getattr(args, "only", [])])),
        exclude=tuple(split_commas(getattr(args, "exclude", []))),
        mode=getattr(args, "mode", None),
        flags=dict(_setting(text) for text in getattr(args, "settings", [])),
        environ=dict(os.environ),
        discover_agents=_discover_agents,
    )


def _discover_agents(
    target: str, pythonpath: Sequence[str], directory: str, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Ask an ``AgentLauncher`` for its agents; what that takes is imported only where there is one."""
    from launcher.hosts.discover import discover_agents

    return discover_agents(target, pythonpath, directory, environment)


def paths_from(args: argparse.Namespace) -> RunPaths:
    """Return where the launcher of this project is found.

    Raises:
        ConfigError: the file that was asked for does not exist.
        RunDirectoryError: the run directory that is configured is too long for a socket.
    """
    from launcher.config.locate import locate

    return locate(Path.cwd(), os.environ, Path(args.file) if args.file else None)


def split_commas(values: Iterable[str]) -> list[str]:
    """Return ``["a,b", "c"]`` as ``["a", "b", "c"]``."""
    return [part for value in values for part in value.split(",") if part]


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(
            f'--set takes KEY=VALUE, not "{text}"', hint="for example --set components.api.port=8001"
        )
    return key, value


def seconds(text: str) -> float:
    """Return a duration in seconds: ``30``, ``1.5s``, ``2m``, ``1h``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(number) :] or "s"
    try:
        value = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        value = -1.0
    if not 0 <= value < 1e7:
        raise argparse.ArgumentTypeError(f'"{text}" is no duration (30, 1.5s, 2m, 1h)')
    return value


def use_color(args: argparse.Namespace, stream: IO[str] | None = None) -> bool:
    """Whether to colour what goes to ``stream`` (standard output by default).

    See https://no-color.org for ``NO_COLOR``; ``FORCE_COLOR`` is its opposite.
    """
    if args.no_color or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    chosen = sys.stdout if stream is None else stream
    return chosen is not None and chosen.isatty() and os.environ.get("TERM") != "dumb"
