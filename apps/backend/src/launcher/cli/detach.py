"""Start the backend in the background and stay until its start is over."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from launcher.cli.messages import say
from launcher.cli.parser import paths_from
from launcher.cli.render import up_lines
from launcher.client import Client
from launcher.errors import AlreadyRunning, ExitCode, LauncherError, NotRunning, RunDirectoryError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from launcher.documents import StatusDocument

OUTPUT = "launcher.out"
"""Name of the file, beside the logs, that gets what a launcher in the background says."""

LOOK = 0.1
"""Seconds between two looks at how the start goes."""

CLOCK_SLACK = 1.0
"""Seconds by which a launcher may seem older than the command that started it."""


def start_in_background(args: argparse.Namespace) -> int:
    """Start a launcher in a session of its own; return when everything is up, or with its exit code when it has ended.

    Raises:
        AlreadyRunning: a launcher is running for this project.
        RunDirectoryError: the directory of the logs cannot be written.
    """
    paths = paths_from(args)
    client = Client(paths.socket)
    _refuse_second(client)
    path = paths.log_dir / OUTPUT
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("ab") as output:
            begin = output.tell()
            # -P: without it a launcher.py in the working directory would be run in our place.
            command = [sys.executable, "-P", "-m", "launcher", "up", "--attached", "--quiet", *args.argv]
            started = time.time()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
    except OSError as error:
        raise RunDirectoryError(
            f"cannot write {path}: {error.strerror or error}", hint="make it writable"
        ) from error
    try:
        return _follow(process, client, started, path, begin)
    except KeyboardInterrupt:
        say("\nthe start goes on in the background; stop it with: launcher down")
        raise


def _refuse_second(client: Client) -> None:
    try:
        pid = client.status()["launcher"]["pid"]
    except NotRunning:
        return
    raise AlreadyRunning(
        f"cannot start: a launcher is already running for this project (PID {pid})",
        hint="see it with: launcher status; stop it with: launcher down",
    )


def _follow(process: subprocess.Popen[bytes], client: Client, started: float, path: Path, begin: int) -> int:
    """Wait until the start is over, one way or the other."""
    shown = ""
    while (code := process.poll()) is None:
        status = _status_of_new(client, started)
        if status is not None:
            state = status["launcher"]["state"]
            if state in {"up", "degraded"}:
                say("\n".join(up_lines(status)))
                say(f"  messages: {path}")
                return ExitCode.OK if state == "up" else ExitCode.NOT_UP
            busy = ", ".join(item["name"] for item in status["components"] if item["phase"] == "starting")
            if busy and busy != shown and state == "starting":
                shown = busy
                say(f"starting: {busy}")
        time.sleep(LOOK)
    with path.open("rb") as output:
        output.seek(begin)
        said = output.read().decode("utf-8", "replace").rstrip()
    if said:
        say(said)
    if code:
        say(f"the launcher ended with {code} before everything was up")
    return code if code >= 0 else 128 - code


def _status_of_new(client: Client, started: float) -> StatusDocument | None:
    """Return the status of the launcher that was just started; ``None`` while it cannot be asked."""
    from datetime import datetime

    try:
        status = client.status()
    except LauncherError:
        return None
    at = datetime.fromisoformat(status["launcher"]["started_at"]).timestamp()
    return status if at >= started - CLOCK_SLACK else None
