"""Does a Bolt server (Neo4j and compatible ones) let this user in and answer ``RETURN 1``?

Source: Neo4j's "Bolt Protocol" documentation: handshake, and messages of versions 4.0 to 5.8.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from launcher.probes.checks.dialing import connect
from launcher.probes.checks.packstream import PackStreamError, Structure, Value, pack, unpack
from launcher.probes.checks.result import CheckFailed, FailureCause, printable

if TYPE_CHECKING:
    from launcher.probes.checks.endpoint import Endpoint
    from launcher.probes.checks.result import Progress
    from launcher.probes.checks.stream import Stream

MAGIC: Final = bytes.fromhex("6060b017")
"""What every Bolt connection begins with."""
PROPOSALS: Final = bytes((0, 8, 8, 5, 0, 2, 4, 4, 0, 0, 1, 4, 0, 0, 0, 4))
"""Four proposals of (0, how many minor versions below, minor, major): 5.8 to 5.0, 4.4 to 4.2, 4.1, 4.0."""
USER_AGENT: Final = "launcher-probe/1.0"

HELLO, GOODBYE, RUN, PULL, LOGON = 0x01, 0x02, 0x10, 0x3F, 0x6A
SUCCESS, RECORD, IGNORED, FAILURE = 0x70, 0x71, 0x7E, 0x7F


async def check_bolt(endpoint: Endpoint, progress: Progress) -> None:
    """Shake hands, log in, run ``RETURN 1`` and say goodbye.

    The official driver takes no credentials from a URL, so most Bolt URLs have none. A server that then refuses nobody in particular is
    up, as ``pg_isready`` counts it; credentials that are given have to be right.

    Raises:
        CheckFailed: anything but an answered query, or a login refused for want of credentials.
    """
    async with connect(endpoint, progress) as stream:
        version = await _handshake(stream)
        try:
            for message in _login(endpoint, version):
                await _ask(stream, endpoint, message, "the Bolt login")
        except CheckFailed as refused:
            if refused.cause is FailureCause.AUTHENTICATION and not endpoint.user:
                return
            raise
        await _ask(stream, endpoint, Structure(RUN, ("RETURN 1", {}, {})), "RETURN 1")
        await _ask(stream, endpoint, Structure(PULL, ({"n": -1},)), "RETURN 1")
        await stream.send(_framed(Structure(GOODBYE)), "the end of the session")


async def _handshake(stream: Stream) -> tuple[int, int]:
    """The version (major, minor) that the server chose."""
    await stream.send(MAGIC + PROPOSALS, "the Bolt handshake")
    answer = await stream.exactly(4)
    minor, major = answer[2], answer[3]
    if answer == bytes(4):
        reason = f"{stream.peer} speaks Bolt, but none of the versions 4.0 to 5.8"
        raise CheckFailed(FailureCause.WRONG_PROTOCOL, reason, "use a tcp:// URL to check the port only")
    if answer[:2] != b"\0\0" or not ((major == 5 and minor <= 8) or (major == 4 and minor <= 4)):
        raise stream.foreign()
    return major, minor


def _login(endpoint: Endpoint, version: tuple[int, int]) -> list[Structure]:
    """From 5.1 on, HELLO and LOGON are two messages; from 5.3 on, ``bolt_agent`` is required."""
    auth: dict[str, Value] = {"scheme": "none"}
    if endpoint.user or endpoint.password:
        auth = {"scheme": "basic", "principal": endpoint.user, "credentials": endpoint.password}
    hello: dict[str, Value] = {"user_agent": USER_AGENT}
    if version >= (5, 3):
        hello["bolt_agent"] = {"product": USER_AGENT}
    if version >= (5, 1):
        return [Structure(HELLO, (hello,)), Structure(LOGON, (auth,))]
    return [Structure(HELLO, ({**hello, **auth},))]


async def _ask(stream: Stream, endpoint: Endpoint, message: Structure, name: str) -> None:
    """Send a message and wait for its summary."""
    await stream.send(_framed(message), name)
    while True:
        answer = await _receive(stream)
        if answer.tag == RECORD:
            continue
        detail = answer.fields[0] if answer.fields else {}
        if answer.tag == FAILURE and isinstance(detail, dict):
            raise _failure(detail, stream.peer, endpoint)
        if answer.tag != SUCCESS:
            raise stream.foreign()
        return


async def _receive(stream: Stream) -> Structure:
    message = b""
    while True:
        size = int.from_bytes(await stream.exactly(2), "big")
        if size:
            message += await stream.exactly(size)
        elif message:  # an empty chunk ends a message; between messages it only keeps the connection alive
            break
    try:
        value = unpack(message)
    except PackStreamError:
        raise stream.foreign() from None
    if not isinstance(value, Structure):
        raise stream.foreign()
    return value


def _framed(message: Structure) -> bytes:
    """The message in chunks of at most 65535 bytes, with the empty chunk that ends it."""
    raw = pack(message)
    chunks = (raw[at : at + 0xFFFF] for at in range(0, len(raw), 0xFFFF))
    return b"".join(struct.pack(">H", len(chunk)) + chunk for chunk in chunks) + b"\0\0"


def _failure(detail: dict[str, Value], peer: str, endpoint: Endpoint) -> CheckFailed:
    """A FAILURE in words; from 5.7 on its code is called ``neo4j_code``."""
    code = printable(str(detail.get("neo4j_code") or detail.get("code") or ""), endpoint.secret)
    message = (
        printable(str(detail.get("message") or ""), endpoint.secret) or code or "failure without a message"
    )
    reason = f"{peer}: {message}"
    if code.startswith("Neo.ClientError.Security."):
        hint = "correct user name and password in the URL"
        if code.endswith("CredentialsExpired"):
            hint = "log in once and change the initial password"
        return CheckFailed(FailureCause.AUTHENTICATION, reason, hint)
    return CheckFailed(
        FailureCause.NOT_READY, f"{reason} ({code})" if code and code not in reason else reason
    )
