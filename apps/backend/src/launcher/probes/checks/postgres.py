"""Does a PostgreSQL server let this user in and answer a query?

Goes further than ``pg_isready``, which stops at the first answer of the server: logs in and runs ``SELECT 1``, so that a
wrong password, a missing database or a pooler without its server are found here and not in the backend's log.
Source: PostgreSQL documentation, "Frontend/Backend Protocol", version 3.0.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from typing import TYPE_CHECKING

from launcher.probes.checks import scram
from launcher.probes.checks.dialing import dial, wrap
from launcher.probes.checks.endpoint import Unix
from launcher.probes.checks.result import CheckFailed, FailureCause, as_failure, printable
from launcher.probes.checks.tls import TlsMode

if TYPE_CHECKING:
    from launcher.probes.checks.endpoint import Endpoint
    from launcher.probes.checks.result import Progress
    from launcher.probes.checks.stream import Stream

SSL_REQUEST = struct.pack(">ii", 8, 80877103)
"""Asks whether the server speaks TLS: 1234 in the high and 5679 in the low 16 bits."""
PROTOCOL_3_0 = 3 << 16
MAX_MESSAGE = 32 * 1024
"""Longest message taken from the server; what a login and ``SELECT 1`` bring stays under 1 KiB each."""

CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 3, 5, 10, 11, 12
"""Authentication requests; 0 says that the login is done."""

_BACKEND_MESSAGES = b"RESKZTDCINAGvt"
_SLOW_DERIVATION = 20_000


async def check_postgres(endpoint: Endpoint, progress: Progress) -> None:
    """Log in, run ``SELECT 1`` and log out.

    Raises:
        CheckFailed: anything but an answered query.
    """
    stream = await _open(endpoint, progress)
    try:
        await stream.send(_startup(endpoint), "the PostgreSQL startup message")
        await _log_in(stream, endpoint)
        await stream.send(_message(b"Q", b"SELECT 1\0"), "SELECT 1")
        await _until_ready(stream, endpoint)
        await stream.send(_message(b"X", b""), "the end of the session")
    finally:
        await stream.close()


async def _open(endpoint: Endpoint, progress: Progress) -> Stream:
    """Connect, and negotiate encryption as ``sslmode`` says. There is no TLS on Unix sockets."""
    sock, address = await dial(endpoint.addresses, progress)
    mode = endpoint.tls.mode
    if mode is TlsMode.OFF or isinstance(address, Unix):
        return await wrap(sock, address, endpoint, progress, encrypted=False)
    hint = "the server is busy or hangs, or another program is listening on that port"
    progress.at(f"connected to {address}, but no answer to the PostgreSQL SSL request", hint)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(sock, SSL_REQUEST)
        # One byte and no more: whatever an attacker puts behind it must not be taken for the encrypted conversation.
        answer = await loop.sock_recv(sock, 1)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise as_failure(error, str(address)) from None
        raise
    if answer == b"S":
        return await wrap(sock, address, endpoint, progress, encrypted=True)
    if answer == b"N" and mode is not TlsMode.PREFER:
        sock.close()
        hint = "turn ssl on in the server, or use sslmode=prefer in the URL"
        raise CheckFailed(FailureCause.TLS, f"{address} does not offer TLS, and the URL requires it", hint)
    stream = await wrap(
        sock, address, endpoint, progress, encrypted=False, received=b"" if answer == b"N" else answer
    )
    if answer == b"N":
        return stream
    try:
        # Something else, or a server so busy that it answers with an error at once.
        await stream.send(b"", "the PostgreSQL SSL request")
        await _receive(stream, endpoint)
        raise stream.foreign()
    finally:
        await stream.close()


def _startup(endpoint: Endpoint) -> bytes:
    user = endpoint.user or _system_user()
    fields = {"user": user, "database": endpoint.database or user, "application_name": "launcher probe"}
    body = b"".join(f"{key}\0{value}\0".encode() for key, value in fields.items()) + b"\0"
    return struct.pack(">ii", len(body) + 8, PROTOCOL_3_0) + body


def _system_user() -> str:
    """The user name that libpq takes when the URL has none."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "postgres"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


async def _receive(stream: Stream, endpoint: Endpoint) -> tuple[bytes, bytes]:
    """The next message that matters: kind and body.

    Raises:
        CheckFailed: the server reports an error, or it is no PostgreSQL server.
    """
    while True:
        header = await stream.exactly(5)
        kind, length = header[:1], int.from_bytes(header[1:], "big") - 4
        if kind not in _BACKEND_MESSAGES or not 0 <= length <= MAX_MESSAGE:
            raise stream.foreign()
        body = await stream.exactly(length)
        if kind == b"E":
            raise _server_error(body, stream.peer, endpoint)
        if kind not in b"NSA":  # notices, parameters and notifications may come at any time
            return kind, body


