"""The document about the machine is made from the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from launcher.core import diagram
from launcher.core.machine import TABLE
from launcher.model.state import Phase

DOCUMENT = Path(__file__).resolve().parents[6] / "docs" / "architecture" / "state-machine.md"


def test_the_document_is_up_to_date() -> None:
    """What is committed is what the table says today; write it anew with the command it names."""
    assert DOCUMENT.read_text() == diagram.document()


def test_the_module_prints_the_document() -> None:
    """The command that the document names produces it."""
    printed = subprocess.run(
        [sys.executable, "-m", "launcher.core.diagram"], capture_output=True, text=True, check=True
    )
    assert printed.stdout == diagram.document()


def test_every_cell_is_in_the_table() -> None:
    """There is a row for each event and a column for each phase, and each cell names its action."""
    head, _, *rows = diagram.table().splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["event", *Phase]
    cells = {
        row[0].strip(" `"): [cell.strip() for cell in row[1:]]
        for row in (line.strip("|").split("|") for line in rows)
    }
    assert cells == {
        event.__name__: [
            diagram.NOTHING if row[phase].name == "ignore" else row[phase].name for phase in Phase
        ]
        for event, row in TABLE.items()
    }


def test_every_arrow_is_in_the_diagram() -> None:
    """Each way from one phase to another is drawn once, with all events that lead along it."""
    lines = diagram.diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> stopped"]
    drawn = dict(line.strip().split(": ") for line in lines[2:])
    assert len(drawn) == len(lines) - 2
    assert {(arrow, event) for arrow, events in drawn.items() for event in events.split(", ")} == {
        (f"{phase} --> {target}", event.__name__)
        for event, row in TABLE.items()
        for phase, action in row.items()
        for target in action.targets
    }


def test_every_action_is_in_the_legend() -> None:
    """Each action that does something is listed once with where it may lead."""
    listed = [line.strip("| ").split(" | ")[0] for line in diagram.legend().splitlines()[2:]]
    assert sorted(listed) == sorted(
        {action.name for row in TABLE.values() for action in row.values()} - {"ignore"}
    )
