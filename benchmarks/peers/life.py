"""One life of the backend under one variant: begun, ready, looked at, ended. Nothing of it is left afterwards."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.peers.backend import MARK, Place
from benchmarks.peers.variants import Variant
from benchmarks.peers.variants.base import Scope
from benchmarks.support.measure import tree, until

PATIENCE = 300.0
"""Seconds that a backend may take to become ready or to stop."""

STOP_PATIENCE = 60.0
"""Seconds after which a stop counts as one that never ends."""

PAUSE = 0.005
"""Seconds between two looks at who has become ready."""


class Life:
    """A backend that has been begun."""

    def __init__(
        self,
        variant: Variant,
        place: Place,
        process: subprocess.Popen[bytes],
        begun: float,
    ) -> None:
        """`begun` is the monotonic time just before the first process."""
        self.variant = variant
        self.place = place
        self.begun = begun
        self._serving_since = begun
        self._process = process

    @property
    def root(self) -> int:
        """The process that was started."""
        return self._process.pid

    def all_ready(self) -> float:
        """Wait until the gateway answers and all agents that there can be have marked themselves; return seconds since the start.

        Raises:
            TimeoutError: they have not within `PATIENCE`.
        """
        alone = self.variant.scope is Scope.GATEWAY
        answered: list[float] = []
        # A request waits in the queue of whoever holds the socket: hence a thread of its own.
        asking = threading.Thread(target=self._ask_gateway, args=(answered,), daemon=True)
        asking.start()
        wanted = 0 if alone else len(self.place.agents)
        marked = until(lambda: len(self.place.marked()) == wanted, "all agents", PATIENCE, PAUSE)
        asking.join(PATIENCE)
        if not answered:
            raise TimeoutError("the gateway does not answer")
        self._serving_since = max(marked, *answered)
        return self._serving_since - self.begun

    def served_from(self, moment: float) -> None:
        """Take note that the gateway is a new one since some monotonic time."""
        self._serving_since = moment

    def calm(self) -> None:
        """Wait until the gateway has been up for as long as the variant asks before it is killed."""
        time.sleep(max(0.0, self._serving_since + self.variant.calm - time.monotonic()))

    def gateways(self) -> set[int]:
        """The processes that serve as the gateway."""
        several = self.variant.workers(self.place, self.root)
        only = None if several else self.place.gateway_pid()
        return several or ({only} if only else set())

    def members(self) -> set[int]:
        """Every process of this life: what descends from the first one, and what bears the mark wherever it has gone."""
        found = {process.pid for process in tree([self.root, *marked(self.place.mark)])}
        return {pid for pid in found if alive(pid)}

    def services(self) -> set[int]:
        """The processes that run services; an only process that is the manager as well counts as one of them."""
        return set(self.place.marked().values()) | self.gateways()

    def managers(self) -> dict[str, set[int]]:
        """The processes that run no service, by what they are; those without a name of their own are the helpers."""
        services, members = self.services(), self.members()
        named = {
            name: {pid}
            for name, pid in self.variant.managers(self.place, self.root).items()
            if pid not in services
        }
        rest = members - services - {pid for pids in named.values() for pid in pids}
        return named | ({"helpers": rest} if rest else {})

    def ask(self, command: Sequence[str]) -> float:
        """Run a command of the manager to its end; return seconds.

        Raises:
            ChildProcessError: it failed.
        """
        begun = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.place.directory,
            env={name: value for name, value in self.place.environment.items() if name != MARK},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        took = time.monotonic() - begun
        if done.returncode != 0:
            raise ChildProcessError(
                f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return took

    def stop(self) -> float:
        """Stop the backend as its users do; return seconds until no process of it is left.

        Raises:
            TimeoutError: something is left after `STOP_PATIENCE`.
        """
        everyone = self.members()
        begun = time.monotonic()
        command = self.variant.stop(self.place, self.root)
        asking = threading.Thread(target=self._ask_quietly, args=(command,), daemon=True)
        asking.start()
        left = self.gone(everyone, STOP_PATIENCE)
        took = time.monotonic() - begun
        asking.join(PATIENCE)
        if left:
            raise TimeoutError(f"{len(left)} processes did not stop")
        return took

    def gone(self, pids: set[int], patience: float) -> set[int]:
        """Wait until none of the processes is left, nor any that bears the mark; return those that are after `patience` seconds."""
        deadline = time.monotonic() + patience
        for pid in pids:
            _wait_for_end(pid, deadline)
        self._process.poll()  # reaps the first one, if it has ended
        left = {pid for pid in pids | set(marked(self.place.mark)) if alive(pid)}
        while left and time.monotonic() < deadline:
            time.sleep(PAUSE)
            self._process.poll()
            left = {pid for pid in left | set(marked(self.place.mark)) if alive(pid)}
        return left

    def clear(self) -> None:
        """Kill whatever is left, until nothing is: what dies may have been restarted meanwhile."""
        for _ in range(50):
            left = self.members()
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(PAUSE)
        self._process.wait(PATIENCE)

    def _ask_quietly(self, command: Sequence[str]) -> None:
        with suppress(ChildProcessError, subprocess.TimeoutExpired):
            self.ask(command)

    def _ask_gateway(self, answered: list[float]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.place.gateway_pid(PATIENCE) is not None:
                answered.append(time.monotonic())
                return
            time.sleep(PAUSE)


@contextmanager
def living(variant: Variant, place: Place) -> Iterator[Life]:
    """A life, just begun; what goes wrong in it is raised with what was printed until then."""
    command = variant.begin(place)
    with (place.directory / "output").open("wb") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=place.directory,
            env=dict(place.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    life = Life(variant, place, process, begun)
    try:
        yield life
    except (TimeoutError, ChildProcessError) as problem:
        raise type(problem)(f"{problem}\n{place.output()}") from problem
    finally:
        life.clear()


def marked(mark: str) -> Iterator[int]:
    """Processes whose environment says that they belong to this life, descendants or not."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes():
                    yield int(entry.name)


def alive(pid: int) -> bool:
    """Whether a process exists and is not only waiting to be reaped."""
    try:
        return psutil.Process(pid).status() not in {
            psutil.STATUS_ZOMBIE,
            psutil.STATUS_DEAD,
        }
    except psutil.NoSuchProcess:
        return False


def _wait_for_end(pid: int, deadline: float) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(descriptor)
