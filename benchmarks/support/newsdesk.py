"""The reference backend in three variants, and how to see from outside that it works, whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.support.measure import tree, until
from benchmarks.support.ports import free_port
from benchmarks.support.servers import BACKEND, PASSWORD, USER, Servers
from services.pipeline import DIRECTOR, PIPELINE

TEXT = (
    "Neil Armstrong stepped onto the Moon in July 1969. Buzz Aldrin followed him a few minutes later. "
    "Michael Collins stayed in orbit. The crew came home safely after eight days."
)

PATIENCE = 60.0
"""Seconds that the backend may take to start, to work on an article or to stop."""


class Variant(StrEnum):
    """How the same backend is run."""

    LEGACY = "legacy"
    MULTI = "multi"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one life of the backend takes place; the namespace is new, so that no earlier life can be mistaken for it."""

    directory: Path
    environment: Mapping[str, str]
    port: int
    namespace: str
    redis_url: str
    migrate: bool


class Backend:
    """The running backend: one process in `single` and `multi`, with children, or one for each service."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]], place: Place, started: float) -> None:
        """`started` is the monotonic time at which the first process was begun."""
        self.place = place
        self.started = started
        self._processes = processes

    @property
    def pids(self) -> list[int]:
        """The processes that were started; their descendants belong to the backend as well."""
        return [process.pid for process in self._processes]

    def all_ready(self) -> float:
        """Wait until the gateway answers and every agent reads its stream; return seconds since the start.

        Raises:
            TimeoutError: they do not within `PATIENCE`.
            ChildProcessError: a process has ended instead.
        """
        seen: list[float] = []
        # A request waits in the listen queue of a launcher that holds the socket: hence a thread of its own.
        gateway = threading.Thread(target=self._gateway_answers, args=(seen,), daemon=True)
        gateway.start()
        with Redis.from_url(self.place.redis_url, decode_responses=True) as redis:
            reading = until(
                lambda: self._agents_read(redis),
                "all agents reading their streams",
                PATIENCE,
            )
        gateway.join(PATIENCE)
        if not seen:
            raise TimeoutError("the gateway does not answer")
        return max(reading, *seen) - self.started

    def work(self) -> None:
        """Post an article and wait until all seven agents have done their part."""
        article = f"bench-{uuid.uuid4().hex}"
        self._call("/articles", {"id": article, "title": "Apollo 11", "body": TEXT})
        until(
            lambda: self._call(f"/articles/{article}")["status"] == "complete",
            "a complete article",
            PATIENCE,
            0.05,
        )

    def stop(self) -> float:
        """Ask every process that was started to stop; return seconds until nothing is left.

        Raises:
            ChildProcessError: a process ended with another code than 0, or something outlived it.
        """
        began = time.monotonic()
        everyone = tree(self.pids)
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(PATIENCE) for process in self._processes]
        took = time.monotonic() - began
        left = [process.pid for process in everyone if process.is_running()]
        # A program without a handler of its own may end by the very signal it was asked with.
        if left or any(code not in {0, -signal.SIGTERM} for code in codes):
            raise ChildProcessError(f"exit codes {codes}, left behind {left}\n{self.output()}")
        return took

    def clear(self) -> None:
        """Kill whatever is left."""
        for process in tree(self.pids):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        for started in self._processes:
            started.wait()

    def output(self) -> str:
        """The end of what the processes have printed."""
        return (self.place.directory / "output").read_text(errors="replace")[-3000:]

    def _gateway_answers(self, seen: list[float]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError):
                self._call("/health")
                seen.append(time.monotonic())
                return
            time.sleep(0.01)

    def _agents_read(self, redis: Redis) -> bool:
        for process in self._processes:
            if process.poll() is not None:
                raise ChildProcessError(f"ended with {process.returncode}\n{self.output()}")
        streams = redis.pipeline(transaction=False)
        for stage in PIPELINE:
            stream = "results" if stage == DIRECTOR else "articles"
            streams.xinfo_consumers(f"{self.place.namespace}:{stream}", stage.name)
        answers = streams.execute(raise_on_error=False)
        return all(isinstance(answer, list) and answer for answer in answers)

    def _call(self, path: str, body: Mapping[str, str] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.place.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)


def environment_of_a_user() -> dict[str, str]:
    """Our environment with the virtual environment in place, and without what would make a start slow or special."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAUNCHER_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept


def make_place(directory: Path, where: Servers, *, migrate: bool) -> Place:
    """A copy of the declaration in `directory`, with a port and a namespace of its own; the directory may have been one before.

    `migrate` keeps the job that creates the tables. It is no service: without it the launcher has to do what a start by hand does.
    """
    directory.mkdir(exist_ok=True)
    declaration = (BACKEND / "launcher.toml").read_text()
    if not migrate:
        declaration = declaration.replace('"migrate", ', "")
    # The probe is told the password, which the backend takes from a variable of its own.
    address = f"127.0.0.1:{where.bolt}"
    declaration = declaration.replace('"${NEO4J_URL:-}"', f'"bolt://{USER}:{PASSWORD}@{address}"')
    (directory / "launcher.toml").write_text(declaration)
    if not (directory / "src").exists():
        (directory / "src").symlink_to(BACKEND / "src")
    namespace = f"bench-{uuid.uuid4().hex[:12]}"
    environment = {
        **environment_of_a_user(),
        **where.environment(),
        "NEWSDESK_NAMESPACE": namespace,
        "NEWSDESK_CONSUMER": namespace,
    }
    return Place(directory, environment, free_port(), namespace, where.redis_url, migrate)


@contextmanager
def running(variant: Variant, place: Place) -> Iterator[Backend]:
    """The backend, just begun; nothing of it is left at the end. What was too slow is raised with what was printed until then."""
    environment = dict(place.environment)
    if variant is Variant.LEGACY:
        environment["PYTHONPATH"] = "src"
        commands = [["uvicorn", "api.main:app", "--port", str(place.port)]]
        commands += [["python", "-m", "agents.launcher", stage.name] for stage in PIPELINE]
    else:
        command = [
            "launcher",
            "up",
            "--mode",
            variant,
            "--set",
            f"components.api.port={place.port}",
        ]
        commands = [command if place.migrate else [*command, "--exclude", "migrate"]]
    processes: list[subprocess.Popen[bytes]] = []
    backend = Backend(processes, place, time.monotonic())
    try:
        with (place.directory / "output").open("wb") as output:
            processes.extend(
                subprocess.Popen(
                    command,
                    cwd=place.directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                for command in commands
            )
        yield backend
    except TimeoutError as late:
        raise TimeoutError(f"{late}\n{backend.output()}") from late
    finally:
        backend.clear()
