"""Which columns a terminal shows."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from launcher.cli.columns import CELLS, LEFT_OUT_FIRST, chosen
from launcher.cli.render import amiss, status_lines
from launcher.observe.text import width
from tests.launcher.unit.cli.test_render import component, status

LOOP = {"lag": 12.0, "answered": False, "blocked": True, "where": "jobs.py:7 (run)", "by": "api"}
MEASURED: dict[str, Any] = {
    "cpu": 1.25,
    "memory": 83 * 2**20,
    "start": "warm",
    "check": {"ok": True, "latency": 0.0012, "seconds": 3.0},
    "shared_with": [],
    "loop": None,
    "url": "http://127.0.0.1:8000",
    "placement": "api",
    "pid": 4194304,
}
FAMILY: dict[str, Any] = {
    "part": "component",
    "pid": 41,
    "components": ["api"],
    "cpu": 1.25,
    "memory": 83 * 2**20,
    "memory_kind": "pss",
}


def test_everything_where_there_is_room() -> None:
    """Without a limit every column is there that has something to tell."""
    header, (row,) = chosen([component("api", "ready", **MEASURED)], ["http://127.0.0.1:8000"], None)
    assert header == [*CELLS, "URL / REASON"]
    assert row[3:] == ["4194304", "warm", "0", "1.2 %", "83 MiB", "1 ms", "http://127.0.0.1:8000"]


def test_eighty_columns() -> None:
    """Eighty columns hold name, phase, cost and address of a component with a long name."""
    item = component("agents.summariser", "completed", **MEASURED)
    lines = status_lines(status(item), columns=80)
    assert max(map(width, lines)) <= 80
    assert lines[1].split("  ")[0].strip() == "NAME"
    assert {"PHASE", "MEMORY", "URL"} <= set(lines[1].split())
    assert "http://127.0.0.1:8000" in lines[2]


def test_what_shares_a_process_says_so() -> None:
    """In a table with costs, a component of the launcher's process is marked; without any cost there are no such columns."""
    shared = component("api", "ready", placement="main", cpu=None, memory=None)
    own = component("db", "ready", kind="command", placement="process", cpu=0.0, memory=4096)
    off = component("old", "stopped", kind="command", placement="process", cpu=None, memory=None)
    header, rows = chosen([shared, own, off], ["-", "-", "-"], None)
    at = header.index("CPU")
    assert [row[at : at + 2] for row in rows] == [["shared", "shared"], ["0.0 %", "4 KiB"], ["-", "-"]]
    assert "CPU" not in chosen([shared], ["-"], None)[0]


def test_the_cost_of_processes() -> None:
    """A shared process is told once with the components in it; the sum is of all processes."""
    launcher = FAMILY | {"part": "launcher", "cpu": 0.5, "memory": 20 * 2**20, "components": []}
    document = status(component("api", "ready"))
    document["processes"] = [launcher, FAMILY]  # type: ignore[list-item]
    assert status_lines(document)[3:] == [
        "all processes: CPU 1.8 %, memory 103 MiB; the launcher itself: CPU 0.5 %, memory 20 MiB"
    ]
    names = [f"agent{number}" for number in range(6)]
    document["processes"] = [launcher | {"components": names, "memory_kind": "rss"}]  # type: ignore[list-item]
    assert status_lines(document)[3:] == [
        "agent0, agent1, agent2, agent3 and 2 more share the launcher's process: CPU 0.5 %, memory 20 MiB",
        "all processes: CPU 0.5 %, memory 20 MiB (shared pages counted twice)",
    ]


def test_a_blocked_loop_is_what_people_want_to_know() -> None:
    """It takes the place of the address, with what keeps the loop where that is known."""
    item = component("api", "ready", url="http://127.0.0.1:8000", loop=LOOP)
    assert status_lines(status(item))[2].endswith("loop blocked for 12 s by api at jobs.py:7 (run)")
    unknown = component("api", "ready", loop=LOOP | {"where": "", "by": ""})
    assert status_lines(status(unknown))[2].endswith("loop blocked for 12 s")


def test_what_is_amiss() -> None:
    """Not as it is wanted: not ready, still stopping, or blocked; what was stopped on purpose is as it should be."""
    document = status(
        component("fine", "ready", loop=LOOP | {"blocked": False}),
        component("late", "starting", loop=None),
        component("leaving", "stopping", desired="down", loop=None),
        component("off", "stopped", desired="down", loop=None),
        component("stuck", "ready", loop=LOOP),
    )
    assert amiss(document) == ["late", "leaving", "stuck"]


NAMES = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=30)


@given(
    st.lists(NAMES, min_size=1, max_size=5, unique=True),
    st.text(max_size=80),
    st.integers(30, 200),
    st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(names: list[str], reason: str, columns: int, color: bool) -> None:
    """What is drawn over and over must not wrap: name and phase always stay, everything else gives way."""
    items = [component(name, "failed", **{**MEASURED, "reason": reason}) for name in names]
    lines = status_lines(status(*items), columns=columns, cut=True, color=color)
    plain = [line.replace("\x1b[31m", "").replace("\x1b[0m", "") for line in lines]
    longest = max(map(width, names))
    assert all(width(line) <= max(columns, longest + 12) for line in plain)
    assert all(any(name in line for line in plain) for name in names)
    assert set(LEFT_OUT_FIRST) | {"NAME", "PHASE"} == set(CELLS)
