"""Who holds a port, and why a bind failed, in words that name the culprit."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.probes.checks.redaction import redact_command

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC = Path("/proc")
_LISTEN = "0A"  # TCP_LISTEN in the kernel's include/net/tcp_states.h


@dataclass(frozen=True, slots=True)
class PortOwner:
    """The process that listens on a port.

    Attributes:
        address: the address listened on, such as ``127.0.0.1`` or ``::``.
        port: the port.
        pid: of the process; ``None`` when this user may not see it. Of several that share the socket, the oldest.
        name: short name of the program, such as ``uvicorn``; empty when unknown.
        command: the beginning of its command line without secrets; empty when unknown.
        user: name or number of the user it runs as; empty when unknown.
    """

    address: str
    port: int
    pid: int | None = None
    name: str = ""
    command: str = ""
    user: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of user {self.user}" if self.user else "a process that this user may not see"
        return f"PID {self.pid} ({self.name})" if self.name else f"PID {self.pid}"


@dataclass(frozen=True, slots=True)
class _Listener:
    address: str
    inode: str
    uid: int


def who_listens(port: int, address: str | None = None) -> PortOwner | None:
    """Find the process that listens on a TCP port of this machine (of this network namespace).

    Args:
        port: 1 to 65535.
        address: only listeners that a bind to this address would collide with; ``None`` for any.

    Returns:
        The owner, with an unknown PID when it belongs to somebody else; ``None`` when nobody listens.
    """
    if sys.platform != "linux":
        return _ask_psutil(port, address)
    listeners = [found for found in _listeners(port) if collides(found.address, address)]
    if not listeners:
        return None
    holders = _holders({found.inode for found in listeners})
    listener = next((found for found in listeners if holders.get(found.inode)), listeners[0])
    user = _user_name(listener.uid)
    pids = holders.get(listener.inode)
    if not pids:
        return PortOwner(listener.address, port, user=user)
    pid = min(pids, key=_age_key)
    argv = _command_line(pid)
    return PortOwner(listener.address, port, pid, _program(pid, argv), redact_command(argv), user)


def explain_bind_error(exc: OSError, bind: str, port: int) -> tuple[str, str]:
    """Put a failed ``bind()`` or ``listen()`` into words.

    Args:
        exc: what the socket module raised, `socket.gaierror` included.
        bind: the address that was to be bound.
        port: the port.

    Returns:
        The reason, such as ``port 8000 is taken by PID 4121 (uvicorn)``, and a hint; the hint may be empty.
    """
    if isinstance(exc, socket.gaierror):
        hint = "bind 127.0.0.1 (this machine only) or 0.0.0.0 (all its addresses)"
        return f"the address {bind} cannot be resolved", hint
    match exc.errno:
        case errno.EADDRINUSE:
            return _taken(bind, port)
        case errno.EACCES | errno.EPERM:
            return _not_permitted(port)
        case errno.EADDRNOTAVAIL:
            hint = "bind 127.0.0.1 (this machine only) or 0.0.0.0 (all its addresses)"
            return f"{bind} is not an address of this machine", hint
        case errno.EAFNOSUPPORT:
            return (
                f"this machine cannot bind {bind}: it does not support that kind of address",
                "bind 127.0.0.1",
            )
        case _:
            return f"cannot bind {bind} port {port}: {exc.strerror or exc}", ""


def collides(listening: str, wanted: str | None) -> bool:
    """Whether somebody listening on one address keeps another from being bound with the same port.

    The wildcard ``::`` also covers IPv4 (unless ``IPV6_V6ONLY`` is set, which cannot be seen from outside).
    Anything that is not a literal address is taken to collide: rather name one culprit too many than none.
    """
    if wanted is None:
        return True
    try:
        ours, theirs = ipaddress.ip_address(wanted), ipaddress.ip_address(listening)
    except ValueError:
        return True
    if ours == theirs:
        return True
    if ours.version == theirs.version:
        return ours.is_unspecified or theirs.is_unspecified
    return (ours if ours.version == 6 else theirs).is_unspecified


def _taken(bind: str, port: int) -> tuple[str, str]:
    owner = who_listens(port, bind)
    if owner is None:
        hint = "a connection may be using it, or it is held without listening: choose another port, or wait a minute"
        return f"port {port} is taken, but nobody listens on it", hint
    if owner.pid == os.getpid():
        return f"port {port} is taken by this very process", "give each component a port of its own"
    if owner.pid is None:
        return (
            f"port {port} is taken by {owner}",
            f"choose another port, or see who it is: sudo ss -ltnp sport = :{port}",
        )
    return f"port {port} is taken by {owner}", f"choose another port, or stop it: kill {owner.pid}"


def _not_permitted(port: int) -> tuple[str, str]:
    first = _first_unprivileged_port()
    if port >= first:
        return (
            f"this user may not bind port {port}",
            "a security policy of this machine forbids it: choose another port",
        )
    other = max(first, port + 8000)
    hint = f"use port {other}"
    if sys.platform == "linux":
        hint += (
            f", or let everybody use it: sudo sysctl net.ipv4.ip_unprivileged_port_start={port}"
            ", or give Python the privilege: sudo setcap cap_net_bind_service=+ep on its real binary"
        )
    return f"port {port} needs a privilege this user lacks", hint


def _first_unprivileged_port() -> int:
    try:
        return int((_PROC / "sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024  # the historic border


def _listeners(port: int) -> Iterator[_Listener]:
    """The listening sockets of the kernel's tables (proc_pid_net(5)): hexadecimal address, state, user, inode."""
    wanted = f"{port:04X}"
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue  # without IPv6 there is no such table
        for line in lines:
            fields = line.split()
            address, _, local_port = fields[1].partition(":")
            if fields[3] == _LISTEN and local_port == wanted:
                yield _Listener(_decode_address(address), fields[9], int(fields[7]))


