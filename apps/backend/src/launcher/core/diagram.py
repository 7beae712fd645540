"""The tables of ``launcher.core.machine`` and ``launcher.core.succession`` for people: diagrams and every cell, made from the tables.

``python -m launcher.core.diagram`` prints the document.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from launcher.core.machine import TABLE
from launcher.core.succession import BESIDE, Stage
from launcher.model.state import ALIVE, AT_REST, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from enum import StrEnum
    from typing import Any, TypeAlias

    from launcher.core.action import Action

    Table: TypeAlias = Mapping[Any, Mapping[Any, Action[Any]]]

COLUMNS = (Stage.WAITING, Stage.STARTING, Stage.RETIRING)
"""The columns of the table about incarnations beside the current one."""

IGNORED = "ignore"
"""Name of the action that does nothing."""

NOTHING = "·"
"""How a cell that is ignored on purpose is shown."""

PREAMBLE = """\
# The life of a component

Made from the tables in `launcher/core/machine.py` and `launcher/core/succession.py`; do not edit it by hand:
`python -m launcher.core.diagram > docs/architecture/state-machine.md`.
"""

ABOUT_TABLE = f"""\
What happens when an event (row) meets a phase (column). `{NOTHING}` is ignored on purpose. Events of an incarnation that is over never
get here: `launcher.core.fleet` drops them.
"""


ABOUT_BESIDE = f"""\
A component that may overlap is restarted by a successor, which starts beside the current incarnation. Once it is ready it becomes the current
one, and the old one retires: it was asked to stop, and ends in its own time. The phase of the component is always that of its current
incarnation. When that one ends before its successor is ready, the successor goes on as the current one. `{Stage.CURRENT}` and
`{Stage.GONE}` only say what becomes of a life.
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
        f"## Incarnations beside the current one\n\n{ABOUT_BESIDE}",
        f"```mermaid\n{beside_diagram()}```\n",
        table(BESIDE, COLUMNS),
        legend(BESIDE),
    )
    return "\n".join(parts)


def diagram() -> str:
    """Return a Mermaid state diagram; one arrow stands for all events that lead from one phase to another."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.STOPPED}"]
    for (before, after), events in _arrows(TABLE, Phase).items():
        lines.append(f"    {before} --> {after}: {', '.join(events)}")
    return "\n".join(lines) + "\n"


def beside_diagram() -> str:
    """Return the same for incarnations beside the current one."""
    lines = ["stateDiagram-v2", *(f'    state "{stage}" as {stage.name}' for stage in COLUMNS)]
    lines += [f'    state "{Stage.CURRENT}" as {Stage.CURRENT.name}', f"    [*] --> {Stage.WAITING.name}"]
    for (before, after), events in _arrows(BESIDE, Stage).items():
        target = "[*]" if after is Stage.GONE else after.name
        lines.append(f"    {before.name} --> {target}: {', '.join(events)}")
    return "\n".join(lines) + "\n"


def table(cells: Table = TABLE, columns: Iterable[StrEnum] = Phase) -> str:
    """Return every cell of a table as a Markdown table."""
    columns = list(columns)
    rows = (
        [f"`{event.__name__}`", *(_cell(row[column]) for column in columns)] for event, row in cells.items()
    )
    return _markdown(["event", *columns], rows)


def legend(cells: Table = TABLE) -> str:
    """Return the columns that each action may lead to as a Markdown table."""
    rows = (
        [action.name, ", ".join(action.targets) or "stays where it is"]
        for action in _actions(cells)
        if action.name != IGNORED
    )
    return _markdown(["action", "may lead to"], rows)


def _about_phases() -> str:
    alive = ", ".join(phase for phase in Phase if phase in ALIVE)
    at_rest = ", ".join(phase for phase in Phase if phase in AT_REST)
    return f"An incarnation exists in: {alive}. Left only when somebody asks for it: {at_rest}.\n"


def _arrows(cells: Table, columns: type[StrEnum]) -> dict[tuple[StrEnum, StrEnum], list[str]]:
    arrows: dict[tuple[StrEnum, StrEnum], list[str]] = {}
    for event, row in cells.items():
        for column, action in row.items():
            for target in action.targets:
                arrows.setdefault((column, target), []).append(event.__name__)
    order = list(columns)
    return dict(sorted(arrows.items(), key=lambda arrow: [order.index(column) for column in arrow[0]]))


def _actions(cells: Table) -> Iterator[Action[Any]]:
    seen: set[str] = set()
    for row in cells.values():
        for action in row.values():
            if action.name not in seen:
                seen.add(action.name)
                yield action


def _cell(action: Action[Any]) -> str:
    return NOTHING if action.name == IGNORED else action.name


def _markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *(list(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(document())
