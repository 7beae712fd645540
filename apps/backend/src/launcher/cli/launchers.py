"""``launcher status --all``: every launcher that keeps its state in the same store."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from launcher.cli.messages import say
from launcher.cli.parser import paths_from, use_color
from launcher.cli.render import not_up, table
from launcher.cli.store import in_memory, reading, state_from
from launcher.client import Client
from launcher.errors import ExitCode
from launcher.observe.text import duration
from launcher.records import SCHEMA, Standing, moment, standing, standing_document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launcher.documents import StatusDocument
    from launcher.model.spec import StateSpec
    from launcher.model.stores import Seen

SHARE = '[state] url = "redis://…" shows those of all machines'

TOLERANCE = 60.0
"""Seconds by which the clock may have been put right since a launcher started; no process number comes back so soon."""

COLOURS = {"up": "32", "starting": "33", "stopping": "33", "degraded": "31", "lost": "31"}


def show_all(args: argparse.Namespace) -> int:
    """Show every launcher; ends with 3 when one is lost, or has a component that is wanted up and is not ready."""
    state = state_from(args)
    if in_memory(state):
        say(f"the state is kept in memory: only the launcher of this project is seen (hint: {SHARE})")
        status = Client(paths_from(args).socket).status()
        found = [Standing(state.machine, status["launcher"]["state"], 0.0, status)]
    else:
        found = _in_store(state)
    if args.output == "json":
        document = {"schema": SCHEMA, "launchers": [standing_document(each) for each in found]}
        text = json.dumps(document, indent=2, ensure_ascii=False)
    else:
        text = "\n".join(standing_lines(found, color=use_color(args)))
    sys.stdout.write(f"{text}\n")
    return ExitCode.NOT_UP if any(_bad(each) for each in found) else ExitCode.OK


def _in_store(state: StateSpec) -> list[Standing]:
    with reading(state) as store:
        seen = store.snapshots()
        # Who is on another machine, also one that shares a file as a container may, can only be judged by its signs of life.
        local = not store.remote
        standings = [
            standing(each, dead=local and each.body.get("machine") == state.machine and _dead(each))
            for each in seen
        ]
    return sorted((each for each in standings if each is not None), key=_order)


def _order(each: Standing) -> tuple[str, str, str]:
    return each.machine, each.status["name"], each.status["launcher"]["root"]


def _dead(seen: Seen) -> bool:
    """Whether the process of a launcher of this machine is gone, or its number is another one's by now."""
    import psutil

    launcher: StatusDocument | dict[str, object] = seen.body.get("status", {}).get("launcher", {})
    try:
        born = psutil.Process(int(str(launcher.get("pid", 0)))).create_time()
    except (psutil.Error, ValueError):
        return True
    # A launcher notes its start when its process has just begun.
    return born > moment({"time": launcher.get("started_at", "")}) + TOLERANCE


def _bad(each: Standing) -> bool:
    return each.state == "lost" or (each.state != "ended" and bool(not_up(each.status)))


def standing_lines(found: Sequence[Standing], *, color: bool = False) -> list[str]:
    """Return the table of all launchers."""
    if not found:
        return ["no launcher has been heard of"]
    rows, colours = [], []
    for each in found:
        launcher, components = each.status["launcher"], each.status["components"]
        wanted = [item for item in components if item["desired"] == "up"]
        ready = len(wanted) - len(not_up(each.status))
        gone = each.state in {"lost", "ended"}
        counted = "-" if gone else f"{ready} of {len(wanted)} ready"
        place = f"{launcher['mode']}, PID {launcher['pid']}, {launcher['root']}"
        rows.append(
            (each.machine, each.state, each.status["name"], f"{duration(each.age)} ago", counted, place)
        )
        colours.append(COLOURS.get(each.state, "") if color else "")
    return table(("MACHINE", "STATE", "BACKEND", "HEARD OF", "COMPONENTS", "WHERE"), rows, colours)
