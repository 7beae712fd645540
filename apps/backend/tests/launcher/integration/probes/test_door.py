"""A check of one incarnation is answered by that one, although it shares its port with another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

from launcher.hosts.door import opened, wants_door
from launcher.model.spec import Bind, ComponentSpec, Kind, Probe, ProbeKind
from launcher.probes.runner import check

PATH = Probe(ProbeKind.HTTP, "/health")


def server(ready: Probe | None = PATH, port: int = 1) -> ComponentSpec:
    return ComponentSpec("api", Kind.ASGI, "web:app", bind=Bind(port), ready=ready)


@contextlib.asynccontextmanager
async def answering(listener: socket.socket, status: int, heard: list[bytes]) -> AsyncIterator[None]:
    """Answer every request on a listening socket with a status."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(answer, sock=listener):
        yield


@contextlib.contextmanager
def standing(spec: ComponentSpec) -> Iterator[tuple[Sequence[socket.socket], Bind | None]]:
    """A door, and no copy of ours afterwards."""
    sockets, address = opened(spec)
    try:
        yield sockets, address
    finally:
        for each in sockets:
            each.close()


async def test_the_door_decides_and_nobody_hears_of_it() -> None:
    """The answer at the door counts, the request looks like one to the shared port, and so does the reason."""
    shared: list[bytes] = []
    alone: list[bytes] = []
    public = socket.create_server(("127.0.0.1", 0))
    spec = server(port=public.getsockname()[1])
    with standing(spec) as ((listener,), door):
        assert door is not None
        async with answering(public, 200, shared), answering(listener.dup(), 503, alone):
            result = await check(spec, PATH, door)
            assert (await check(spec, PATH)).ok
    assert not result.ok
    assert result.reason.startswith(f"127.0.0.1:{spec.bind.port if spec.bind else 0} answered 503")
    assert str(door.port) not in result.reason
    assert f"Host: 127.0.0.1:{spec.bind.port if spec.bind else 0}\r\n".encode() in alone[0]
    assert (len(shared), len(alone)) == (1, 1)


def test_a_door_is_made_only_where_it_is_asked_for() -> None:
    """A path needs one; a full URL, another kind of check, or none, does not."""
    assert wants_door(server())
    for ready in (None, Probe(ProbeKind.HTTP, "http://127.0.0.1/up"), Probe(ProbeKind.TCP, "127.0.0.1:1")):
        assert not wants_door(server(ready))
        with standing(server(ready)) as (sockets, address):
            assert (sockets, address) == ((), None)


def test_a_door_closes_with_the_last_that_holds_it() -> None:
    """Our own copy is not kept, so that nobody connects to an incarnation that is gone."""
    with standing(server()) as ((listener,), door):
        copy = listener.dup()
    assert door is not None
    with socket.create_connection((door.address, door.port)):
        pass
    copy.close()
    with socket.socket() as client:
        assert client.connect_ex((door.address, door.port)) != 0
