"""Does a Redis or Valkey server let this user in and answer ``PING``?

Source: "Redis serialization protocol specification", version 2 (RESP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.probes.checks.dialing import connect
from launcher.probes.checks.result import CheckFailed, FailureCause, printable

if TYPE_CHECKING:
    from launcher.probes.checks.endpoint import Endpoint
    from launcher.probes.checks.result import Progress
    from launcher.probes.checks.stream import Stream

_SERVING_ALL_THE_SAME = frozenset({"MISCONF", "NOPERM", "READONLY", "NOREPLICAS"})
"""Errors by which a server shows that it is up and has let the user in: saving fails, ``PING`` is not among the
commands of this user, it is a replica, or it lacks replicas."""
_DENIED = frozenset({"NOAUTH", "WRONGPASS", "DENIED"})


async def check_redis(endpoint: Endpoint, progress: Progress) -> None:
    """``AUTH`` and ``SELECT`` if the URL asks for it, then ``PING``.

    Raises:
        CheckFailed: anything but an answer that shows a serving server.
    """
    async with connect(endpoint, progress) as stream:
        if endpoint.password:
            who = (endpoint.user,) if endpoint.user else ()
            await _ask(stream, endpoint, "AUTH", *who, endpoint.password)
        if endpoint.database.strip("0"):
            await _ask(stream, endpoint, "SELECT", endpoint.database)
        await _ask(stream, endpoint, "PING")


async def _ask(stream: Stream, endpoint: Endpoint, *command: str) -> None:
    await stream.send(_encode(command), command[0])
    line = await stream.line()
    kind, text = line[:1], printable(line[1:], endpoint.secret)
    if kind == b"-":
        failure = _failure(text, command[0], stream)
        if failure is not None:
            raise failure
    elif not (kind == b"+" and text in {"OK", "PONG"}):
        raise stream.foreign()


def _encode(command: tuple[str, ...]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _failure(text: str, command: str, stream: Stream) -> CheckFailed | None:
    """What an error reply means; ``None`` when the server serves nevertheless."""
    code = text.partition(" ")[0]
    lowered = text.lower()
    if code in _SERVING_ALL_THE_SAME and command == "PING":
        return None
    if code in _DENIED or command == "AUTH":
        return CheckFailed(FailureCause.AUTHENTICATION, f"{stream.peer}: {text}", _denied_hint(code, lowered))
    if command == "SELECT" and "out of range" in lowered:
        return CheckFailed(
            FailureCause.NOT_READY, f"{stream.peer}: {text}", "correct the database number in the URL"
        )
    if "wrong number of arguments" in lowered or "unknown command" in lowered:
        return stream.foreign()
    hint = "wait: it is loading its data" if code == "LOADING" else ""
    if "max number of clients" in lowered:
        hint = "raise maxclients of the server, or use smaller pools"
    return CheckFailed(FailureCause.NOT_READY, f"{stream.peer}: {text}", hint)


def _denied_hint(code: str, lowered: str) -> str:
    if code == "NOAUTH":
        return "put the password into the URL: redis://:PASSWORD@host"
    if code == "DENIED":
        return "the server is in protected mode: give it a password, or bind it to the loopback address"
    if "without any password" in lowered or "no password is set" in lowered:
        return "remove the password from the URL, or set one in the server"
    return "correct user name and password in the URL"
