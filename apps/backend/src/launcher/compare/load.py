"""Give the backend work: requests of our own, or a program of the user's."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONNECTIONS = 2
"""Kept-alive connections to each component; enough for requests to meet one another."""

REQUESTS = 150
"""Requests on each connection that count; two connections give three values beyond the 99th percentile."""

WARM_UP = 10
"""Requests on each connection before them."""

ANSWER_TIMEOUT = 5.0
"""Seconds that an answer may take."""

LONGEST = 15.0
"""Seconds after which no further request is made in a run."""

LOAD_PATIENCE = 600.0
"""Seconds after which a program given with ``--load`` is killed."""


@dataclass(slots=True)
class Answers:
    """What came back from one component.

    Attributes:
        milliseconds: of every request that counts, in no order.
        statuses: how often each HTTP status came.
        lost: requests without an answer.
    """

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0

    def trouble(self) -> str:
        """Return in words which answers nobody wants to measure; empty for none."""
        refused = [f"with {status}" for status in sorted(self.statuses) if status >= 400]
        return ", ".join([*refused, "not at all"] if self.lost else refused)


def ask(urls: Mapping[str, str], requests: int = REQUESTS) -> dict[str, Answers]:
    """Ask all components at once, each over a few kept-alive connections, one request after the other on each.

    Args:
        urls: by component.
        requests: on each connection.
    """
    answers = {name: Answers() for name in urls}
    deadline = time.monotonic() + LONGEST
    threads = [
        threading.Thread(target=_converse, args=(url, requests, deadline, answers[name]), daemon=True)
        for name, url in urls.items()
        for _ in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST + 2 * ANSWER_TIMEOUT)
    return answers


def _converse(url: str, requests: int, deadline: float, answers: Answers) -> None:
    """Ask on one connection until all was asked or time is over; appending is atomic, so no lock is needed."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=ANSWER_TIMEOUT)
    try:
        for number in range(-WARM_UP, requests):
            if time.monotonic() > deadline:
                return
            began = time.perf_counter()
            try:
                connection.request("GET", target)
                response = connection.getresponse()
                _read(response)
            except (OSError, HTTPException):
                answers.lost += 1
                connection.close()
                continue
            if number >= 0:
                answers.milliseconds.append(1000 * (time.perf_counter() - began))
            answers.statuses[response.status] += 1
    finally:
        connection.close()


def _read(response: HTTPResponse) -> None:
    """Read an answer to its end.

    Raises:
        TimeoutError: it has none in time; a stream of events may go on for ever.
    """
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while response.read1(65536):
        if time.monotonic() > deadline:
            raise TimeoutError
    response.close()  # read1 leaves an answer of a known length open, and the connection would take no further request


@dataclass(frozen=True, slots=True)
class LoadRun:
    """How a program went.

    Attributes:
        seconds: that it took.
        code: its exit code, negative for a signal; ``None`` when it was killed for taking too long.
    """

    seconds: float
    code: int | None


def run_load(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    output: Path,
    patience: float = LOAD_PATIENCE,
) -> LoadRun:
    """Run a program to its end.

    Args:
        command: the program with its arguments; no shell is involved.
        directory: to run it in.
        environment: of the program.
        output: file that gets what it prints.
        patience: seconds after which it is killed, with its process group.

    Raises:
        OSError: it cannot be started.
    """
    with output.open("ab") as file:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if code is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return LoadRun(time.monotonic() - began, code)
