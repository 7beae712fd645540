"""Getting connected: names to addresses, addresses to sockets, sockets to (encrypted) streams."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import os
import socket
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from launcher.probes.checks.endpoint import Address, Tcp, Unix
from launcher.probes.checks.result import CheckFailed, FailureCause, as_failure
from launcher.probes.checks.stream import Stream
from launcher.probes.checks.tls import TlsMode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from launcher.probes.checks.endpoint import Endpoint
    from launcher.probes.checks.result import Progress

SocketAddress = tuple[int, int, Any]
"""Family, protocol number and address, as the socket module wants them."""

_NAME_HINT = "check the spelling of the host, and the name service of this machine"
_MAYBE_PLAIN = "the server may not speak TLS: use the URL scheme without TLS, or turn TLS on in the server"

_lookups: dict[tuple[str, int], concurrent.futures.Future[list[SocketAddress]]] = {}
_lookups_lock = threading.Lock()


@asynccontextmanager
async def connect(endpoint: Endpoint, progress: Progress) -> AsyncIterator[Stream]:
    """A stream to the first address of the endpoint that accepts, encrypted from the start if TLS is asked for."""
    sock, address = await dial(endpoint.addresses, progress)
    stream = await wrap(sock, address, endpoint, progress, encrypted=endpoint.tls.mode is not TlsMode.OFF)
    try:
        yield stream
    finally:
        await stream.close()


async def dial(addresses: tuple[Address, ...], progress: Progress) -> tuple[socket.socket, Address]:
    """A connected, non-blocking socket to the first address that accepts, and that address.

    A name with several addresses and a URL with several hosts are tried in turn; all but the last try get an equal
    share of the remaining time, so that one unreachable address does not use up the time of a reachable one.

    Raises:
        CheckFailed: no address accepts; tells the failure of the last one tried.
    """
    failure: CheckFailed | None = None
    for position, address in enumerate(addresses):
        try:
            candidates = await _candidates(address, progress)
        except CheckFailed as error:
            failure = error
            continue
        for index, candidate in enumerate(candidates):
            later = len(candidates) - index - 1 + len(addresses) - position - 1
            share = progress.remaining() / (later + 1) if later else None
            progress.at(f"no connection to {address}", "check host, port and firewall")
            try:
                async with asyncio.timeout(share):
                    return await _connected(candidate, address), address
            except TimeoutError:
                failure = CheckFailed(FailureCause.TIMEOUT, f"no connection to {address} in time")
            except CheckFailed as error:
                failure = error
    raise failure or CheckFailed(FailureCause.DNS, f"no address for {addresses[0]}")


async def wrap(
    sock: socket.socket,
    address: Address,
    endpoint: Endpoint,
    progress: Progress,
    *,
    encrypted: bool,
    received: bytes = b"",
) -> Stream:
    """Make a stream of a connected socket; from here on the stream owns the socket.

    Args:
        sock: what `dial` returned.
        address: the address it is connected to.
        endpoint: whose settings to use.
        progress: where the TLS handshake is noted.
        encrypted: do a TLS handshake first.
        received: bytes that were already read from the socket.

    Raises:
        CheckFailed: TLS cannot be set up or is not accepted.
    """
    try:
        if encrypted:
            progress.at(f"connected to {address}, but no end of the TLS handshake", _MAYBE_PLAIN)
            context = endpoint.tls.context()
            host = address.host if isinstance(address, Tcp) else "localhost"
            reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=host)
        else:
            reader, writer = await asyncio.open_connection(sock=sock)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise _handshake_failure(error, address) from None
        raise
    return Stream(reader, writer, str(address), endpoint.protocol, progress, received)


async def resolve(host: str, port: int) -> list[SocketAddress]:
    """The socket addresses of a host, without ever occupying the event loop or its thread pool.

    The C library's resolver can neither be cancelled nor bounded in time: with a dead name server one call takes 10 s
    and more. Every lookup therefore has a daemon thread of its own, which hinders nobody when it is abandoned; a
    check that comes while a lookup of the same name is still running waits for that one.

    Raises:
        OSError: `socket.gaierror`, or an address of the wrong form.
        UnicodeError: the name cannot be a host name.
    """
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    key = (host, port)
    with _lookups_lock:
        lookup = _lookups.get(key)
        if lookup is None:
            lookup = _lookups[key] = concurrent.futures.Future()
            lookup.set_running_or_notify_cancel()  # an abandoning check cannot cancel it for the others
            threading.Thread(target=_look_up, args=(key, lookup), name=f"resolve {host}", daemon=True).start()
    return await asyncio.wrap_future(lookup)


def connected_to_itself(sock: socket.socket) -> bool:
    """Whether a TCP connection has itself as its peer.

    Connecting to a free port of this machine from the range for outgoing connections can be given that very port as
    source, and then succeeds (simultaneous open, RFC 9293 section 3.5) although nobody listens.
    """
    return bool(sock.getsockname() == sock.getpeername())


def _look_up(key: tuple[str, int], lookup: concurrent.futures.Future[list[SocketAddress]]) -> None:
    try:
        found = _addresses(*key, 0)
    except Exception as error:  # noqa: BLE001 (handed to whoever waits)
        _forget(key)
        lookup.set_exception(error)
    else:
        _forget(key)
        lookup.set_result(found)


def _forget(key: tuple[str, int]) -> None:
    with _lookups_lock:
        _lookups.pop(key, None)


def _addresses(host: str, port: int, flags: int) -> list[SocketAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, protocol, address) for family, _, protocol, _, address in found]


async def _candidates(address: Address, progress: Progress) -> list[SocketAddress]:
    if isinstance(address, Unix):
        return [(socket.AF_UNIX, 0, address.path)]
    progress.at(f"the name {address.host} was not resolved", _NAME_HINT)
    try:
        return await resolve(address.host, address.port)
    except (OSError, UnicodeError) as error:
        why = " (the name server does not answer)" if getattr(error, "errno", 0) == socket.EAI_AGAIN else ""
        raise CheckFailed(FailureCause.DNS, f"cannot resolve {address.host}{why}", _NAME_HINT) from None


async def _connected(candidate: SocketAddress, address: Address) -> socket.socket:
    family, protocol, where = candidate
    try:
        sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    except OSError as error:
        raise as_failure(error, str(address)) from None
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
        if family == socket.AF_UNIX:
            sock.getpeername()  # fails if the listen queue was full, which a non-blocking connect does not tell
        elif connected_to_itself(sock):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    except BaseException as error:
        sock.close()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise _explained(error, address) from None
    return sock


def _explained(error: BaseException, address: Address) -> CheckFailed:
    """Words for a failed connect; a missing socket file means the same as a refused connection."""
    if isinstance(address, Unix):
        if isinstance(error, FileNotFoundError):
            hint = "start the server, or correct the path"
            return CheckFailed(FailureCause.REFUSED, f"there is no socket {address}", hint)
        if isinstance(error, PermissionError):
            hint = "add this user to the group that owns the socket"
            return CheckFailed(FailureCause.UNREACHABLE, f"this user may not connect to {address}", hint)
        if isinstance(error, OSError) and error.errno in {errno.EAGAIN, errno.ENOTCONN}:
            return CheckFailed(FailureCause.NOT_READY, f"the listen queue of {address} is full")
    return as_failure(error, str(address))


def _handshake_failure(error: OSError, address: Address) -> CheckFailed:
    if isinstance(error, FileNotFoundError):
        reason = f"the certificate file {error.filename} of the URL does not exist"
        return CheckFailed(FailureCause.TLS, reason, "correct its path in the URL")
    if isinstance(error, ConnectionError):
        reason = f"{address} closed the connection during the TLS handshake"
        return CheckFailed(FailureCause.TLS, reason, _MAYBE_PLAIN)
    return as_failure(error, str(address))
