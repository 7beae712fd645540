"""What processes take of the machine, read when somebody asks. Nothing here remembers more than the last look, and nothing wakes up by itself.

Linux tells the proportional set size (proc(5), ``smaps_rollup``), in which a page that is shared by several processes counts once in all.
Elsewhere it is the resident size.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.model.usage import FamilyUsage, Member, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

READERS = 4
"""Threads that read at the same time. The kernel adds the pages of a process up while it is asked, which takes the better part of a
millisecond for a small one, and it does that outside of the interpreter's lock."""

_SMAPS_SIZE = 4096
"""Bytes that hold ``smaps_rollup`` in any case: some twenty-five short lines."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one moment.

    Attributes:
        began: when it was started, in seconds since the system was.
        now: the moment, on the same clock.
        cpu: seconds that it has spent on a core since then, all threads together.
        memory: bytes.
        proportional: see ``FamilyUsage``.
    """

    pid: int
    name: str
    began: float
    now: float
    cpu: float
    memory: int
    proportional: bool


@dataclass(frozen=True, slots=True)
class Household:
    """Processes that are to be looked at together; the first one founded the family."""

    part: Part
    pids: Sequence[int]
    components: tuple[str, ...] = ()


class Meter:
    """Reads what families of processes cost, and what they have used since it was last asked. To be used by one thread at a time.

    Args:
        proc: where the system tells about processes.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._seen: dict[tuple[int, float], float] = {}
        self._looked: float | None = None
        self._totals: dict[tuple[Part, str], float] = defaultdict(float)

    @property
    def totals(self) -> Mapping[tuple[Part, str], float]:
        """Seconds on a core that were seen so far: see ``Usage.cpu_totals``."""
        return dict(self._totals)

    def look(self, households: Iterable[Household]) -> tuple[FamilyUsage, ...]:
        """Return what each family costs now; one of which nothing is left is not among them.

        What a process used between the last look and its end is never seen.
        """
        every = list(households)
        pids = [pid for household in every for pid in household.pids]
        with ThreadPoolExecutor(READERS, thread_name_prefix="usage") as readers:
            known = dict(zip(pids, readers.map(self._read, pids), strict=True))
        families = [
            (household, [reading for pid in household.pids if (reading := known[pid]) is not None])
            for household in every
        ]
        found = tuple(self._usage(household, readings) for household, readings in families if readings)
        alive = [reading for _, readings in families for reading in readings]
        self._seen = {(each.pid, each.began): each.cpu for each in alive}
        self._looked = max((each.now for each in alive), default=self._looked)
        return found

    def _usage(self, household: Household, readings: Sequence[Reading]) -> FamilyUsage:
        spent = [max(0.0, each.cpu - self._seen.get((each.pid, each.began), 0.0)) for each in readings]
        began = min(each.began for each in readings)
        since = began if self._looked is None else max(began, self._looked)
        seconds = readings[-1].now - since
        one = household.components[0] if len(household.components) == 1 else ""
        account = one if household.part is Part.COMPONENT else ""
        self._totals[household.part, account] += sum(spent)
        return FamilyUsage(
            part=household.part,
            pid=household.pids[0],
            components=household.components,
            cpu=100 * sum(spent) / seconds if seconds > 0 else 0.0,
            cpu_seconds=sum(each.cpu for each in readings),
            memory=sum(each.memory for each in readings),
            proportional=all(each.proportional for each in readings),
            members=tuple(Member(each.pid, each.name) for each in readings),
        )

    def _read(self, pid: int) -> Reading | None:
        """Return what is known of a process, or nothing when it has ended."""
        with suppress(OSError, ValueError, IndexError):
            stat = self._contents(f"{pid}/stat")
            # proc_pid_stat(5): the name may hold spaces and parentheses, the numbers follow its last ")".
            name = stat[stat.index(b"(") + 1 : stat.rindex(b")")]
            fields = stat[stat.rindex(b")") + 2 :].split()
            if fields[0] in b"ZX":
                return None
            memory, proportional = self._memory(pid)
            return Reading(
                pid=pid,
                name=name.decode("utf-8", "replace"),
                began=int(fields[19]) / self._ticks,
                now=time.clock_gettime(time.CLOCK_BOOTTIME),
                cpu=(int(fields[11]) + int(fields[12])) / self._ticks,
                memory=memory,
                proportional=proportional,
            )
        return None if os.path.isdir(f"{self._proc}/self") else _told_by_psutil(pid)  # noqa: PTH112  # no need of a Path

    def _memory(self, pid: int) -> tuple[int, bool]:
        with suppress(OSError):  # of a process that has become another user's
            for line in self._contents(f"{pid}/smaps_rollup").splitlines():
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024, True
        return int(self._contents(f"{pid}/statm").split()[1]) * self._page, False

    def _contents(self, path: str) -> bytes:
        # Bare system calls: some fifty processes are read at once, three files each.
        descriptor = os.open(f"{self._proc}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _SMAPS_SIZE)
        finally:
            os.close(descriptor)


def _told_by_psutil(pid: int) -> Reading | None:
    """Return what is known of a process where there is no /proc."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        times = process.cpu_times()
        memory = int(process.memory_info().rss)
        began = process.create_time()
        return Reading(
            pid, process.name(), began, time.time(), times.user + times.system, memory, proportional=False
        )
    return None
