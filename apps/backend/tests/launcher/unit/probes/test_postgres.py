"""The PostgreSQL check against scripted servers: every message that matters, and servers that cheat."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import struct
from typing import TYPE_CHECKING

import pytest

from launcher.probes.checks import FailureCause, check_url
from tests.launcher.unit.probes.peers import peer

if TYPE_CHECKING:
    from tests.launcher.unit.probes.peers import Script

SALT, ROUNDS = b"0123456789abcdef", 4096
OK = b"\0\0\0\0"
PARAMETERS = (b"S", b"server_version\x0018.4\0"), (b"K", bytes(8)), (b"Z", b"I")
ROW = (b"T", b"\0\1?column?\0" + bytes(18)), (b"D", b"\0\1\0\0\0\x011"), (b"C", b"SELECT 1\0"), (b"Z", b"I")


def message(kind: bytes, body: bytes) -> bytes:
    """One message of the server."""
    return kind + struct.pack(">i", len(body) + 4) + body


def error(code: str, text: str) -> tuple[bytes, bytes]:
    """An ErrorResponse."""
    return b"E", f"SFATAL\0VFATAL\0C{code}\0M{text}\0Fauth.c\0\0".encode()


async def receive(reader: asyncio.StreamReader, *, typed: bool = True) -> bytes:
    """The body of the client's next message."""
    if typed:
        await reader.readexactly(1)
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)


