"""``launcher down``."""

from __future__ import annotations

import fcntl
import json
import os
import time
from typing import TYPE_CHECKING

from launcher.cli.messages import say
from launcher.cli.parser import add_project, add_timeout, paths_from
from launcher.client import Client
from launcher.errors import CommandFailed, ConnectionLost, ExitCode, LauncherError, NotRunning, WaitTimeout

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from launcher.config.locate import RunPaths

DEFAULT_TIMEOUT = 120.0
"""Seconds; the launcher itself ends its stop after ``stop_timeout`` (30 s) by force."""

LOOK = 0.05
"""Seconds between two looks at whether the launcher is gone."""

TELL = 2.0
"""Seconds after which it is said, again and again, who is still being waited for."""


def configure(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Add the arguments."""
    add_project(parser)
    add_timeout(
        parser, f"longest wait until everything is gone (default: {DEFAULT_TIMEOUT:g}); ends with 6 after it"
    )


def run(args: argparse.Namespace) -> int:
    """Stop the backend; returns when the launcher has let go of its lock and its process has ended."""
    paths = paths_from(args)
    client = Client(paths.socket)
    try:
        status = client.shutdown()
    except NotRunning:
        return _without_answer(paths)
    except ConnectionLost:
        pid = 0
    else:
        pid = status["launcher"]["pid"]
    _await_end(paths.lock, pid, client, DEFAULT_TIMEOUT if args.timeout is None else args.timeout)
    say("stopped")
    return ExitCode.OK


def _without_answer(paths: RunPaths) -> int:
    """Tell a launcher that is not there from one that cannot be reached: the latter holds the lock.

    Raises:
        NotRunning: there is none.
        CommandFailed: there is one.
    """
    if not locked(paths.lock):
        raise NotRunning(f"no launcher is running for {paths.root}", hint="start one with: launcher up")
    pid = holder(paths.lock)
    raise CommandFailed(
        f"the launcher{f' (PID {pid})' if pid else ''} is running, but its control socket cannot be reached",
        hint=f"it may be starting or ending: try again; otherwise: kill {pid or 'PID'}",
    )


def _await_end(lock: Path, pid: int, client: Client, timeout: float) -> None:
    """Wait until the launcher is gone.

    Raises:
        WaitTimeout: it is not, after ``timeout`` seconds; says who is still being waited for.
    """
    begin = time.monotonic()
    tell = begin + TELL
    while locked(lock) or alive(pid):
        now = time.monotonic()
        if now - begin > timeout:
            raise WaitTimeout(
                f"not stopped after {timeout:g} s{_still_there(client)}",
                hint="it goes on stopping; see: launcher status",
            )
        if now >= tell:
            tell = now + TELL
            if names := _still_there(client):
                say(f"stopping{names}")
        time.sleep(LOOK)


def _still_there(client: Client) -> str:
    try:
        components = client.status()["components"]
    except LauncherError:
        return ""
    names = [
        item["name"] for item in components if item["phase"] in {"starting", "ready", "unready", "stopping"}
    ]
    return f"; still waiting for: {', '.join(names)}" if names else ""


def locked(lock: Path) -> bool:
    """Whether a launcher holds the lock file."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(lock: Path) -> int:
    """Return the process that wrote the lock file, 0 when it is not known."""
    try:
        return int(json.loads(lock.read_bytes())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def alive(pid: int) -> bool:
    """Whether the process exists and has not ended yet; a zombie has ended."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (not worth a Path)
            return file.read().rpartition(b")")[2].split()[:1] != [b"Z"]
    except OSError:
        return os.path.isdir("/proc/self") is False  # noqa: PTH112 (no /proc: kill has answered)
