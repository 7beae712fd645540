"""Whose each process is, of processes that are made up."""

from __future__ import annotations

import pytest

from launcher.hosts.census import told_apart
from launcher.hosts.tree import Family, Process

HOME = 10
FAMILIES = {20: Family(20, "mark"), 30: Family(30, "", 7)}


def process(pid: int, parent: int, *, group: int = 0, session: int = 0, zombie: bool = False) -> Process:
    return Process(pid, parent, group or pid, session or pid, 0, zombie)


def owners(*processes: Process) -> dict[int, list[int]]:
    among = {each.pid: each for each in (process(HOME, 1), process(20, HOME), process(30, HOME), *processes)}
    return told_apart(FAMILIES, among, HOME)


@pytest.mark.parametrize(
    ("processes", "owner"),
    [
        ((process(40, 20),), 20),
        ((process(39, 30), process(40, 39)), 30),
        ((process(40, 1, session=20),), 20),
        ((process(40, 1, group=30),), 30),
        ((process(39, 1, session=20), process(40, 39)), 20),
        ((process(40, HOME),), HOME),
        ((process(39, HOME), process(40, 39)), HOME),
        ((process(40, 1),), None),
        ((process(40, 8888),), None),
        ((process(40, 41), process(41, 40)), None),
        ((process(40, 20, zombie=True),), None),
    ],
)
def test_whose_it_is(processes: tuple[Process, ...], owner: int | None) -> None:
    """Session, group and descent tell whose a process is; a stranger, a circle and a zombie are nobody's."""
    found = owners(*processes)
    assert [founder for founder, pids in found.items() if 40 in pids] == ([] if owner is None else [owner])


def test_the_founder_comes_first_and_what_has_gone_is_left_out() -> None:
    """Each family begins with its founder; one without a founder is none."""
    found = owners(process(5, 20), process(40, 20))
    assert found == {HOME: [HOME], 20: [20, 5, 40], 30: [30]}
    assert told_apart(FAMILIES, {HOME: process(HOME, 1)}, HOME) == {HOME: [HOME]}
