"""The table of ``launcher.core.machine`` for people: a diagram and every cell, made from the table itself.

``python -m launcher.core.diagram`` prints the document.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from launcher.core.machine import IGNORE, TABLE
from launcher.model.state import ALIVE, AT_REST, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.core.machine import Action

NOTHING = "·"
"""How a cell that is ignored on purpose is shown."""

PREAMBLE = """\
# The life of a component

Made from the table in `launcher/core/machine.py`; do not edit it by hand:
`python -m launcher.core.diagram > docs/architecture/state-machine.md`.
"""

ABOUT_TABLE = f"""\
What happens when an event (row) meets a phase (column). `{NOTHING}` is ignored on purpose. Events of an incarnation that is over never
get here: `launcher.core.fleet` drops them.
"""


def document() -> str:
    """Return the whole document as Markdown."""
    parts = (
        PREAMBLE,
        f"## Phases\n\n```mermaid\n{diagram()}```\n",
        _about_phases(),
        f"## Every cell\n\n{ABOUT_TABLE}",
        table(),
        f"## Actions\n\n{legend()}",
    )
    return "\n".join(parts)


def diagram() -> str:
    """Return a Mermaid state diagram; one arrow stands for all events that lead from one phase to another."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.STOPPED}"]
    for (before, after), events in _arrows().items():
        lines.append(f"    {before} --> {after}: {', '.join(events)}")
    return "\n".join(lines) + "\n"


def table() -> str:
    """Return every cell of the table as a Markdown table."""
    rows = ([f"`{event.__name__}`", *(_cell(row[phase]) for phase in Phase)] for event, row in TABLE.items())
    return _markdown(["event", *Phase], rows)


def legend() -> str:
    """Return the phases that each action may lead to as a Markdown table."""
    rows = (
        [action.name, ", ".join(action.targets) or "stays where it is"]
        for action in _actions()
        if action is not IGNORE
    )
    return _markdown(["action", "may lead to"], rows)


def _about_phases() -> str:
    alive = ", ".join(phase for phase in Phase if phase in ALIVE)
    at_rest = ", ".join(phase for phase in Phase if phase in AT_REST)
    return f"An incarnation exists in: {alive}. Left only when somebody asks for it: {at_rest}.\n"


def _arrows() -> dict[tuple[Phase, Phase], list[str]]:
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for event, row in TABLE.items():
        for phase in Phase:
            for target in row[phase].targets:
                arrows.setdefault((phase, target), []).append(event.__name__)
    return dict(sorted(arrows.items(), key=lambda arrow: [list(Phase).index(phase) for phase in arrow[0]]))


def _actions() -> Iterator[Action]:
    seen: set[str] = set()
    for row in TABLE.values():
        for action in row.values():
            if action.name not in seen:
                seen.add(action.name)
                yield action


def _cell(action: Action) -> str:
    return NOTHING if action is IGNORE else action.name


def _markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *(list(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(document())
