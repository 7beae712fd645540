"""A bounded conversation with a peer that may be anything: the right server, another one, or a hostile one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.probes.checks.result import CheckFailed, FailureCause, as_failure

if TYPE_CHECKING:
    import asyncio

    from launcher.probes.checks.result import Progress

MAX_RECEIVED = 64 * 1024
"""Most bytes that are taken from a peer in one check: far above any honest answer, far below any harm."""

_CHUNK = 4096
_HEAD = 64
_SLOW_OR_STRANGE = "the server is busy or hangs, or another program is listening on that port"


class Stream:
    """One connection of one check.

    All reading is bounded in bytes here and in time by the deadline of the check, so neither endless bytes nor
    silence can hold a check up or fill the memory.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: str,
        protocol: str,
        progress: Progress,
        received: bytes = b"",
    ) -> None:
        self.peer = peer
        self._reader = reader
        self._writer = writer
        self._protocol = protocol
        self._progress = progress
        self._buffer = bytearray(received)
        self._head = received
        self._received = len(received)
        self._awaited = ""

    async def send(self, data: bytes, awaited: str) -> None:
        """Send a request.

        Args:
            data: the encoded request.
            awaited: what is answered, to follow the words "no answer to".
        """
        self._awaited = awaited
        self._progress.at(f"connected to {self.peer}, but no answer to {awaited}", _SLOW_OR_STRANGE)
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise self._broken(error) from None

    async def exactly(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > MAX_RECEIVED:
            raise self.foreign()
        while len(self._buffer) < count:
            await self._fill()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def line(self) -> bytes:
        """The next line without its end (CR LF or LF)."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            await self._fill()
        taken = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return taken.removesuffix(b"\r")

    def foreign(self) -> CheckFailed:
        """The failure of a peer that speaks something else, naming it where its first bytes tell."""
        seems = recognise(self._head)
        if seems and seems != self._protocol:
            hint = f"the URL is for {self._protocol}: correct its scheme or its port"
            if seems == "TLS":
                hint = "use the URL scheme with TLS, or turn TLS off in the server"
            return CheckFailed(
                FailureCause.WRONG_PROTOCOL, f"{self.peer} answers {seems}, not {self._protocol}", hint
            )
        hint = "another program may be listening on that port: check host and port"
        return CheckFailed(
            FailureCause.WRONG_PROTOCOL, f"{self.peer} does not answer as {self._protocol} does", hint
        )

    async def close(self) -> None:
        """Close at once. What was sent before still goes out; nothing more is read."""
        self._writer.transport.abort()
        with suppress(OSError):  # closed by the peer in its own way: closed all the same
            await self._writer.wait_closed()

    async def _fill(self) -> None:
        try:
            chunk = await self._reader.read(_CHUNK)
        except OSError as error:
            raise self._broken(error) from None
        if not chunk:
            raise self._broken(None)
        self._received += len(chunk)
        if self._received > MAX_RECEIVED:
            raise self.foreign()
        if len(self._head) < _HEAD:
            self._head += chunk[: _HEAD - len(self._head)]
        self._buffer += chunk

    def _broken(self, error: OSError | None) -> CheckFailed:
        if error is not None and not isinstance(error, ConnectionError):
            return as_failure(error, self.peer)
        if recognise(self._head) not in {"", self._protocol}:
            return self.foreign()
        reason = f"{self.peer} closed the connection without an answer to {self._awaited}"
        hint = "it may be starting or stopping, or another program may be listening on that port"
        return CheckFailed(FailureCause.CLOSED, reason, hint)


def recognise(head: bytes) -> str:
    """The protocol that a peer's first bytes belong to; empty when they could be anything."""
    if head.startswith(b"HTTP/") or head[:9].lower() == b"<!doctype" or head[:5].lower() == b"<html":
        return "HTTP"
    if head[:2] in {b"\x15\x03", b"\x16\x03"}:  # RFC 8446, section 5.1: an alert or a handshake record
        return "TLS"
    if head.startswith(b"SSH-"):
        return "SSH"
    if len(head) > 4 and head[3:5] == b"\x00\x0a":  # packet number 0, protocol version 10
        return "MySQL"
    if head.startswith((b"220 ", b"220-")):
        return "SMTP or FTP"
    if head.startswith((b"-ERR ", b"-NOAUTH", b"-DENIED", b"-LOADING", b"-WRONGPASS", b"+PONG\r\n")):
        return "Redis"
    if len(head) > 4 and head[:1] in b"ERN" and head[1:3] == b"\x00\x00":
        return "PostgreSQL"
    return ""
