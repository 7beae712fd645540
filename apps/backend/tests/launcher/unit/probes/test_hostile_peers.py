"""Whatever the other side does, a check ends in time, with a reason, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.probes.checks import FailureCause, check_url
from launcher.probes.checks.stream import MAX_RECEIVED
from tests.launcher.unit.probes.peers import (
    answering,
    closing,
    echoing,
    endless,
    peer,
    resetting,
    silent,
)

if TYPE_CHECKING:
    from tests.launcher.unit.probes.peers import Script

URLS = {
    "PostgreSQL": "postgresql://app:Sw0rdf1sh@127.0.0.1:{port}/news",
    "PostgreSQL without TLS": "postgresql://app:Sw0rdf1sh@127.0.0.1:{port}/news?sslmode=disable",
    "Redis": "redis://:Sw0rdf1sh@127.0.0.1:{port}/0",
    "Bolt": "bolt://neo4j:Sw0rdf1sh@127.0.0.1:{port}",
    "HTTP": "http://app:Sw0rdf1sh@127.0.0.1:{port}/health?token=Sw0rdf1sh",
}
STEPS = {
    "PostgreSQL": "PostgreSQL SSL request",
    "PostgreSQL without TLS": "PostgreSQL startup message",
    "Redis": "AUTH",
    "Bolt": "Bolt handshake",
    "HTTP": "HTTP request",
}
WRONG = FailureCause.WRONG_PROTOCOL
CLOSED = FailureCause.CLOSED
GARBAGE = bytes(random.Random(7).randbytes(40)).replace(b"\n", b"-")
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
TLS_ALERT = bytes.fromhex("15030100020246")
MYSQL = b"\x4a\x00\x00\x00\x0a8.4.0\x00" + bytes(60)


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


everyone = pytest.mark.parametrize("name", URLS)


@everyone
async def test_silence_is_a_timeout_that_names_the_step(name: str) -> None:
    """A peer that says nothing is given up at the deadline, and the reason says what it was asked."""
    async with peer(silent) as other:
        result = await check_url(URLS[name].format(port=other.port), timeout=0.5)
    assert result.cause is FailureCause.TIMEOUT
    assert STEPS[name] in result.reason
    assert "within 0.5 s" in result.reason
    assert result.hint


@everyone
@pytest.mark.parametrize("script", [closing, resetting], ids=["in order", "reset"])
async def test_a_hang_up_is_told_as_such(name: str, script: Script) -> None:
    """A peer that closes instead of answering is neither refused nor a timeout."""
    async with peer(script) as other:
        result = await check_url(URLS[name].format(port=other.port), timeout=10)
    assert result.cause is CLOSED, result
    assert "closed the connection" in result.reason


STRANGE = {"": GARBAGE + b"\r\n\r\n", "HTTP": HTTP, "TLS": TLS_ALERT + b"\n", "MySQL": MYSQL + b"\n"}


@pytest.mark.parametrize(
    ("name", "seems"), [(name, seems) for name in URLS for seems in STRANGE if name != seems]
)
async def test_another_protocol_is_recognised(name: str, seems: str) -> None:
    """An answer in another protocol says so, and names the protocol where its first bytes tell."""
    async with peer(answering(STRANGE[seems])) as other:
        result = await check_url(URLS[name].format(port=other.port), timeout=10)
    assert result.cause is WRONG, result
    assert f"answers {seems}, not " in result.reason if seems else "does not answer as" in result.reason
    assert result.hint


@everyone
@pytest.mark.parametrize(
    "chunk",
    [b"\xa5" * 4096, b"HTTP/1.1 100 Continue\r\n\r\n", b"S\0\0\0\x08ab\0\0" * 99, b"+" * 999, bytes(1024)],
    ids=lambda chunk: repr(chunk[:9]),
)
async def test_endless_bytes_end_the_check(name: str, chunk: bytes) -> None:
    """A peer that never stops talking costs a bounded number of bytes, not memory and not the whole time."""
    async with peer(endless(chunk)) as other:
        result = await check_url(URLS[name].format(port=other.port), timeout=30)
        await asyncio.wait_for(other.gone.wait(), 10)
    assert not result.ok
    assert result.cause in {WRONG, FailureCause.TLS}, result


@everyone
async def test_a_trickle_cannot_outlast_the_deadline(name: str) -> None:
    """A byte now and then does not renew the time: the deadline is one for the whole check."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        for byte in b"HTTP/1.1 200 OK\r\nX: " if name == "HTTP" else b"R\0\0\0\x08\0\0":
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.05)

    url = URLS[name].format(port="{port}")
    async with peer(script) as other:
        result = await check_url(url.format(port=other.port), timeout=0.3)
    assert not result.ok
    assert result.cause in {FailureCause.TIMEOUT, WRONG}


