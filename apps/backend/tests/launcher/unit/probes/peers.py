"""Scripted peers on real loopback sockets: what a check meets when the other side is strange, broken or hostile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Peer:
    """A listening peer.

    Attributes:
        port: where it listens on 127.0.0.1.
        received: everything that was sent to it, of all connections.
        spoken_to: set once something has arrived.
        gone: set once a connection was seen to end.
    """

    port: int
    received: bytearray = field(default_factory=bytearray)
    spoken_to: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def peer(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Listen, run the script for each connection, then wait for the end of the connection and note it."""
    tasks: set[asyncio.Task[None]] = set()
    made = Peer(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await script(_Recorder(reader, made), writer)
            with contextlib.suppress(OSError):
                while await reader.read(65536):
                    pass
        finally:
            made.gone.set()
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Recorder(asyncio.StreamReader):
    """A reader that notes what passes through it."""

    def __init__(self, inner: asyncio.StreamReader, made: Peer) -> None:
        super().__init__()
        self._inner = inner
        self._made = made

    async def read(self, n: int = -1) -> bytes:
        return self._note(await self._inner.read(n))

    async def readexactly(self, n: int) -> bytes:
        return self._note(await self._inner.readexactly(n))

    def _note(self, data: bytes) -> bytes:
        self._made.received += data
        if data:
            self._made.spoken_to.set()
        return data


def answering(*answers: bytes, then_close: bool = False) -> Script:
    """Answer the first requests with fixed bytes, then stay silent or hang up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            if not await reader.read(65536):
                return
            writer.write(answer)
            await writer.drain()
        if then_close:
            writer.close()
        else:
            await reader.read(65536)

    return script


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything and say nothing."""
    while await reader.read(65536):
        pass


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up after the first request, in order."""
    await reader.read(65536)
    writer.close()


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up after the first request, with a reset."""
    await reader.read(65536)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def endless(chunk: bytes) -> Script:
    """Send the same bytes for as long as somebody takes them."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)

    return script


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
