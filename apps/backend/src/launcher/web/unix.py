"""The socket file: only its owner may open it, from the first moment on, and a leftover is replaced in one step."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from launcher.errors import RunDirectoryError

ELSEWHERE = "choose another place with LAUNCHER_RUN_DIR or [launcher] run_dir"

BACKLOG = 64
"""Connections that may wait to be accepted."""


def bind_private(path: Path) -> socket.socket:
    """Return a listening unix socket at ``path`` with mode 0600.

    It is bound under another name, listens, and is then moved to its place: nobody ever sees a socket there that refuses connections or
    that others may open. The umask of the process is not touched, since other threads may be making files.

    Raises:
        RunDirectoryError: the directory cannot be used, or the path is too long for a socket.
    """
    directory = path.parent
    # The process number keeps it apart from a leftover; it is not longer than the final name, whose length was checked.
    unfinished = directory / f"{os.getpid()}.new"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_private(directory)
        with contextlib.suppress(
            OSError
        ):  # takes effect on Linux; elsewhere the directory protects until the chmod below
            os.fchmod(listener.fileno(), 0o600)
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
        listener.bind(str(unfinished))
        unfinished.chmod(0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        unfinished.replace(path)
    except OSError as error:
        listener.close()
        with contextlib.suppress(OSError):
            unfinished.unlink()
        reason = error.strerror or str(error)
        raise RunDirectoryError(f"cannot make the control socket {path}: {reason}", hint=ELSEWHERE) from error
    return listener


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another that has the same path later; ``None`` when there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove_own(path: Path, own: tuple[int, int] | None) -> None:
    """Remove the socket file, unless another launcher has put its own there since."""
    if own is not None and identity(path) == own:
        with contextlib.suppress(OSError):
            path.unlink()


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, f"{directory} belongs to another user (uid {found.st_uid})")
    if stat.S_IMODE(found.st_mode) & 0o077:
        directory.chmod(0o700)
