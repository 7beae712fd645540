"""The client against the real server, and against servers that misbehave."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.client import Client, quoted
from launcher.errors import (
    CommandFailed,
    ConnectionLost,
    ExitCode,
    LauncherError,
    NotRunning,
    UnknownComponent,
    UsageError,
    WaitTimeout,
)
from tests.launcher.integration.web.scripted import Running, running


@pytest.fixture
def server() -> Iterator[Running]:
    with running() as started:
        yield started


@pytest.fixture
def client(server: Running) -> Client:
    return Client(server.path)


def test_documents(client: Client) -> None:
    """Status and components come back as they were sent."""
    status = client.status()
    assert status["name"] == "newsdesk"
    assert [item["name"] for item in status["components"]] == ["api", "db", "näme/x"]
    assert client.component("db")["kind"] == "command"
    assert client.component("näme/x")["name"] == "näme/x"


def test_commands_reach_the_supervisor(server: Running, client: Client) -> None:
    """Each with its timeout; without one it is what the declaration allows."""
    assert client.start("api", 2.5)["name"] == "api"
    client.start("api")
    client.stop("api")
    client.restart("api")
    client.stop("näme/x", 1)
    client.wait("api", "stopped", 4)
    client.wait("", "settled")
    assert [item["name"] for item in client.scale("api", 3)] == ["api"]
    client.scale("näme/x", -1, 2)
    assert client.shutdown()["launcher"]["pid"] == 77
    # Starting api: 30 s for the cache, 20 for db, 7 of its own, 5 to spare; stopping it: 3, and 5 to spare.
    assert server.control.calls[:9] == [
        ("start", "api", "2.5"),
        ("start", "api", "62"),
        ("stop", "api", "8"),
        ("restart", "api", "70"),
        ("stop", "näme/x", "1"),
        ("wait", "api", "stopped", "4"),
        ("wait", "", "settled", str(62 + 55 + 65)),
        ("scale", "api", "3", "70"),
        ("scale", "näme/x", "-1", "2"),
    ]
    assert server.control.calls[9][0] == "shutdown"


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (WaitTimeout("api is not ready after 2 s", hint="h"), WaitTimeout, ExitCode.TIMEOUT),
        (CommandFailed("api failed", hint="h"), CommandFailed, ExitCode.FAILED),
        (UsageError("no", hint="h"), UsageError, ExitCode.USAGE),
        (UnknownComponent("gone", hint="h"), UnknownComponent, ExitCode.USAGE),
        (LauncherError("other", hint="h"), CommandFailed, ExitCode.FAILED),
    ],
)
def test_errors_arrive_as_themselves(
    server: Running, client: Client, raised: LauncherError, kind: type[LauncherError], code: ExitCode
) -> None:
    """Class, message, hint and exit code survive the way through HTTP."""
    server.control.error = raised
    with pytest.raises(LauncherError) as caught:
        client.restart("api")
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (raised.message, "h", code)


def test_an_unknown_component(client: Client) -> None:
    """The likely one is named."""
    with pytest.raises(UnknownComponent) as caught:
        client.component("apy")
    assert caught.value.hint == "did you mean api?"


def test_nobody_there() -> None:
    """No directory, no socket, a leftover socket: nothing is running, with exit code 4."""
    with tempfile.TemporaryDirectory(prefix="ctl", dir="/tmp") as directory:
        path = Path(directory, "control.sock")
        with socket.socket(socket.AF_UNIX) as leftover:
            leftover.bind(str(path))
        Path(directory, "file").write_text("")
        for place in (path, Path(directory, "none", "control.sock"), Path(directory, "file", "control.sock")):
            with pytest.raises(NotRunning) as caught:
                Client(place).status()
            assert caught.value.exit_code == 4
            assert "launcher up" in caught.value.hint


def test_the_launcher_ends_in_the_middle(server: Running) -> None:
    """A command whose launcher ends fails and says so."""
    server.control.blocked = True
    failures: list[LauncherError] = []

    def command() -> None:
        try:
            Client(server.path).restart("api")
        except LauncherError as error:
            failures.append(error)

    thread = threading.Thread(target=command)
    thread.start()
    assert server.control.begun.wait(30)
    server.do(server.server.close())
    thread.join(30)
    assert isinstance(failures[0], ConnectionLost)
    assert "ended before it had answered" in failures[0].message


Behaviour = Callable[[socket.socket], None]


@pytest.fixture
def stub() -> Iterator[Callable[[Behaviour], Path]]:
    """Make servers that do one odd thing to each client."""
    with tempfile.TemporaryDirectory(prefix="ctl", dir="/tmp") as directory:
        listener = socket.socket(socket.AF_UNIX)
        path = Path(directory, "control.sock")
        listener.bind(str(path))
        listener.listen()
        threads: list[threading.Thread] = []

        def make(behaviour: Behaviour) -> Path:
            def serve() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    behaviour(connection)

            threads.append(threading.Thread(target=serve))
            threads[-1].start()
            return path

        yield make
        for thread in threads:
            thread.join(30)
        listener.close()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n[]",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}",
        b'HTTP/1.1 500 X\r\nContent-Length: 11\r\n\r\n{"error":1}',
    ],
)
def test_an_answer_that_is_none(stub: Callable[[Behaviour], Path], data: bytes) -> None:
    """Torn, endless or foreign answers are errors for people, never tracebacks."""
    path = stub(lambda connection: connection.sendall(data))
    with pytest.raises(CommandFailed):
        Client(path).status()


def test_a_launcher_that_does_not_answer(stub: Callable[[Behaviour], Path]) -> None:
    """A stopped process is noticed, and what to do is said."""
    done = threading.Event()

    def silent(_connection: socket.socket) -> None:
        done.wait(30)

    path = stub(silent)
    with pytest.raises(CommandFailed) as caught:
        Client(path, answer_timeout=0.1).status()
    done.set()
    assert "did not answer within 0.1 s" in caught.value.message


def test_quoting() -> None:
    """Every character of a name is safe in a path."""
    assert quoted("agents.wri-ter_1~") == "agents.wri-ter_1~"
    assert quoted("a/b c?ä%") == "a%2Fb%20c%3F%C3%A4%25"


def test_the_client_is_cheap_to_import() -> None:
    """It brings neither TLS, nor e-mail, nor asyncio, nor the server."""
    program = "import sys, launcher.client; print(*sys.modules)"
    # What measures coverage in child processes would import much of this by itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    heavy = {
        "ssl",
        "email",
        "http.client",
        "asyncio",
        "h11",
        "pathlib",
        "typing_extensions",
        "launcher.documents",
    }
    assert not heavy & set(ended.stdout.split())
