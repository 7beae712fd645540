"""The run directory: one launcher for each project, found by any terminal."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import AlreadyRunning, RunDirectoryError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def held(run_dir: Path, root: str) -> Iterator[None]:
    """Own the run directory for the time of the context.

    Ownership is a lock of the kernel, so what a crashed launcher left behind is simply taken over, and there is no moment at which two
    launchers believe to be alone.

    Raises:
        AlreadyRunning: another launcher holds it.
        RunDirectoryError: the directory cannot be made or written.
    """
    descriptor = _locked(run_dir)
    try:
        about = {"pid": os.getpid(), "started_at": time.time(), "root": root}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        yield
    finally:
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _locked(run_dir: Path) -> int:
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _owned(run_dir)
        ignore = run_dir / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        descriptor = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"cannot use the run directory {run_dir}: {error.strerror or error}"
        raise RunDirectoryError(
            message, hint="choose another with LAUNCHER_RUN_DIR or [launcher] run_dir"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 4096, 0)
        os.close(descriptor)
        raise AlreadyRunning(
            f"cannot start: a launcher is already running for this project{_described(holder)}",
            hint="see it with: launcher status; stop it with: launcher down",
        ) from None
    return descriptor


def _owned(run_dir: Path) -> None:
    """Refuse a directory that somebody else could have prepared."""
    status = run_dir.stat()
    if status.st_uid != os.getuid():
        message = f"cannot use the run directory {run_dir}: it belongs to another user (uid {status.st_uid})"
        raise RunDirectoryError(message, hint="choose another with LAUNCHER_RUN_DIR or [launcher] run_dir")
    run_dir.chmod(0o700)


def _described(holder: bytes) -> str:
    try:
        return f" (PID {json.loads(holder)['pid']})"
    except (ValueError, KeyError, TypeError):
        return ""
