"""How connections are accepted from a listening socket that is shared."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from launcher.components import accept
from launcher.components.accept import Acceptor, duplicate
from launcher.components.drain import Drain


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket as the supervisor makes it, and as a host may get it: without its protocol number."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname())


def heard(client: socket.socket) -> bytes:
    """What a client hears until its connection ends."""
    with client:
        return b"".join(iter(lambda: client.recv(100), b""))


def test_a_duplicate_does_not_make_the_others_block(listener: socket.socket) -> None:
    """Whether a socket blocks is one setting for all its duplicates: a server that accepts from another one must not hang."""
    listener.setblocking(False)
    copy = socket.socket(
        fileno=os.dup(listener.fileno())
    )  # as a child process has it, which knows only the number
    with copy, duplicate(copy) as again:
        assert again.getsockname() == listener.getsockname()
        assert not os.get_blocking(listener.fileno())


def test_connections_of_a_duplicate_have_no_delay(listener: socket.socket) -> None:
    """What is accepted from a duplicate says that it is TCP, and sends small responses at once."""
    with duplicate(listener) as copy, connect(listener):
        accepted, _ = copy.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_what_was_accepted_is_a_connection_when_the_acceptor_has_closed(
    listener: socket.socket,
) -> None:
    """Connections that were taken in the very turn of the loop that closes the acceptor are served; later ones stay in the queue."""
    clients = [connect(listener) for _ in range(5)]
    acceptor = Acceptor([listener], Greeter)
    acceptor.open()
    acceptor._accept(listener)
    await acceptor.close()
    late = connect(listener)
    answers = await asyncio.gather(*(asyncio.to_thread(heard, client) for client in clients))
    assert answers == [b"hello"] * 5
    with late, listener.accept()[0] as taken:  # by whoever comes next
        assert taken.getpeername() == late.getsockname()


async def test_a_process_without_descriptors_accepts_again_later(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When no descriptor is left, that is said once, and connections wait in the queue until there are some."""
    monkeypatch.setattr(accept, "RETRY_DELAY", 0.0)

    class Exhausted(socket.socket):
        failures = 1

        def accept(self) -> tuple[socket.socket, object]:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super().accept()

    with Exhausted(fileno=os.dup(listener.fileno())) as scarce:
        acceptor = Acceptor([scarce], Greeter)
        acceptor.open()
        assert await asyncio.to_thread(heard, connect(listener)) == b"hello"
        await acceptor.close()
    assert "cannot accept connections" in caplog.text


async def test_a_server_without_connections_has_nothing_to_wait_for(listener: socket.socket) -> None:
    """Closing an acceptor and running a drain suspend nobody when nothing is open: such a stop takes no time."""
    acceptor = Acceptor([listener], Greeter)
    acceptor.open()
    drain = Drain(set())
    for step in (acceptor.close(), drain.run(asyncio.get_running_loop().time() + 10), drain.settle()):
        with pytest.raises(StopIteration):
            step.send(None)