def _decode_address(text: str) -> str:
    """An address of the tables: 32-bit words in hexadecimal, each in the byte order of the processor."""
    raw = bytes.fromhex(text)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return str(ipaddress.ip_address(b"".join(words)))


def _holders(inodes: set[str]) -> dict[str, list[int]]:
    """The processes that have one of the sockets open, as far as this user may look into them."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, list[int]] = {}
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        for link in _open_files(entry.path):
            inode = wanted.get(link)
            if inode is not None:
                found.setdefault(inode, []).append(int(entry.name))
    return found


def _open_files(process: str) -> Iterator[str]:
    try:
        descriptors = list(os.scandir(f"{process}/fd"))
    except OSError:
        return  # gone, or of another user
    for descriptor in descriptors:
        try:
            yield os.readlink(descriptor)  # noqa: PTH115 (a Path per descriptor of the machine is felt)
        except OSError:
            continue


def _age_key(pid: int) -> tuple[int, int]:
    """Sorts the oldest process first: field 22 of proc_pid_stat(5), its start in clock ticks since boot."""
    try:
        after_name = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return int(after_name[19]), pid
    except (OSError, ValueError, IndexError):
        return sys.maxsize, pid


def _command_line(pid: int) -> list[str]:
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return [word.decode("utf-8", "replace") for word in raw.rstrip(b"\0").split(b"\0")] if raw else []


def _program(pid: int, argv: list[str]) -> str:
    try:
        name = (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        name = ""
    return program_name(argv, name)


def program_name(argv: list[str], name: str = "") -> str:
    """What people call a process: for an interpreter the script or module that it runs.

    Args:
        argv: its command line; may be empty.
        name: what the system calls it; used when the command line says nothing.
    """
    program = argv[0].split(" ")[0].rpartition("/")[2].removesuffix(":") if argv else ""
    if not program.startswith("python"):
        return program or name
    words = iter(argv[1:])
    for word in words:
        if word == "-m":
            return next(words, program).removesuffix(".__main__")
        if word == "-c":
            return program
        if word in {"-W", "-X"}:
            next(words, None)
        elif not word.startswith("-"):
            return word.rpartition("/")[2]
    return program


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _ask_psutil(port: int, address: str | None) -> PortOwner | None:
    """Systems without ``/proc``: only processes that this user may look into are found."""
    import psutil

    for process in psutil.process_iter():
        try:
            for connection in process.net_connections(kind="tcp"):
                local = connection.laddr
                if (
                    connection.status == psutil.CONN_LISTEN
                    and local.port == port
                    and collides(local.ip, address)
                ):
                    argv = process.cmdline()
                    name, user = program_name(argv, process.name()), process.username()
                    return PortOwner(local.ip, port, process.pid, name, redact_command(argv), user)
        except (psutil.Error, OSError):
            continue
    return None
