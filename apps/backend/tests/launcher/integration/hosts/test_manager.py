"""The service manager: what it gives is taken once, and what it is told comes from the process that it knows."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.hosts.manager import Manager

DEADLINE = 30.0

GUARDED = """
    import os, sys
    from launcher.hosts.guard import guarded
    from launcher.hosts.manager import from_environment

    manager = from_environment()

    def main():
        manager.tell("STATUS=one")
        manager.tell("READY=1\\nSTATUS=two")
        print(os.getpid(), "NOTIFY_SOCKET" in os.environ, flush=True)
        sys.stdin.read()
        manager.tell("STOPPING=1")
        return 7

    sys.exit(guarded(main, manager))
"""


@contextmanager
def listener_for_messages(path: str) -> Iterator[socket.socket]:
    """A fake manager's end: a datagram socket that is told who sent what."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        end.settimeout(DEADLINE)
        end.bind(path)
        yield end


def received(end: socket.socket) -> tuple[int, str]:
    """Return the PID of the sender, as the kernel says, and the message."""
    data, ancillary, _, _ = end.recvmsg(4096, socket.CMSG_SPACE(12))
    ((_, kind, credentials),) = ancillary
    assert kind == socket.SCM_CREDENTIALS
    return struct.unpack("iII", credentials)[0], data.decode()


@pytest.mark.parametrize("where", ["path", "abstract"])
def test_the_guard_passes_on_what_the_launcher_tells(tmp_path: Path, where: str) -> None:
    """Every message arrives whole and in order, from the process that was started; the launcher's own number never shows."""
    address = str(tmp_path / "notify") if where == "path" else f"@launcher-test-{os.getpid()}"
    with listener_for_messages(f"\0{address[1:]}" if where == "abstract" else address) as end:
        guard = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(GUARDED)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NOTIFY_SOCKET": address},
        )
        with guard:
            assert guard.stdin is not None
            assert guard.stdout is not None
            child, seen = guard.stdout.readline().split()
            assert seen == "False"
            assert int(child) != guard.pid
            assert [received(end) for _ in range(2)] == [
                (guard.pid, "STATUS=one"),
                (guard.pid, "READY=1\nSTATUS=two"),
            ]
            guard.stdin.close()
            assert received(end) == (guard.pid, "STOPPING=1")
            assert guard.wait(DEADLINE) == 7


def test_a_guard_with_a_manager_still_passes_signals_on(tmp_path: Path) -> None:
    """The messages share one wait with the signals; neither keeps the other from arriving."""
    code = GUARDED.replace(
        "sys.stdin.read()",
        # Blocked and waited for: a signal that comes before a pause() would leave that waiting for ever.
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); print(flush=True); "
        "signal.sigwait({signal.SIGTERM}); manager.tell('STATUS=term')",
    )
    address = str(tmp_path / "notify")
    with listener_for_messages(address) as end:
        guard = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NOTIFY_SOCKET": address},
        )
        with guard:
            assert guard.stdout is not None
            guard.stdout.readline()
            guard.stdout.readline()
            guard.send_signal(signal.SIGTERM)
            assert guard.wait(DEADLINE) == 7
            told = [received(end)[1] for _ in range(4)]
            assert told == ["STATUS=one", "READY=1\nSTATUS=two", "STATUS=term", "STOPPING=1"]


def test_nothing_of_a_burst_is_lost(tmp_path: Path) -> None:
    """A hundred messages at once, more than a queue of datagrams may hold, arrive in order: the last of them may be READY=1."""
    code = GUARDED.replace("sys.stdin.read()", "[manager.tell(f'STATUS={number}') for number in range(100)]")
    address = str(tmp_path / "notify")
    with listener_for_messages(address) as end:
        guard = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": address},
        )
        with guard:
            told = [received(end)[1] for _ in range(103)]
            assert guard.wait(DEADLINE) == 7
    assert told[2:] == [*(f"STATUS={number}" for number in range(100)), "STOPPING=1"]


def test_nobody_to_tell() -> None:
    """Without a manager, or with one that is gone, telling is no error and takes no time."""
    assert Manager().tell("READY=1")
    assert Manager(address="/no/such/socket").tell("READY=1")


def test_a_manager_that_does_not_listen_is_not_waited_for(tmp_path: Path) -> None:
    """A full queue drops messages instead of blocking the supervisor."""
    address = str(tmp_path / "notify")
    with listener_for_messages(address) as end:
        taken = [Manager(address=address).tell("STATUS=again") for _ in range(2000)]
        assert (taken[0], taken[-1]) == (True, False)
        assert received(end) == (os.getpid(), "STATUS=again")


# ---- what is given -------------------------------------------------------------------------------------------------------------------


def given(**changes: str) -> str:
    """Return what a fresh process makes of the variables, with two descriptors open from 3 on."""
    code = """
        import os, sys
        from launcher.errors import LauncherError
        from launcher.hosts.manager import from_environment
        os.dup2(0, 3); os.dup2(0, 4)
        environ = {name: value.replace("SELF", str(os.getpid())) for name, value in eval(sys.argv[1]).items()}
        try:
            manager = from_environment(environ)
        except LauncherError as error:
            print("error", error.message, error.hint)
        else:
            print([tuple(each) for each in manager.sockets], repr(manager.address), manager.watchdog, environ, os.get_inheritable(3))
    """
    environ = {"LISTEN_PID": "SELF", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "api:admin", "KEPT": "1", **changes}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), repr(environ)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, "[(3, 'api'), (4, 'admin')] '' 0.0"),
        ({"LISTEN_FDNAMES": ""}, "[(3, ''), (4, '')] '' 0.0"),
        ({"LISTEN_FDNAMES": "api"}, "[(3, 'api'), (4, '')] '' 0.0"),
        ({"LISTEN_FDS": "0"}, "[] '' 0.0"),
        ({"LISTEN_FDS": "two"}, "[] '' 0.0"),
        ({"LISTEN_PID": "1"}, "[] '' 0.0"),
        ({"LISTEN_PID": ""}, "[] '' 0.0"),
        ({"LISTEN_FDS": "1", "NOTIFY_SOCKET": "/run/n"}, "[(3, 'api')] '/run/n' 0.0"),
        ({"LISTEN_FDS": "1", "NOTIFY_SOCKET": "@n"}, "[(3, 'api')] '@n' 0.0"),
        ({"LISTEN_FDS": "1", "NOTIFY_SOCKET": "vsock:2:1"}, "[(3, 'api')] '' 0.0"),
        ({"LISTEN_PID": "1", "WATCHDOG_USEC": "1500000"}, "[] '' 1.5"),
        ({"LISTEN_PID": "1", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "SELF"}, "[] '' 1.5"),
        ({"LISTEN_PID": "1", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, "[] '' 0.0"),
    ],
)
def test_what_is_taken(changes: dict[str, str], result: str) -> None:
    """What is meant for this process is taken, what was inherited by accident is not, and nothing of it stays in the environment."""
    inheritable = "True" if result.startswith("[]") else "False"
    assert given(**changes) == f"{result} {{'KEPT': '1'}} {inheritable}"


def test_sockets_that_are_not_there() -> None:
    """A program in between that closed them is a start that cannot work, and says so."""
    said = given(LISTEN_FDS="99")
    assert said.startswith(
        "error the service manager announced 99 sockets (LISTEN_FDS), but file descriptor "
    )
    assert "start the launcher itself as the service" in said