def server(*turns: tuple[tuple[bytes, bytes], ...], ssl_answer: bytes = b"N") -> Script:
    """Refuse (or not) TLS, then answer each message of the client with the messages of one turn."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await receive(reader, typed=False)
        if body == struct.pack(">i", 80877103):
            writer.write(ssl_answer)
            await receive(reader, typed=False)
        for index, turn in enumerate(turns):
            if index:
                await receive(reader)
            writer.write(b"".join(message(*part) for part in turn))
            await writer.drain()
        while await reader.read(4096):
            pass

    return script


async def test_a_login_without_password_and_a_query() -> None:
    """Notices and parameters may come at any time; the session is ended in order."""
    notice = b"N", b"SNOTICE\0Mhello\0\0"
    newer = b"v", struct.pack(">ii", 0, 0)
    async with peer(server(((b"R", OK), notice, *PARAMETERS), (notice, *ROW))) as other:
        result = await check_url(f"postgresql://app@127.0.0.1:{other.port}/news", timeout=10)
        await asyncio.wait_for(other.gone.wait(), 10)
    assert (result.ok, result.reason, result.cause) == (True, "", None), result
    assert b"user\0app\0database\0news\0" in other.received
    assert other.received.endswith(b"X\0\0\0\x04")
    async with peer(server((newer, (b"R", OK), *PARAMETERS), ROW)) as other:
        assert (await check_url(f"postgresql://app@127.0.0.1:{other.port}/news", timeout=10)).ok


async def test_without_a_user_it_is_the_one_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """As libpq does, the check takes the name of the user it runs as, for the database as well."""
    monkeypatch.setenv("LOGNAME", "gutenberg")
    async with peer(server(((b"R", OK), *PARAMETERS), ROW)) as other:
        assert (await check_url(f"postgresql://127.0.0.1:{other.port}", timeout=10)).ok
    assert b"user\0gutenberg\0database\0gutenberg\0" in other.received


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"\0\0\0\x03", b"pencil\0"),
        # md5(md5("pencil" + "app") + "salt"), by PostgreSQL's documentation
        (
            b"\0\0\0\x05salt",
            b"md5"
            + hashlib.md5(hashlib.md5(b"pencilapp").hexdigest().encode() + b"salt").hexdigest().encode()
            + b"\0",
        ),
    ],
    ids=["cleartext", "md5"],
)
async def test_passwords_are_sent_as_asked(request_: bytes, expected: bytes) -> None:
    """Each password method of the server is answered in its own form."""
    async with peer(server(((b"R", request_),), ((b"R", OK), *PARAMETERS), ROW)) as other:
        result = await check_url(f"postgresql://app:pencil@127.0.0.1:{other.port}/news", timeout=10)
    assert result.ok, result
    assert message(b"p", expected) in bytes(other.received)


def scram_server(password: bytes, *, rounds: int = ROUNDS, honest: bool = True) -> Script:
    """The server's side of SCRAM-SHA-256, written from RFC 5802 and independent of the client's code."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(*parts: tuple[bytes, bytes]) -> None:
            writer.write(b"".join(message(*part) for part in parts))

        await receive(reader, typed=False)
        say((b"R", b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
        mechanism, _, rest = (await receive(reader)).partition(b"\0")
        assert mechanism == b"SCRAM-SHA-256"
        bare = rest[4:].removeprefix(b"n,,")
        nonce = bare.partition(b"r=")[2] + b"server"
        challenge = b"r=%b,s=%b,i=%d" % (nonce, base64.b64encode(SALT), rounds)
        say((b"R", b"\0\0\0\x0b" + challenge))
        final = await receive(reader)
        without_proof, _, proof = final.rpartition(b",p=")
        salted = hashlib.pbkdf2_hmac("sha256", password, SALT, rounds)
        stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        signed = b",".join((bare, challenge, without_proof))
        signature = hmac.digest(stored, signed, "sha256")
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.sha256(key).digest() != stored:
            say(error("28P01", 'password authentication failed for user "app"'))
        else:
            own = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
            verifier = base64.b64encode(own if honest else bytes(32))
            say((b"R", b"\0\0\0\x0cv=" + verifier), (b"R", OK), *PARAMETERS)
            await receive(reader)
            say(*ROW)
        while await reader.read(4096):
            pass

    return script


@pytest.mark.parametrize(
    ("url_password", "script", "cause", "reason"),
    [
        ("pencil", scram_server(b"pencil"), None, ""),
        ("pencil", scram_server(b"pencil", rounds=50_000), None, ""),
        (
            "pen",
            scram_server(b"pencil"),
            FailureCause.AUTHENTICATION,
            'password authentication failed for user "app"',
        ),
        ("pencil", scram_server(b"pencil", honest=False), FailureCause.AUTHENTICATION, "could not prove"),
        (
            "pencil",
            scram_server(b"pencil", rounds=2_000_000_000),
            FailureCause.AUTHENTICATION,
            "2000000000 rounds",
        ),
    ],
    ids=["right", "slow", "wrong", "dishonest server", "costly server"],
)
async def test_scram(url_password: str, script: Script, cause: FailureCause | None, reason: str) -> None:
    """SCRAM works with the right password only, checks the server too, and cannot be made to burn the processor."""
    async with peer(script) as other:
        url = f"postgresql://app:{url_password}@127.0.0.1:{other.port}/news?sslmode=disable"
        result = await check_url(url, timeout=10)
    assert result.cause is cause, result
    assert reason in result.reason


@pytest.mark.parametrize(
    ("code", "text", "cause", "hint"),
    [
        ("28P01", 'password authentication failed for user "app"', FailureCause.AUTHENTICATION, "password"),
        ("28000", "no pg_hba.conf entry for host", FailureCause.AUTHENTICATION, "pg_hba.conf"),
        ("3D000", 'database "news" does not exist', FailureCause.NOT_READY, "create the database"),
        ("57P03", "the database system is starting up", FailureCause.NOT_READY, "wait"),
        ("53300", "sorry, too many clients already", FailureCause.NOT_READY, "max_connections"),
        ("08P01", "server_login_failed", FailureCause.NOT_READY, ""),
    ],
)
@pytest.mark.parametrize("moment", ["login", "query"])
async def test_errors_are_told_in_the_servers_words(
    code: str, text: str, cause: FailureCause, hint: str, moment: str
) -> None:
    """An ErrorResponse, at login or in answer to the query, becomes cause, the server's message, and a hint."""
    login = (b"R", OK), *PARAMETERS
    turns = ((error(code, text),),) if moment == "login" else (login, (error(code, text), (b"Z", b"I")))
    async with peer(server(*turns)) as other:
        result = await check_url(f"postgresql://app:x@127.0.0.1:{other.port}/news", timeout=10)
    assert result.cause is cause, result
    assert text in result.reason
    assert hint in result.hint


@pytest.mark.parametrize(
    ("turns", "options", "cause", "reason"),
    [
        ([((b"R", b"\0\0\0\x03"),)], "", FailureCause.AUTHENTICATION, 'asks for the password of user "app"'),
        ([((b"R", b"\0\0\0\x07"),)], "", FailureCause.AUTHENTICATION, "GSSAPI"),
        (
            [((b"R", b"\0\0\0\x0aOAUTHBEARER\0\0"),)],
            "password=x",
            FailureCause.AUTHENTICATION,
            "without SCRAM",
        ),
        ([((b"R", b"\0\0\0\x0cv=AAAA"),)], "", FailureCause.AUTHENTICATION, "cannot do: 12"),
        ([((b"R", b"\0\0"),)], "", FailureCause.WRONG_PROTOCOL, "does not answer as PostgreSQL"),
        ([((b"Z", b"I"),)], "", FailureCause.WRONG_PROTOCOL, "does not answer as PostgreSQL"),
        ([((b"R", b"x" * 40000),)], "", FailureCause.WRONG_PROTOCOL, "does not answer as PostgreSQL"),
        ([], "sslmode=require", FailureCause.TLS, "does not offer TLS"),
    ],
)
async def test_what_the_check_cannot_answer(
    turns: list[tuple[tuple[bytes, bytes], ...]], options: str, cause: FailureCause, reason: str
) -> None:
    """Methods that need more than the URL, and messages out of place, are told for what they are."""
    async with peer(server(*turns)) as other:
        result = await check_url(f"postgresql://app@127.0.0.1:{other.port}/news?{options}", timeout=10)
    assert result.cause is cause, result
    assert reason in result.reason
    assert result.hint


async def test_an_error_in_answer_to_the_tls_question() -> None:
    """A server without resources answers the very first message with an error; it is told, not called foreign."""
    answer = message(*error("53300", "sorry, too many clients already"))
    async with peer(server(ssl_answer=answer)) as other:
        result = await check_url(f"postgresql://app@127.0.0.1:{other.port}/news", timeout=10)
    assert (result.cause, result.reason) == (FailureCause.NOT_READY, "sorry, too many clients already")
