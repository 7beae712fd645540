"""This launcher, used by its command line only."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar

import psutil

from benchmarks.peers.backend import GATEWAY, Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import OnCrash, Scope, Variant, write
from benchmarks.support.measure import tree

PROGRAM = "launcher.hosts.zygote"
"""Stands in the command line of the process that hosts are forked from, where that was started as a program."""

NAME = "launcher:zygote"
"""What it is called by the kernel, where it was forked from the launcher and so has the command line of that."""


class Launcher(Variant):
    """`launcher up` with a declaration that says what there is and nothing more, unless modules are to be shared."""

    scope = Scope.US
    mode: ClassVar[str]
    preload: ClassVar[tuple[str, ...]] = ()

    def missing(self, tools: Tools) -> str:
        """It is installed with the rest."""
        return tools.missing("launcher")

    def begin(self, place: Place) -> list[str]:
        """Write `launcher.toml`."""
        lines = [
            "[launcher]",
            'name = "shop"',
            *([f"preload = {json.dumps(self.preload)}"] if self.preload else []),
            f"[components.{GATEWAY}]",
            'app = "shop.gateway:app"',
        ]
        lines.append(f"port = {place.port}")
        for agent in place.agents:
            lines += [f"[components.{agent}]", f'run = "shop.{agent}:run"']
        write(place.directory / "launcher.toml", "\n".join([*lines, ""]))
        return ["launcher", "up", "--mode", self.mode, "--quiet"]

    def managers(self, place: Place, root: int) -> dict[str, int]:
        """The guard is what was started; the launcher tells its own number, and of its zygote."""
        told = self._told(place)
        found = {
            "launcher": told["pid"],
            "zygote": _pid(told.get("zygote")) or zygote_of(root),
            "guard": root,
        }
        if found["guard"] == found["launcher"]:
            del found["guard"]
        return {name: pid for name, pid in found.items() if pid}

    def victims(self) -> tuple[str, ...]:
        """Launcher and guard, which watch each other."""
        return ("launcher", "guard")

    def restart(self, place: Place, root: int) -> list[str]:
        """`launcher restart`, which returns when the new one is ready."""
        del place, root
        return ["launcher", "restart", GATEWAY, "-o", "json"]

    def noticed(self, place: Place, since: float) -> float | None:
        """From the log of the gateway: its parent may be the zygote, which is not who has to know."""
        log = place.directory / ".launcher" / "logs" / f"{GATEWAY}.jsonl"
        for line in log.read_text().splitlines() if log.exists() else ():
            entry = json.loads(line)
            moment = datetime.fromisoformat(entry["time"]).timestamp()
            if entry["stream"] == "launcher" and "SIGKILL" in entry["message"] and moment >= since:
                return moment
        return None

    def status(self, place: Place) -> list[str]:
        """`launcher status`."""
        del place
        return ["launcher", "status", "-o", "json"]

    def stop(self, place: Place, root: int) -> list[str]:
        """`launcher down`, which returns when both are gone."""
        del place, root
        return ["launcher", "down"]

    def _told(self, place: Place) -> dict[str, Any]:
        """What the status document says of the launcher itself, with its zygote wherever that stands."""
        done = subprocess.run(
            self.status(place),
            cwd=place.directory,
            env=dict(place.environment),
            capture_output=True,
            check=False,
        )
        document = json.loads(done.stdout)
        return {"zygote": document.get("zygote"), **document["launcher"]}


class LauncherSingle(Launcher):
    """Everything in one process; killing the gateway is killing all of it."""

    name = "launcher single"
    mode = "single"
    on_crash = OnCrash.ENDS_ALL
    same_process = True


class LauncherMulti(Launcher):
    """A process for each service."""

    name = "launcher multi"
    mode = "multi"
    calm = 10.5
    """After 10 s (`immediate_after`) the first crash is followed by a restart without delay: the case of a backend that had been working."""


class LauncherShared(LauncherMulti):
    """The same, with the modules of the backend that may be imported once for all processes."""

    name = "launcher multi, preload"
    preload = ("shop.common", "shop.gateway")


def _pid(told: object) -> int | None:
    """The process number in a field that is a number or holds one."""
    number = told.get("pid") if isinstance(told, dict) else told
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def zygote_of(root: int) -> int | None:
    """The process below `root` that hosts are forked from; None when there is none.

    What it has forked may bear its command line, but is younger.
    """
    named, started = [], []
    for process in tree([root]):
        with suppress(psutil.Error):
            age = (process.create_time(), process.pid)
            if process.name() == NAME:
                named.append(age)
            elif PROGRAM in process.cmdline():
                started.append(age)
    found = min(named or started, default=None)
    return None if found is None else found[1]