@everyone
async def test_cancelling_closes_the_connection(name: str) -> None:
    """A cancelled check raises CancelledError, and the peer sees its connection end."""
    async with peer(silent) as other:
        task = asyncio.create_task(check_url(URLS[name].format(port=other.port), timeout=60))
        await asyncio.wait_for(other.spoken_to.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(other.gone.wait(), 10)


@everyone
@pytest.mark.parametrize(
    "script", [silent, closing, answering(GARBAGE), echoing], ids=["silence", "close", "garbage", "echo"]
)
async def test_nothing_is_left_behind(name: str, script: Script) -> None:
    """After a check its connection has ended, and there are no more tasks than before."""
    before = asyncio.all_tasks()
    async with peer(script) as other:
        await check_url(URLS[name].format(port=other.port), timeout=0.1)
        await asyncio.wait_for(other.gone.wait(), 10)
    assert asyncio.all_tasks() == before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
@everyone
async def test_no_descriptor_is_lost(name: str) -> None:
    """Fifty failed checks do not use up descriptors."""
    async with peer(closing) as other:
        url = URLS[name].format(port=other.port)
        await check_url(url)
        await asyncio.wait_for(other.gone.wait(), 10)
        before = _open_files()
        for _ in range(50):
            await check_url(url)
        async with asyncio.timeout(10):
            while _open_files() > before + 2:  # noqa: ASYNC110 (the peer's side closes by itself)
                await asyncio.sleep(0.01)


@everyone
async def test_an_echo_gives_no_secret_away(name: str) -> None:
    """A peer that sends everything back does not get the password into the result."""
    async with peer(echoing) as other:
        result = await check_url(URLS[name].format(port=other.port), timeout=0.3)
    assert not result.ok
    assert "Sw0rdf1sh" not in repr(result)


QUOTING = {
    "PostgreSQL without TLS": b"E\0\0\0\x25C28P01\0Mno Sw0rdf1sh for you here\0\0",
    "Redis": b"-WRONGPASS Sw0rdf1sh is not it\r\n",
    "HTTP": b"HTTP/1.1 401 not Sw0rdf1sh\r\n\r\n",
}


@pytest.mark.parametrize("name", QUOTING)
async def test_a_quoted_password_is_hidden(name: str) -> None:
    """A server that quotes the password in its error is quoted without it."""
    async with peer(answering(QUOTING[name])) as other:
        result = await check_url(URLS[name].format(port=other.port), timeout=10)
    assert result.cause in {FailureCause.AUTHENTICATION, FailureCause.STATUS}, result
    assert "***" in result.reason
    assert "Sw0rdf1sh" not in repr(result)


async def test_control_characters_of_a_peer_are_not_passed_on() -> None:
    """Escape sequences in a server's words cannot reach a terminal, and long words are cut."""
    async with peer(answering(b"-ERR \x1b[2Jgone\x07 " + b"x" * 5000 + b"\r\n")) as other:
        result = await check_url(f"redis://127.0.0.1:{other.port}", timeout=10)
    assert result.reason.isprintable()
    assert len(result.reason) < 300


@everyone
@settings(max_examples=40)
@given(
    answer=st.binary(max_size=200),
    start=st.sampled_from([b"", b"N", b"R", b"E", b"-", b"+", b"HTTP/1.1 2", b"\0\0"]),
)
def test_any_answer_becomes_a_result(name: str, answer: bytes, start: bytes) -> None:
    """No bytes whatsoever make a check raise, claim success, or fail for a reason of its own making."""

    async def ask() -> None:
        async with peer(answering(start + answer, then_close=True)) as other:
            result = await check_url(URLS[name].format(port=other.port), timeout=20)
        assert not result.ok or name == "HTTP"
        assert result.cause is not FailureCause.INVALID, result
        assert result.cause is not FailureCause.TIMEOUT, result

    asyncio.run(ask())


def test_the_bound_on_bytes_is_small() -> None:
    """The bound is what makes the tests above meaningful: a check never holds more than this."""
    assert MAX_RECEIVED <= 1 << 20
