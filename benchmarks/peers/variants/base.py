"""What the benchmark has to know of a way of running the backend."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import ClassVar

import psutil

from benchmarks.peers.backend import Place
from benchmarks.peers.environment import Tools


class Scope(Enum):
    """What a variant is, and so what it is compared with."""

    US = "us"
    PEER = "peer"  # a process manager that runs the whole backend
    BASELINE = "baseline"  # runs the whole backend and manages nothing
    GATEWAY = "gateway"  # can run the gateway only


class OnCrash(Enum):
    """What happens when the process of the gateway is killed."""

    RESTARTS = "restarts"
    ENDS_ALL = "ends all"  # the manager stops the rest, or the process was the whole backend
    NOTHING = "nothing"


class Variant(ABC):
    """A way of running the backend: its configuration, its command, its manager's processes, its restart, its stop.

    Configurations are those of the manager's own guide, with its defaults; a setting that is not a default is explained where it is written.

    Attributes:
        name: as given on the command line and shown in tables.
        scope: what it is compared with.
        on_crash: what it does when the gateway is killed.
        calm: seconds that the gateway must have been up before it is killed, so that what is measured is the crash of a service that
            had been working, not that of one that cannot start.
        same_process: a restart of the gateway leaves it in the process that it was in.
    """

    name: ClassVar[str]
    scope: ClassVar[Scope] = Scope.PEER
    on_crash: ClassVar[OnCrash] = OnCrash.RESTARTS
    calm: ClassVar[float] = 0.0
    same_process: ClassVar[bool] = False

    def missing(self, tools: Tools) -> str:
        """Why it cannot be run here; empty when it can."""
        return tools.missing(self.name)

    @abstractmethod
    def begin(self, place: Place) -> list[str]:
        """Write the configuration; return the command that starts the backend."""

    def managers(self, place: Place, root: int) -> dict[str, int]:
        """The manager's processes by what they are; `root` is the process that was started."""
        del place
        return {"manager": root}

    def victims(self) -> tuple[str, ...]:
        """Names of those of them that are killed, one life each, to see what is left."""
        return ("manager",)

    def workers(self, place: Place, root: int) -> set[int]:
        """The processes of the gateway, where there is more than one; empty where the one that answers is all."""
        del place, root
        return set()

    def restart(self, place: Place, root: int) -> list[str] | None:
        """The command that restarts the gateway; None where there is none."""
        del place, root
        return None

    def noticed(self, place: Place, since: float) -> float | None:
        """When the manager itself says that it has seen the gateway end, as a time of day; None where it does not say so precisely.

        Without it, the moment counts at which the dead process was collected by its parent.
        """
        del place, since
        return None

    def status(self, place: Place) -> list[str] | None:
        """The command that shows the state of the backend; None where there is none."""
        del place
        return None

    def stop(self, place: Place, root: int) -> list[str]:
        """The command that stops the backend."""
        del place
        return signalled(root, signal.SIGTERM)


def signalled(pid: int, signum: signal.Signals) -> list[str]:
    """The command that sends a signal."""
    return ["kill", f"-{signum.name.removeprefix('SIG')}", str(pid)]


def children(pid: int) -> set[int]:
    """The direct children of a process, without the one that `multiprocessing` starts for itself."""
    found = set()
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            with suppress(psutil.NoSuchProcess):
                if not any("resource_tracker" in word for word in child.cmdline()):
                    found.add(child.pid)
    return found


def write(path: Path, text: str) -> Path:
    """Write a file; return its path."""
    path.write_text(text)
    return path
