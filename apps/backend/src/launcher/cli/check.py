"""``launcher check``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from launcher.cli.parser import add_mode, add_output, add_project, add_selection, request_from
from launcher.cli.render import plan_lines
from launcher.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    parser.epilog = "Takes the same selection as launcher up. Ends with 2 when the declaration has errors; all of them are shown."
    add_selection(parser)
    add_mode(parser)
    add_project(parser)
    add_output(parser, "text")


def run(args: argparse.Namespace) -> int:
    """Show what a start would do."""
    from launcher.config.load import load
    from launcher.core.plan import build
    from launcher.hosts.memory import foreseen, remembered
    from launcher.observe.surroundings import surroundings
    from launcher.planned import plan_document
    from launcher.stores.choose import require

    loaded = load(request_from(args))
    plan = build(loaded.spec, surroundings())
    require(plan.spec.state)
    memory = remembered(plan.spec.run_dir)
    starts = {each.name: foreseen(plan.spec, each, memory) for each in plan.forked()}
    document = plan_document(plan, loaded.notes, loaded.warnings, starts)
    text = (
        json.dumps(document, indent=2, ensure_ascii=False)
        if args.output == "json"
        else "\n".join(plan_lines(document))
    )
    sys.stdout.write(f"{text}\n")
    return ExitCode.OK
