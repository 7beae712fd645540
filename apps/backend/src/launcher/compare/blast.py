"""Who notices when a process ends by force: every process that runs components is killed once, and the others are watched."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

from launcher.compare.boot import FINE
from launcher.compare.findings import Blow
from launcher.errors import LauncherError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.compare.boot import Backend
    from launcher.documents import ComponentDocument

LOOK = 0.02
"""Seconds between two looks at the status. What changes in between is not missed: an incarnation stays, and a phase tells its age."""

WATCH = 1.0
"""Seconds for which the others are watched at least, or twice as long as the comeback took: where that is slow, so are they."""

PATIENCE = 60.0
"""Seconds after which nobody waits any longer for all to be ready again."""

RESTING = FINE | {"failed", "stopped"}
"""Phases in which nothing happens by itself."""


def blows(backend: Backend, commands_last_first: Sequence[str]) -> Iterator[Blow]:
    """Kill each process that runs components, one after the other, and watch; commands are spared.

    Before the launcher itself is killed, the commands are stopped in order: it would take them with it, and they may be databases.
    """
    launcher = backend.status()["launcher"]["pid"]
    for names in _processes(backend.components()):
        before = backend.components()
        pid = before[names[0]]["pid"]
        ours = {process.pid for process in backend.everyone()}
        if pid not in ours or any(before[name]["phase"] != "ready" for name in names):
            continue  # a blow before this one has left it in pieces
        if pid == launcher:
            for command in commands_last_first:
                backend.client.stop(command)
            blow = _last_blow(backend, pid, names)
        else:
            blow = _blow(backend, pid, names, before)
        yield blow
        if blow.launcher_ended:
            return


def _processes(components: Mapping[str, ComponentDocument]) -> list[tuple[str, ...]]:
    """Return the names of the components that share a process, for each process."""
    found: dict[int, list[str]] = {}
    for name, item in components.items():
        if item["kind"] != "command" and item["pid"] is not None and item["phase"] == "ready":
            found.setdefault(item["pid"], []).append(name)
    return [tuple(names) for names in found.values()]


def _last_blow(backend: Backend, pid: int, names: tuple[str, ...]) -> Blow:
    others = tuple(
        name for name, item in backend.components().items() if item["phase"] == "ready" and name not in names
    )
    everyone = backend.everyone()
    os.kill(pid, signal.SIGKILL)
    try:
        backend.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:  # the guard waits for a process that even SIGKILL does not end
        return Blow(names, others, launcher_ended=False, seconds=None, left=len(everyone))
    left = sum(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in everyone)
    return Blow(names, others, launcher_ended=True, seconds=None, left=left)


def _blow(
    backend: Backend, pid: int, names: tuple[str, ...], before: Mapping[str, ComponentDocument]
) -> Blow:
    noticed: set[str] = set()
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    again: float | None = None
    while (passed := time.monotonic() - began) < PATIENCE:
        if backend.process.poll() is not None:  # a critical component takes the backend with it
            return Blow(
                names, tuple(name for name in before if name not in names), launcher_ended=True, seconds=None
            )
        try:
            now = backend.components()
        except LauncherError:
            time.sleep(LOOK)
            continue
        noticed |= {name for name in before if name not in names and changed(before[name], now[name], passed)}
        if again is None and recovered(names, before, now):
            again = time.monotonic() - began
        if passed >= max(WATCH, 2 * (again or 0.0)) and (again is not None or _in_vain(before, now)):
            break
        time.sleep(LOOK)
    return Blow(names, tuple(name for name in before if name in noticed), launcher_ended=False, seconds=again)


def changed(before: ComponentDocument, now: ComponentDocument, passed: float) -> bool:
    """Whether a component has left its phase since ``passed`` seconds, be it for a moment."""
    return (
        now["incarnation"] != before["incarnation"]
        or now["phase"] != before["phase"]
        or now["seconds"] < passed
    )


def recovered(
    killed: Sequence[str], before: Mapping[str, ComponentDocument], now: Mapping[str, ComponentDocument]
) -> bool:
    """Whether those that were killed live again, and all that was up before is up."""
    return all(now[name]["incarnation"] > before[name]["incarnation"] for name in killed) and all(
        now[name]["phase"] in FINE for name, item in before.items() if item["phase"] in FINE
    )


def _in_vain(before: Mapping[str, ComponentDocument], now: Mapping[str, ComponentDocument]) -> bool:
    """Whether something has ended for good, and nothing moves any more."""
    lost = any(item["phase"] in FINE and now[name]["phase"] not in FINE for name, item in before.items())
    return lost and all(item["phase"] in RESTING for item in now.values())
