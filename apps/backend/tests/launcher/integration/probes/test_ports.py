"""Whoever holds a port is found and named, and a failed bind says what to do."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.probes import ports
from launcher.probes.ports import PortOwner, collides, explain_bind_error, program_name, who_listens
from tests.launcher.integration.probes.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""
SOURCES = Path(ports.__file__).parents[2]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Another process that listens on the loopback address: its PID and port."""
    script = tmp_path / "gateway.py"
    script.write_text(SERVER)
    command = [sys.executable, "-S", str(script), "--password=Sw0rdf1sh", "--verbose"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate(timeout=20)


def test_another_process_is_named_without_its_secrets(other: tuple[int, int]) -> None:
    """The owner of a port is told by PID, program and the harmless part of its command line."""
    pid, port = other
    owner = who_listens(port)
    assert owner is not None
    assert (owner.pid, owner.name, owner.address, owner.port) == (pid, "gateway.py", "127.0.0.1", port)
    assert owner.command.startswith(sys.executable)
    assert "Sw0rdf1sh" not in repr(owner)
    assert str(owner) == f"PID {pid} (gateway.py)"
    assert who_listens(port, "127.0.0.1") == owner
    assert who_listens(port, "0.0.0.0") == owner
    assert who_listens(port, "127.0.0.2") is None


def test_a_real_collision_is_explained(other: tuple[int, int]) -> None:
    """A bind that fails because of another process names it, and says how to get rid of it."""
    pid, port = other
    with socket.socket() as ours, pytest.raises(OSError) as caught:
        ours.bind(("127.0.0.1", port))
    reason, hint = explain_bind_error(caught.value, "127.0.0.1", port)
    assert reason == f"port {port} is taken by PID {pid} (gateway.py)"
    assert f"kill {pid}" in hint


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")]
)
def test_every_kind_of_listener_is_found(family: socket.AddressFamily, address: str) -> None:
    """Wildcards and IPv6 are read from the kernel's tables correctly."""
    if family is socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        owner = who_listens(port)
        assert owner is not None
        assert (owner.pid, owner.address) == (os.getpid(), address)
        reason, _ = explain_bind_error(OSError(errno.EADDRINUSE, "in use"), address, port)
        assert reason == f"port {port} is taken by this very process"


def test_nobody_listens() -> None:
    """A free port has no owner; a port that is bound but not listened on is told as that."""
    port = free_port()
    assert who_listens(port) is None
    with socket.socket() as holder, socket.socket() as ours:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with pytest.raises(OSError) as caught:
            ours.bind(("127.0.0.1", port))
        reason, hint = explain_bind_error(caught.value, "127.0.0.1", port)
    assert (reason, hint != "") == (f"port {port} is taken, but nobody listens on it", True)


def test_the_oldest_of_several_processes_is_named(other: tuple[int, int]) -> None:
    """Workers that inherited a socket are not the ones to blame: their parent is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.set_inheritable(True)
        worker = [sys.executable, "-S", "-c", "print(flush=True); input()"]
        with subprocess.Popen(
            worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[server.fileno()]
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            owner = who_listens(server.getsockname()[1])
            process.communicate(b"\n", timeout=20)
    assert owner is not None
    assert owner.pid == os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_another_user_has_no_pid(other: tuple[int, int]) -> None:
    """What this user may not look into is told as such, with its user and how to see more."""
    _, port = other
    code = (
        "import errno, os, pwd, sys\n"
        f"sys.path.insert(0, {str(SOURCES)!r})\n"
        "from launcher.probes.ports import explain_bind_error, who_listens\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"print(who_listens({port}).pid)\n"
        f"print(*explain_bind_error(OSError(errno.EADDRINUSE, ''), '127.0.0.1', {port}), sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid, reason, hint = done.stdout.splitlines()
    assert (pid, reason) == ("None", f"port {port} is taken by a process of user root")
    assert f"sudo ss -ltnp sport = :{port}" in hint


def test_psutil_finds_the_same(other: tuple[int, int]) -> None:
    """The way for systems without ``/proc`` names the same process."""
    pid, port = other
    owner = ports._ask_psutil(port, "127.0.0.1")
    assert owner is not None
    assert (owner.pid, owner.name, owner.address) == (pid, "gateway.py", "127.0.0.1")
    assert "Sw0rdf1sh" not in repr(owner)
    assert ports._ask_psutil(free_port(), None) is None


@pytest.mark.parametrize(
    ("error", "bind", "port", "reason", "hint"),
    [
        (OSError(errno.EADDRNOTAVAIL, "x"), "198.51.100.7", 80, "198.51.100.7 is not an address of this machine", "0.0.0.0"),
        (OSError(errno.EAFNOSUPPORT, "x"), "::1", 80, "does not support that kind of address", "127.0.0.1"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "nohost", 80, "the address nohost cannot be resolved", "127.0.0.1"),
        (OSError(errno.ENOBUFS, "No buffer space"), "::1", 80, "cannot bind ::1 port 80: No buffer space", ""),
        (OSError(errno.EACCES, "x"), "127.0.0.1", 50000, "this user may not bind port 50000", "another port"),
    ],
)  # fmt: skip
def test_other_errors_are_explained(error: OSError, bind: str, port: int, reason: str, hint: str) -> None:
    """Every way a bind fails has its own reason, and a hint where there is a remedy."""
    told, advice = explain_bind_error(error, bind, port)
    assert reason in told
    assert hint in advice


def test_a_privileged_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Below the border for everybody, the hint names a port that works and the two ways to get the privilege."""
    border = tmp_path / "sys/net/ipv4"
    border.mkdir(parents=True)
    (border / "ip_unprivileged_port_start").write_text("1024\n")
    monkeypatch.setattr(ports, "_PROC", tmp_path)
    reason, hint = explain_bind_error(PermissionError(errno.EACCES, "x"), "0.0.0.0", 80)
    assert reason == "port 80 needs a privilege this user lacks"
    assert "use port 8080" in hint
    if sys.platform == "linux":
        assert "ip_unprivileged_port_start=80" in hint
        assert "setcap" in hint


@pytest.mark.parametrize(
    ("listening", "wanted", "answer"),
    [
        ("127.0.0.1", None, True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "127.0.0.2", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("::", "127.0.0.1", True),
        ("127.0.0.1", "::", True),
        ("::1", "127.0.0.1", False),
        ("0.0.0.0", "::1", False),
        ("127.0.0.1", "localhost", True),
    ],
)
def test_which_addresses_collide(listening: str, wanted: str | None, *, answer: bool) -> None:
    """Wildcards collide with every address of their kind, and the one of IPv6 with IPv4 as well."""
    assert collides(listening, wanted) is answer


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/nginx", "-g", "daemon off;"], "nginx"),
        (["nginx: master process /usr/sbin/nginx"], "nginx"),
        (["python3.11", "-m", "uvicorn", "api:app"], "uvicorn"),
        (["/v/bin/python", "/v/bin/uvicorn", "api:app"], "uvicorn"),
        (["python", "-X", "dev", "-u", "manage.py", "runserver"], "manage.py"),
        (["python", "-c", "print()"], "python"),
        (["python"], "python"),
        ([], "fallback"),
    ],
)
def test_what_people_call_a_process(argv: list[str], name: str) -> None:
    """An interpreter is named after what it runs."""
    assert program_name(argv, "fallback") == name


def test_an_unknown_owner_is_put_into_words() -> None:
    """The words for an owner fit behind "is taken by", whatever is known."""
    assert str(PortOwner("::", 1)) == "a process that this user may not see"
    assert str(PortOwner("::", 1, pid=7)) == "PID 7"
