"""What the three development servers share: arguments, one owner per data directory, and becoming the server.

Each `python -m devservers.NAME` prepares its data directory and then *replaces itself* with the server
(`os.execv`), so whoever started it supervises the server process directly: same PID, same output, same
signals, same exit status.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

LOOPBACK = "127.0.0.1"
"""The only address a development server listens on: these servers are set up for convenience, not for a network."""

EXIT_CANNOT_START = 2
"""Exit status when the request itself cannot be met: no wheel for this platform, port taken, unusable directory."""

LOCK_WAIT_SECONDS = 2.0
"""How long to wait for a previous owner of the data directory: the workers of a killed server need a moment to leave."""


class CannotStart(Exception):
    """The server cannot be started; carries what to do about it."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for.

    `data` is absolute and exists; `port` is on loopback; `ephemeral` starts empty and trades durability for
    speed; `lock` is the file descriptor that marks `data` as owned, to be inherited by the server.
    """

    data: Path
    port: int
    ephemeral: bool
    lock: int


@dataclass(frozen=True, slots=True)
class Launch:
    """The program to become: its argument list, its environment, and what to do just before (dropping privileges).

    It runs in `directory`, where programs that write beside themselves do no harm.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    before_exec: Callable[[], None] | None = None


def serve(name: str, default_port: int, prepare: Callable[[Request], Launch], argv: Sequence[str]) -> int:
    """Prepare and become the server called `name`; returns only when that is impossible (exit status 2)."""
    options = _parse(name, default_port, argv)
    signal.signal(signal.SIGTERM, _leave)
    try:
        data = _directory(options.data)
        lock = _own(data)
        _require_free(options.port)
        _become(prepare(Request(data, options.port, options.ephemeral, lock)))
    except CannotStart as problem:
        print(f"cannot start {name}: {problem}\nhint: {problem.hint}", file=sys.stderr)
    return EXIT_CANNOT_START


def wheel_folder(module: str, distribution: str, instead: str) -> Path:
    """The folder of an installed package, found without importing it.

    Raises `CannotStart` if it is not installed, which is also the case where no wheel exists for this
    platform; `instead` says which setting names a server of one's own.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise CannotStart(
            f"the package {distribution} is not installed (it may have no wheel for this platform)",
            f"install {distribution}, or run a server of your own and set {instead}",
        )
    return Path(spec.origin).parent


def require_program(path: Path, instead: str) -> str:
    """`path` as text if it can be executed, else `CannotStart`."""
    if not os.access(path, os.X_OK):
        raise CannotStart(
            f"{path} is missing or cannot be executed on this platform",
            f"reinstall the development dependencies, or run a server of your own and set {instead}",
        )
    return str(path)


def empty(data: Path, names: Sequence[str]) -> None:
    """Remove the entries this package itself puts into `data`; anything else there is left alone."""
    for name in names:
        path = data / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _parse(name: str, default_port: int, argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"devservers.{name}", description=f"Run a real {name} server on loopback."
    )
    parser.add_argument(
        "--data", type=Path, default=Path(".launcher/data") / name, help="data directory (%(default)s)"
    )
    parser.add_argument("--port", type=int, default=default_port, help="TCP port on 127.0.0.1 (%(default)s)")
    parser.add_argument(
        "--ephemeral", action="store_true", help="start empty and do not sync: for tests only"
    )
    return parser.parse_args(argv)


def _leave(signum: int, _frame: FrameType | None) -> NoReturn:
    """Unwind on SIGTERM while still preparing, so that a helper process does not outlive us."""
    raise SystemExit(128 + signum)


def _directory(path: Path) -> Path:
    data = path.absolute()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise CannotStart(
            f"cannot create {data}: {problem.strerror}", "choose another directory with --data"
        ) from problem
    return data


def _own(data: Path) -> int:
    """Lock `data` for as long as the server or any of its workers lives.

    The descriptor is inherited across exec and fork, and the kernel releases the lock with the last copy: a
    free lock proves that no process of an earlier server is left, even after a SIGKILL.
    """
    lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
            return lock
        if time.monotonic() >= deadline:
            owner = (data / "lock").read_text().strip() or "unknown"
            raise CannotStart(
                f"{data} is in use by PID {owner}", "stop that server, or choose another --data"
            )
        time.sleep(0.05)


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError) as problem:
            raise CannotStart(
                f"port {port} on {LOOPBACK} cannot be bound: {problem}", "choose another --port"
            ) from problem


def _become(launch: Launch) -> NoReturn:
    os.chdir(launch.directory)
    if launch.before_exec is not None:
        launch.before_exec()
    # Python ignores SIGPIPE, and an ignored signal stays ignored across exec; the server expects the default.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(launch.argv[0], list(launch.argv), dict(launch.environment))