async def _log_in(stream: Stream, endpoint: Endpoint) -> None:
    """Answer what the server asks until it says that the session is ready."""
    exchange = scram.first_message()
    proof: scram.ClientFinal | None = None
    while True:
        request, data = await _receive_request(stream, endpoint)
        if not endpoint.password and request in {CLEARTEXT, MD5, SASL}:
            raise _no_password(stream.peer, endpoint)
        match request:
            case 0:
                return await _until_ready(stream, endpoint)
            case _ if request == CLEARTEXT:
                await _answer(stream, endpoint.password.encode() + b"\0")
            case _ if request == MD5:
                await _answer(stream, _md5(endpoint, data[:4]) + b"\0")
            case _ if request == SASL and b"SCRAM-SHA-256" in data.split(b"\0"):
                first = exchange.message
                await _answer(stream, b"SCRAM-SHA-256\0" + struct.pack(">i", len(first)) + first)
            case _ if request == SASL_CONTINUE:
                proof = await _prove(exchange, data, endpoint, stream.peer)
                await _answer(stream, proof.message)
            case _ if request == SASL_FINAL and proof is not None:
                _verify(proof, data, stream.peer)
            case _:
                raise _unsupported(stream.peer, request)


async def _receive_request(stream: Stream, endpoint: Endpoint) -> tuple[int, bytes]:
    """The next authentication request: its number and data."""
    kind, body = await _receive(stream, endpoint)
    while kind == b"v":  # the server knows an older minor version only: nothing of a newer one is used
        kind, body = await _receive(stream, endpoint)
    if kind != b"R" or len(body) < 4:
        raise stream.foreign()
    return int.from_bytes(body[:4], "big"), body[4:]


async def _prove(first: scram.ClientFirst, data: bytes, endpoint: Endpoint, peer: str) -> scram.ClientFinal:
    try:
        challenge = scram.read_challenge(first, data)
    except scram.ScramError as error:
        raise CheckFailed(FailureCause.AUTHENTICATION, f"{peer}: {error}") from None
    if challenge.iterations <= _SLOW_DERIVATION:
        return scram.final_message(first, challenge, endpoint.password)
    return await asyncio.to_thread(scram.final_message, first, challenge, endpoint.password)


def _verify(proof: scram.ClientFinal, data: bytes, peer: str) -> None:
    try:
        scram.verify_server(proof, data)
    except scram.ScramError as error:
        raise CheckFailed(FailureCause.AUTHENTICATION, f"{peer}: {error}") from None


def _md5(endpoint: Endpoint, salt: bytes) -> bytes:
    """``md5`` + md5(md5(password + user) + salt), the server's older password method."""
    user = endpoint.user or _system_user()
    inner = hashlib.md5((endpoint.password + user).encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


async def _answer(stream: Stream, data: bytes) -> None:
    await stream.send(_message(b"p", data), "the PostgreSQL password message")


async def _until_ready(stream: Stream, endpoint: Endpoint) -> None:
    while (await _receive(stream, endpoint))[0] != b"Z":
        pass


def _no_password(peer: str, endpoint: Endpoint) -> CheckFailed:
    user = printable(endpoint.user or _system_user())
    hint = "put the password into the URL, or use a tcp:// URL to check the port only"
    reason = f'{peer} asks for the password of user "{user}", and the URL has none'
    return CheckFailed(FailureCause.AUTHENTICATION, reason, hint)


def _unsupported(peer: str, request: int) -> CheckFailed:
    known = {2: "Kerberos", 7: "GSSAPI", 9: "SSPI", SASL: "SASL without SCRAM-SHA-256"}
    reason = f"{peer} asks for an authentication that the check cannot do: {known.get(request, request)}"
    hint = "use a tcp:// URL to check that the port accepts connections"
    return CheckFailed(FailureCause.AUTHENTICATION, reason, hint)


def _server_error(body: bytes, peer: str, endpoint: Endpoint) -> CheckFailed:
    """An ErrorResponse in words; the SQLSTATE codes are in appendix A of PostgreSQL's documentation."""
    fields = {field[:1]: field[1:] for field in body.split(b"\0") if field}
    code = printable(fields.get(b"C", b""), endpoint.secret)
    message = printable(fields.get(b"M", b""), endpoint.secret) or f"{peer} reports error {code}"
    match code:
        case "28P01":
            return CheckFailed(
                FailureCause.AUTHENTICATION, message, "correct user name and password in the URL"
            )
        case _ if code.startswith("28"):
            hint = "correct the user in the URL, or let it in by pg_hba.conf of the server"
            return CheckFailed(FailureCause.AUTHENTICATION, message, hint)
        case "3D000":
            return CheckFailed(
                FailureCause.NOT_READY, message, "create the database, or correct its name in the URL"
            )
        case "57P03":
            return CheckFailed(
                FailureCause.NOT_READY, message, "wait: the server is starting, stopping or recovering"
            )
        case "53300":
            return CheckFailed(FailureCause.NOT_READY, message, "raise max_connections, or use smaller pools")
        case _:
            return CheckFailed(FailureCause.NOT_READY, f"{message} (SQLSTATE {code})" if code else message)
