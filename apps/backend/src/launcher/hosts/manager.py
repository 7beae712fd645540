"""The service manager that has started the launcher, if one has: systemd's two protocols, taken.

It may hand over listening sockets (``sd_listen_fds(3)``), and it may want to be told how things stand (``sd_notify(3)``). Both are said in
environment variables that are meant for one process, so they are taken out of the environment at once.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from launcher.errors import BindFailed

if TYPE_CHECKING:
    import socket

FIRST_DESCRIPTOR = 3
"""Number of the first socket that is handed over (``SD_LISTEN_FDS_START``)."""

LONGEST = 4096
"""Bytes of one notification; the launcher's own are far shorter."""


PATIENCE = 2.0
"""Seconds that a message may wait for the manager to read earlier ones, where nothing else waits for us."""


class Handed(NamedTuple):
    """One listening socket that was handed over.

    Attributes:
        number: its file descriptor.
        name: ``FileDescriptorName=`` of the socket unit, by default the name of the unit; empty when not told.
    """

    number: int
    name: str = ""


class Manager:
    """What the service manager has given, and the way back to it; by default there is none.

    Attributes:
        sockets: the listening sockets that it has handed over.
        address: where it wants to be told, as in ``NOTIFY_SOCKET``; empty for nowhere.
        watchdog: seconds within which it wants a sign of life, again and again; 0 when it does not.
    """

    def __init__(self, sockets: Sequence[Handed] = (), address: str = "", watchdog: float = 0.0) -> None:
        self.sockets = sockets
        self.address = address
        self.watchdog = watchdog
        self._end: socket.socket | None = None

    def tell(self, message: str) -> bool:
        """Send lines of ``NAME=VALUE`` without waiting; return false when it has to be tried again, since earlier ones were not read yet.

        That nobody listens is no error.
        """
        if self.address:
            try:
                self._send(message.encode())
            except BlockingIOError:
                return False
            except OSError:
                return True
        return True

    def relay(self) -> tuple[socket.socket, socket.socket]:
        """Return two ends between the process that the manager knows and its child; what goes in at the second comes out at the first."""
        import socket

        # Unlike datagrams, which may be ten at a time (net.unix.max_dgram_qlen), these are limited by their size alone.
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def tell_through(self, end: socket.socket) -> None:
        """From now on send to the parent process, which passes it on: the manager listens to that process only."""
        self._end = end

    def pass_on(self, end: socket.socket) -> None:
        """Send what the child has sent so far."""
        import socket

        with suppress(OSError):
            while data := end.recv(LONGEST, socket.MSG_DONTWAIT):
                with suppress(OSError):
                    self._send(data, PATIENCE)

    def _send(self, data: bytes, patience: float = 0.0) -> None:
        import socket

        if self._end is not None:
            self._end.send(data, socket.MSG_DONTWAIT)
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(patience)
            sender.sendto(data, f"\0{self.address[1:]}" if self.address.startswith("@") else self.address)


def from_environment(environ: MutableMapping[str, str] = os.environ) -> Manager:
    """Return the service manager that the environment tells of, and take it out of the environment.

    Raises:
        BindFailed: sockets were announced that are not there.
    """
    taken = {name: environ.pop(name, "") for name in VARIABLES}
    address = taken["NOTIFY_SOCKET"]
    return Manager(
        sockets=_sockets(taken) if _for_us(taken["LISTEN_PID"]) else (),
        address=address
        if address[:1] in {"/", "@"}
        else "",  # the only kinds that are processes of this machine
        watchdog=_watchdog(taken) if _for_us(taken["WATCHDOG_PID"] or str(os.getpid())) else 0.0,
    )


VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


def _for_us(pid: str) -> bool:
    """Whether a variable is meant for this process, and was not merely inherited."""
    return pid == str(os.getpid())


def _sockets(taken: MutableMapping[str, str]) -> tuple[Handed, ...]:
    count = int(taken["LISTEN_FDS"]) if taken["LISTEN_FDS"].isdecimal() else 0
    names = taken["LISTEN_FDNAMES"].split(":")
    handed = []
    for index in range(count):
        number = FIRST_DESCRIPTOR + index
        try:
            os.set_inheritable(number, False)
        except OSError as error:
            raise BindFailed(
                f"the service manager announced {count} socket{'s' if count != 1 else ''} (LISTEN_FDS), "
                f"but file descriptor {number} is not open",
                hint="start the launcher itself as the service, without a program in between that closes descriptors",
            ) from error
        handed.append(Handed(number, names[index] if index < len(names) else ""))
    return tuple(handed)


def _watchdog(taken: MutableMapping[str, str]) -> float:
    return int(taken["WATCHDOG_USEC"]) / 1e6 if taken["WATCHDOG_USEC"].isdecimal() else 0.0
