"""Who belongs to whom: the processes of the system, and the family that one of them founded.

A family is everyone who descends from the founder, shares its session or group, or carries its mark in the environment: daemons leave the
group, grandchildren lose their parents, but an environment is inherited.

A founder that was forked and not executed has no environment of its own that the system would show. It carries a tag instead: the value of a
limit without meaning, which is inherited, too.
"""

from __future__ import annotations

import os
import resource
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MARK = "LAUNCHER_LIFE"
"""Environment variable that is unique to one incarnation."""

TAG = 10
"""``RLIMIT_LOCKS``, the limit that serves as tag: nothing has looked at it since Linux 2.4.25 (getrlimit(2))."""

_UNTAGGED = 2**62
"""Tags are below this, and above any limit that somebody might mean."""

_TAG_SHOWN = "Max file locks"
"""Name of that limit in ``/proc/PID/limits``."""

_PROC = "/proc"

_STAT_SIZE = 4096
"""Bytes that hold ``/proc/PID/stat`` in any case: 52 numbers and a name of at most 64 bytes."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment; its PID and start time together never come again."""

    pid: int
    parent: int
    group: int
    session: int
    started: int
    zombie: bool


def fresh_tag() -> int:
    """Return a tag that no other family of the system has, of whichever launcher.

    It is drawn by chance, below what this process may set: an unprivileged process can only lower its limits, and a launcher may run under another
    one.
    """
    ours = resource.getrlimit(TAG)[1]
    most = _UNTAGGED if ours == resource.RLIM_INFINITY else min(ours, _UNTAGGED)
    return most // 2 + secrets.randbelow(most // 2)


def tag_of(pid: int) -> int:
    """Return the tag of a process, or whatever else that limit is.

    Raises:
        OSError: there is no such process.
    """
    try:
        return resource.prlimit(pid, TAG)[0]
    except PermissionError:  # a setuid program: a signal still reaches it, and everybody may read this
        return shown_tag_of(pid)


def shown_tag_of(pid: int) -> int:
    """Return the same as `tag_of`, from what the system shows to all users; slower.

    Raises:
        OSError: there is no such process.
    """
    shown = Path(_PROC, str(pid), "limits").read_text()
    for line in shown.splitlines():
        if line.startswith(_TAG_SHOWN):
            soft = line.removeprefix(_TAG_SHOWN).split()[0]
            return resource.RLIM_INFINITY if soft == "unlimited" else int(soft)
    return resource.RLIM_INFINITY


def look(pid: int) -> Process | None:
    """Return what the system says about a process, or nothing when there is none."""
    # Bare system calls: every death is followed by a look at all processes, and a restart waits for it.
    try:
        descriptor = os.open(f"{_PROC}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        shown = os.read(descriptor, _STAT_SIZE)
    except OSError:  # it has gone meanwhile
        return None
    finally:
        os.close(descriptor)
    # proc_pid_stat(5): the second field, the command name, may hold spaces and parentheses; the rest follows its last ")".
    fields = shown[shown.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
        zombie=fields[0] in b"ZX",
    )


def everyone() -> dict[int, Process]:
    """Return all processes of the system; none where there is no /proc."""
    try:
        with os.scandir(_PROC) as entries:
            pids = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    except OSError:
        return {}
    found = (look(pid) for pid in pids)
    return {process.pid: process for process in found if process is not None}


def descendants(pid: int, among: Mapping[int, Process]) -> set[int]:
    """Return the PIDs of all children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for process in among.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    open_ = [pid]
    while open_:
        fresh = [child for child in children.get(open_.pop(), ()) if child not in found]
        found.update(fresh)
        open_.extend(fresh)
    return found


def collect_adopted() -> None:
    """Collect orphans that we adopted and that have died since; whom somebody in this process may be waiting for is left alone.

    What is started from here is in our session or leads one of its own. So a dead child of ours that does neither was born to somebody else.
    """
    ours = os.getsid(0)
    for listing in Path(_PROC, "self", "task").glob("*/children"):
        with suppress(OSError):
            for pid in map(int, listing.read_text().split()):
                process = look(pid)
                if process is not None and process.zombie and process.session not in {ours, pid}:
                    os.waitpid(pid, os.WNOHANG)


@dataclass(slots=True)
class Family:
    """The processes that one incarnation has brought into the world.

    Attributes:
        founder: PID of the process that was started; it is a leader of its session and stays a zombie until the family is gone, so its number
            is not given away.
        mark: value of `MARK` in its environment; empty for none.
        tag: value of its limit `TAG`; 0 for none.
    """

    founder: int
    mark: str
    tag: int = 0
    _since: int = 0
    _known: dict[int, int] = field(default_factory=dict)

    def members(self) -> list[Process]:
        """Return who is alive, without the founder, and collect those adopted by us who have died."""
        among = everyone()
        founder = among.get(self.founder)
        if founder is not None:
            self._since = founder.started
        kin = self._kin(among)
        self._known.update({pid: among[pid].started for pid in kin})
        for pid in kin:
            if among[pid].zombie and among[pid].parent == os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        return [among[pid] for pid in kin if not among[pid].zombie]

    def _kin(self, among: Mapping[int, Process]) -> list[int]:
        roots = {
            process.pid
            for process in among.values()
            if self.founder in (process.group, process.session)
            or self._known.get(process.pid) == process.started
        }
        found = {self.founder} | roots
        for root in list(found):
            found |= descendants(root, among)
        found |= self._recognised(process for process in among.values() if process.pid not in found)
        return sorted(found & among.keys() - {self.founder, os.getpid()})

    def _recognised(self, others: Iterable[Process]) -> set[int]:
        """Return who carries the mark or the tag; only those younger than the founder are asked."""
        found = set()
        for process in others:
            if process.started < self._since or process.zombie:
                continue
            with suppress(OSError):
                if (self.mark and self._is_marked(process.pid)) or (
                    self.tag and tag_of(process.pid) == self.tag
                ):
                    found.add(process.pid)
        return found

    def _is_marked(self, pid: int) -> bool:
        return f"{MARK}={self.mark}".encode() in Path(_PROC, str(pid), "environ").read_bytes()
