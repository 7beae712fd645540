"""Nothing piles up: after hundreds of restarts, launcher and zygote hold what they held after the first few."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

import psutil
import pytest

from launcher.client import Client
from tests.launcher.acceptance.project import AGENT, PATIENCE, Project, eventually, fetch, free_port

RESTARTS = 300
FIRST = 20
"""Restarts after which caches are filled and everything that is imported late has been."""

WEB = """
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/")
    async def root():
        return {"hello": "world"}
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at one moment, and how many processes there are in its tree."""

    descriptors: int
    threads: int
    processes: int
    zombies: int

    def within(self, other: Self) -> bool:
        """Nothing here is more than there."""
        return all(mine <= its for mine, its in zip(astuple(self), astuple(other), strict=True))

    @classmethod
    def by(cls, pid: int) -> Self:
        process = psutil.Process(pid)
        children = process.children(recursive=True)
        zombies = sum(child.status() == psutil.STATUS_ZOMBIE for child in children)
        return cls(process.num_fds(), process.num_threads(), len(children), zombies)


def zygote_of(launcher: int) -> int:
    """The process that hosts are forked from."""
    (found,) = (
        child.pid
        for child in psutil.Process(launcher).children()
        if Path(f"/proc/{child.pid}/comm").read_text().strip() == "launcher:zygote"
    )
    return found


def comes_to_hold(who: str, pid: int, held: Held) -> None:
    """Wait until it holds no more: a request just answered may keep its connection for a moment."""
    eventually(
        f"the {who} holds no more than {held}",
        lambda: Held.by(pid).within(held),
        account=lambda: f"it holds {Held.by(pid)}",
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_piles_up(project: Project) -> None:
    """Descriptors, threads, processes and zombies are the same after 20 and after 300 restarts, and every incarnation served."""
    port = free_port()
    project.measured = False
    project.write(web=WEB, jobs=AGENT).declare(f"""
        [components.api]
        app = "web:app"
        port = {port}
        ready = "/"
        access_log = false

        [components.worker]
        run = "jobs:run"
    """)
    project.up_and_ready("--mode", "multi", "--quiet")
    launcher = project.status()["launcher"]["pid"]
    client = Client(project.root / ".launcher" / "control.sock")
    zygote = zygote_of(launcher)

    def restart(number: int) -> None:
        document = client.restart("api", PATIENCE)
        assert (document["phase"], document["incarnation"], document["start"]) == (
            "ready",
            number + 1,
            "warm",
        )
        assert fetch(f"http://127.0.0.1:{port}/")[0] == 200

    def at_rest() -> bool:
        return not client.component("api")["retiring"]

    for number in range(1, FIRST + 1):
        restart(number)
    eventually("the last old one has ended", at_rest)
    before = Held.by(launcher), Held.by(zygote)
    for number in range(FIRST + 1, RESTARTS + 1):
        restart(number)
    comes_to_hold("launcher", launcher, before[0])
    comes_to_hold("zygote", zygote, before[1])
    assert zygote_of(launcher) == zygote
    assert before[0].zombies == 0
