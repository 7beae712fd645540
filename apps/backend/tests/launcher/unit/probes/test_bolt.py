"""The Bolt check against a scripted server of each version."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from launcher.probes.checks import FailureCause, check_url
from launcher.probes.checks.packstream import Structure, Value, pack, unpack
from tests.launcher.unit.probes.peers import answering, peer

if TYPE_CHECKING:
    from tests.launcher.unit.probes.peers import Script

HELLO, GOODBYE, RUN, PULL, LOGON = 0x01, 0x02, 0x10, 0x3F, 0x6A
SUCCESS, RECORD, FAILURE = 0x70, 0x71, 0x7F


def chunked(message: Structure, size: int = 7) -> bytes:
    """A message in small chunks, with a keep-alive chunk in front."""
    raw = pack(message)
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    return b"\0\0" + b"".join(len(part).to_bytes(2, "big") + part for part in parts) + b"\0\0"


def server(version: tuple[int, int], seen: list[Structure], failures: dict[int, dict[str, Value]]) -> Script:
    """A server that notes each message and answers SUCCESS, or the failure given for its tag."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readexactly(20))[:4] == b"\x60\x60\xb0\x17"
        writer.write(bytes((0, 0, version[1], version[0])))
        while True:
            raw = b""
            while size := int.from_bytes(await reader.readexactly(2), "big"):
                raw += await reader.readexactly(size)
            message = unpack(raw)
            assert isinstance(message, Structure)
            seen.append(message)
            if message.tag == GOODBYE:
                return
            if message.tag == PULL:
                writer.write(chunked(Structure(RECORD, ([1],))))
            failure = failures.get(message.tag)
            writer.write(
                chunked(Structure(SUCCESS, ({},)) if failure is None else Structure(FAILURE, (failure,)))
            )
            await writer.drain()

    return script


BASIC: dict[str, Value] = {"scheme": "basic", "principal": "neo4j", "credentials": "pw"}


@pytest.mark.parametrize("version", [(5, 8), (5, 3), (5, 2), (5, 1), (5, 0), (4, 4), (4, 0)])
async def test_every_version_gets_the_login_it_expects(version: tuple[int, int]) -> None:
    """Credentials travel in LOGON from 5.1 on, in HELLO before; ``bolt_agent`` from 5.3 on; then query and goodbye."""
    seen: list[Structure] = []
    async with peer(server(version, seen, {})) as other:
        result = await check_url(f"bolt://neo4j:pw@127.0.0.1:{other.port}", timeout=10)
        await asyncio.wait_for(other.gone.wait(), 10)
    assert result.ok, result
    tags = [message.tag for message in seen]
    hello = seen[0].fields[0]
    assert isinstance(hello, dict)
    if version >= (5, 1):
        assert tags == [HELLO, LOGON, RUN, PULL, GOODBYE]
        assert seen[1].fields == (BASIC,)
        assert "credentials" not in hello
    else:
        assert tags == [HELLO, RUN, PULL, GOODBYE]
        assert hello.items() >= BASIC.items()
    assert ("bolt_agent" in hello) == (version >= (5, 3))


async def test_without_credentials_none_are_claimed() -> None:
    """A URL without user asks for the scheme ``none``."""
    seen: list[Structure] = []
    async with peer(server((5, 4), seen, {})) as other:
        assert (await check_url(f"neo4j://127.0.0.1:{other.port}", timeout=10)).ok
    assert seen[1].fields == ({"scheme": "none"},)


async def test_a_server_that_wants_credentials_is_up() -> None:
    """A URL without user only asks whether the server answers: the driver takes no credentials from a URL."""
    failure: dict[str, Value] = {"code": "Neo.ClientError.Security.Unauthorized", "message": "missing"}
    async with peer(server((5, 4), [], {LOGON: failure})) as other:
        assert (await check_url(f"bolt://127.0.0.1:{other.port}", timeout=10)).ok


@pytest.mark.parametrize(
    ("tag", "code", "cause", "hint"),
    [
        (LOGON, "Neo.ClientError.Security.Unauthorized", FailureCause.AUTHENTICATION, "correct user name"),
        (
            LOGON,
            "Neo.ClientError.Security.CredentialsExpired",
            FailureCause.AUTHENTICATION,
            "change the initial",
        ),
        (RUN, "Neo.ClientError.Security.Forbidden", FailureCause.AUTHENTICATION, "correct user name"),
        (RUN, "Neo.TransientError.General.DatabaseUnavailable", FailureCause.NOT_READY, ""),
        (PULL, "Neo.ClientError.Database.DatabaseNotFound", FailureCause.NOT_READY, ""),
    ],
)
@pytest.mark.parametrize("key", ["code", "neo4j_code"])
async def test_failures_are_told(tag: int, code: str, cause: FailureCause, hint: str, key: str) -> None:
    """A FAILURE at any message becomes cause, message and hint, under the old and the new name of its code."""
    failure: dict[str, Value] = {key: code, "message": "not with pw@Sw0rdf1sh"}
    async with peer(server((5, 8), [], {tag: failure})) as other:
        result = await check_url(f"bolt://neo4j:Sw0rdf1sh@127.0.0.1:{other.port}", timeout=10)
    assert result.cause is cause, result
    assert "not with pw@***" in result.reason
    assert hint in result.hint


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((bytes(4),), "none of the versions"),
        ((b"\0\0\0\x09",), "does not answer as Bolt"),
        ((b"\0\0\4\5", b"\0\1\xc4\0\0"), "does not answer as Bolt"),
        ((b"\0\0\4\5", b"\0\1\x01\0\0"), "does not answer as Bolt"),
        ((b"\0\0\4\5", b"\0\2\xb0\x7e\0\0"), "does not answer as Bolt"),
        ((b"\0\0\4\5", b"\xff\xff" + bytes(65536)), "does not answer as Bolt"),
    ],
)
async def test_what_is_no_bolt(answers: tuple[bytes, ...], reason: str) -> None:
    """Unknown versions, broken encodings and messages out of place are a wrong protocol."""
    async with peer(answering(*answers)) as other:
        result = await check_url(f"bolt://127.0.0.1:{other.port}", timeout=10)
    assert result.cause is FailureCause.WRONG_PROTOCOL, result
    assert reason in result.reason
