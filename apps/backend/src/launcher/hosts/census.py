"""Who belongs to which family, of all families at once, in one walk over the processes of the system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from launcher.hosts.tree import MARK, Family, Process, everyone, tag_of


def census(families: Iterable[Family], home: int) -> dict[int, list[int]]:
    """Return the living processes of each family by its founder, who comes first.

    Like `Family.members` it knows sessions, groups, descent, mark and tag, but it asks each process once and not once for each family. Nothing
    is collected here, so that it can be done by any thread.

    Args:
        families: those to tell apart.
        home: the process that all of this is started from. What descends from it and belongs to no family is of its own.
    """
    by_founder = {family.founder: family for family in families}
    among = everyone()
    return told_apart(by_founder, among, home) if among else _by_psutil(by_founder, home)


def told_apart(
    by_founder: Mapping[int, Family], among: Mapping[int, Process], home: int
) -> dict[int, list[int]]:
    """Return the same of the processes that are given."""
    register = _Register(by_founder, among, home)
    found: dict[int, list[int]] = {founder: [founder] for founder in (*by_founder, home) if founder in among}
    for pid, process in among.items():
        owner = register.owner(pid)
        if owner in found and pid != owner and not process.zombie:
            found[owner].append(pid)
    return found


class _Register:
    """Remembers whose each process is, so that every line of ancestors is climbed once."""

    def __init__(self, families: Mapping[int, Family], among: Mapping[int, Process], home: int) -> None:
        self._families = families
        self._marks = {family.mark: founder for founder, family in families.items() if family.mark}
        self._tags = {family.tag: founder for founder, family in families.items() if family.tag}
        self._among = among
        self._home = home
        self._owners: dict[int, int] = {0: 0, 1: 0, home: home, **{founder: founder for founder in families}}

    def owner(self, pid: int) -> int:
        """Return the founder of the family that a process belongs to; 0 for a stranger."""
        climbed: dict[int, None] = {}  # in this order; a number that was given again can close a circle
        while pid not in self._owners:
            if pid in climbed:
                self._owners[pid] = 0
                break
            climbed[pid] = None
            process = self._among.get(pid)
            if process is None:
                self._owners[pid] = 0
                break
            told = self._told(process)
            if told:
                self._owners[pid] = told
                break
            pid = process.parent
        owner = self._owners[pid]
        self._owners.update(dict.fromkeys(climbed, owner))
        return owner

    def _told(self, process: Process) -> int:
        """Return whose a process is, as far as it tells that by itself."""
        for leader in (process.session, process.group):
            if leader in self._families:
                return leader
        if process.parent != self._home or process.zombie:
            return 0
        # An orphan that left its session and was adopted, or a child of our own.
        with suppress(OSError):
            return self._tags.get(tag_of(process.pid), 0) or self._marked(process.pid)
        return 0

    def _marked(self, pid: int) -> int:
        environment = Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
        start = f"{MARK}=".encode()
        marks = (
            each[len(start) :].decode(errors="replace") for each in environment if each.startswith(start)
        )
        return next((self._marks[mark] for mark in marks if mark in self._marks), 0)


def _by_psutil(founders: Iterable[int], home: int) -> dict[int, list[int]]:
    """Return processes and their descendants where there is no /proc; what left its family there cannot be told from strangers."""
    import psutil

    found: dict[int, list[int]] = {}
    taken: set[int] = set(founders)
    for founder in (*founders, home):
        with suppress(psutil.Error):
            descendants = [child.pid for child in psutil.Process(founder).children(recursive=True)]
            found[founder] = [founder, *(pid for pid in descendants if pid not in taken)]
            taken.update(descendants)
    return found
