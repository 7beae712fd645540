"""Accepts connections from listening sockets that other processes accept from, too.

The loop's own ``create_server`` would do but for its end: a connection that asyncio has taken from the kernel and not yet given to its protocol
when the server closes is dropped without a word. Here every connection that was taken is known, and is a connection before `Acceptor.close` returns.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Sequence

AT_ONCE = 64
"""Connections taken in one turn of the loop, so that a rush of them does not hold up the requests of those that are there."""

RETRY_DELAY = 1.0
"""Seconds without accepting after the process ran out of descriptors or memory; what asyncio waits."""

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_TRANSIENT = (BlockingIOError, InterruptedError, ConnectionAbortedError)

logger = logging.getLogger("uvicorn.error")


class Acceptor:
    """Gives every connection of some listening sockets a protocol.

    Args:
        listeners: become non-blocking; they stay the property of the caller.
        make: returns the protocol of a new connection.
    """

    def __init__(self, listeners: Sequence[socket.socket], make: Callable[[], asyncio.Protocol]) -> None:
        self._listeners = listeners
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._open = False

    def open(self) -> None:
        """Begin to accept."""
        self._open = True
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def stop(self) -> None:
        """Accept no more. What waits in the listen queue is left to whoever accepts from it next."""
        if self._open:
            self._open = False
            self._pause()

    async def close(self) -> None:
        """Accept no more, and return when all that was accepted has its protocol."""
        self.stop()
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _pause(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _address = listener.accept()
            except _TRANSIENT:
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._rest(error)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._arrive(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def _rest(self, error: OSError) -> None:
        """Try again later: the listeners stay readable, so the loop would do nothing else meanwhile."""
        logger.error("cannot accept connections: %s; trying again in %g s", error, RETRY_DELAY)
        self._pause()
        self._retry = self._loop.call_later(RETRY_DELAY, self.open)

    async def _arrive(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError:
            connection.close()  # the client has gone already
        except BaseException:
            connection.close()
            raise


def duplicate(listener: socket.socket) -> socket.socket:
    """Return a duplicate of a listening socket, made so that every accepted connection has TCP_NODELAY.

    asyncio sets that only where the socket's protocol number says TCP; a socket from elsewhere may say 0, and each response on a kept-alive
    connection would wait some 40 ms for the client's delayed acknowledgement.

    ``listener.dup()`` would not do: it sets whether the socket blocks, and that is one setting for all duplicates in all processes. Another
    incarnation that accepts just then from an empty queue would hang.
    """
    internet = listener.family in {socket.AF_INET, socket.AF_INET6}
    protocol = socket.IPPROTO_TCP if internet else listener.proto
    copy = socket.socket(listener.family, listener.type, protocol, fileno=os.dup(listener.fileno()))
    if internet:
        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return copy
