"""How often the kernel has killed a process for want of memory where we run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
"""Which control groups this process is in (``cgroups(7)``)."""

HIERARCHY = Path("/sys/fs/cgroup")
"""Where control groups are seen."""

_COUNT = "oom_kill "


def oom_kills(membership: Path = MEMBERSHIP, hierarchy: Path = HIERARCHY) -> int:
    """Return how many processes of our control group were killed for want of memory; 0 where that is not counted.

    Components are in the group of the launcher, so a number that grows while one of them runs may be about it. Both versions of control groups
    are asked. In a container the group is often mounted as the root of the hierarchy.
    """
    return max((_count_in(file) for file in _files(membership, hierarchy)), default=0)


def _files(membership: Path, hierarchy: Path) -> Iterator[Path]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            homes, name = [hierarchy, hierarchy / "unified"], "memory.events"
        elif "memory" in controllers.split(","):
            homes, name = [hierarchy / controllers], "memory.oom_control"
        else:
            continue
        for home in homes:
            yield home / path.lstrip("/") / name
            yield home / name


def _count_in(file: Path) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.removeprefix(_COUNT)) for line in lines if line.startswith(_COUNT))
