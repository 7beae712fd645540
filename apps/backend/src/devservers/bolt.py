"""Run ArcadeDB, which speaks Bolt and Cypher: `python -m devservers.bolt --data DIR --port N [--ephemeral]`.

Connect with the official Neo4j driver as user `root` with the password in `NEO4J_PASSWORD` (default
`newsdesk-local`), database `neo4j`. Stop it with SIGTERM (or SIGINT); closing the databases takes up to about
two seconds.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from devservers.foreground import (
    LOOPBACK,
    CannotStart,
    Launch,
    Request,
    empty,
    free_port,
    require_program,
    serve,
    wheel_folder,
)

DEFAULT_PORT = 7687
DEFAULT_PASSWORD = "newsdesk-local"
MINIMUM_PASSWORD = 8
"""Shortest password ArcadeDB accepts, in characters."""

_STATE = "state"
_ARGUMENTS = "java.arguments"
_SECRET = "password.sha256"
_JVM = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "--add-modules",
    "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens",
    "java.base/java.nio=ALL-UNNAMED",
    "-Djava.awt.headless=true",
)


def prepare(request: Request) -> Launch:
    """Write the server's arguments to a private file and return the command line that reads it.

    The password is in that file, not on the command line, where every user of the machine could read it.
    """
    package = wheel_folder("arcadedb_embedded", "arcadedb-embedded", "NEO4J_URL")
    java = require_program(package / "jre" / "bin" / "java", "NEO4J_URL")
    password = os.environ.get("NEO4J_PASSWORD") or DEFAULT_PASSWORD
    if len(password) < MINIMUM_PASSWORD:
        raise CannotStart(
            f"NEO4J_PASSWORD has {len(password)} characters",
            f"set one of at least {MINIMUM_PASSWORD}, or unset it for the default",
        )
    if request.ephemeral:
        empty(request.data, [_STATE, _SECRET])
    state = request.data / _STATE
    state.mkdir(mode=0o700, exist_ok=True)
    _apply_password(request.data, state, password)
    arguments = request.data / _ARGUMENTS
    _write_private(
        arguments,
        "\n".join(_quoted(line) for line in _arguments(package, state, request.port, password)) + "\n",
    )
    return Launch([java, f"@{arguments}"], os.environ, request.data)


def _arguments(package: Path, state: Path, port: int, password: str) -> list[str]:
    server = {
        "rootPath": str(state),
        "rootPassword": password,
        "defaultDatabases": "neo4j[]",
        "httpIncomingHost": LOOPBACK,
        "httpIncomingPort": str(free_port()),
        "plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    }
    return [
        *_JVM,
        *("-cp", str(package / "jars" / "*")),
        *(f"-Darcadedb.server.{key}={value}" for key, value in server.items()),
        f"-Darcadedb.bolt.host={LOOPBACK}",
        f"-Darcadedb.bolt.port={port}",
        "com.arcadedb.server.ArcadeDBServer",
    ]


def _apply_password(data: Path, state: Path, password: str) -> None:
    """Let a changed password take effect: the server keeps the first one it saw in its list of users."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    remembered = data / _SECRET
    if not remembered.exists() or remembered.read_text().strip() != digest:
        empty(state, ["config/server-users.jsonl"])
        _write_private(remembered, digest + "\n")


def _quoted(argument: str) -> str:
    """One argument in the syntax of a Java argument file, where a backslash and a quote are escaped by a backslash."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def main(argv: list[str] | None = None) -> int:
    """Command line entry; returns 2 if the server cannot be started, otherwise never returns."""
    return serve("bolt", DEFAULT_PORT, prepare, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    raise SystemExit(main())
