"""``launcher config``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from launcher.cli.parser import add_mode, add_output, add_project, add_selection, request_from
from launcher.errors import ExitCode
from launcher.observe.text import pad, width

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launcher.config.origins import Origin

WIDEST = 60
"""Columns beyond which a value does not push the places of the others to the right."""


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    add_selection(parser)
    add_mode(parser)
    add_project(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--origins", action="store_true", help="say for each value where it came from")
    what.add_argument("--schema", action="store_true", help="print the JSON schema of launcher.toml instead")
    what.add_argument(
        "--reference", action="store_true", help="print the reference of all keys (Markdown) instead"
    )
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Show every value in force, or what values there can be."""
    sys.stdout.write(_text(args).rstrip("\n") + "\n")
    return ExitCode.OK


def _text(args: argparse.Namespace) -> str:
    if args.schema:
        from launcher.config.schema import json_schema

        return json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if args.reference:
        from launcher.config.reference import reference

        return json.dumps({"reference": reference()}) if args.output == "json" else reference()
    from launcher.config.load import load

    loaded = load(request_from(args))
    if args.output == "json":
        document = {
            "source": loaded.spec.source,
            "values": [
                {"key": origin.key, "value": origin.value, "source": origin.source}
                for origin in loaded.origins
            ],
        }
        return json.dumps(document, indent=2, ensure_ascii=False)
    return "\n".join(value_lines(loaded.origins, origins=args.origins))


def value_lines(values: Sequence[Origin], *, origins: bool) -> list[str]:
    """Return one line per value, as TOML, with where it came from as a comment if asked."""
    lines = [f"{value.key} = {value.value}" for value in values]
    if not origins:
        return lines
    columns = max((width(line) for line in lines if width(line) <= WIDEST), default=0)
    return [f"{pad(line, columns)}  # {value.source}" for line, value in zip(lines, values, strict=True)]
