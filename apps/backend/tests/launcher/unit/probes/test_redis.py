"""The Redis check against scripted answers that real servers give in rare states."""

from __future__ import annotations

import pytest

from launcher.probes.checks import FailureCause, check_url
from tests.launcher.unit.probes.peers import answering, peer

DENIED, NOT_READY = FailureCause.AUTHENTICATION, FailureCause.NOT_READY


@pytest.mark.parametrize(
    ("answer", "cause", "hint"),
    [
        ("+PONG", None, ""),
        ("-MISCONF Errors writing to the AOF file: No space left on device", None, ""),
        ("-NOPERM User app has no permissions to run the 'ping' command", None, ""),
        ("-READONLY You can't write against a read only replica.", None, ""),
        ("-LOADING Redis is loading the dataset in memory", NOT_READY, "wait"),
        ("-BUSY Redis is busy running a script.", NOT_READY, ""),
        ("-MASTERDOWN Link with MASTER is down", NOT_READY, ""),
        ("-ERR max number of clients reached", NOT_READY, "maxclients"),
        ("-NOAUTH Authentication required.", DENIED, "redis://:PASSWORD@host"),
        ("-DENIED Redis is running in protected mode", DENIED, "protected mode"),
        ("-ERR unknown command 'PING'", FailureCause.WRONG_PROTOCOL, "listening"),
        ("$4\r\nPONG", FailureCause.WRONG_PROTOCOL, "listening"),
    ],
)
async def test_answers_to_ping(answer: str, cause: FailureCause | None, hint: str) -> None:
    """A server that serves is ready in whatever state; one that does not says why."""
    async with peer(answering(f"{answer}\r\n".encode())) as other:
        result = await check_url(f"redis://127.0.0.1:{other.port}", timeout=10)
    assert (result.ok, result.cause) == (cause is None, cause), result
    assert hint in result.hint
    assert other.received == b"*1\r\n$4\r\nPING\r\n"


@pytest.mark.parametrize(
    ("url", "commands"),
    [
        ("redis://:p%0D%0Aw@{h}", [b"*2\r\n$4\r\nAUTH\r\n$4\r\np\r\nw\r\n"]),
        (
            "redis://app:pw@{h}/3",
            [b"*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$2\r\npw\r\n", b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"],
        ),
        ("redis://{h}/0", []),
        ("redis://:kennwört@{h}", [b"*2\r\n$4\r\nAUTH\r\n$9\r\nkennw\xc3\xb6rt\r\n"]),
    ],
)
async def test_what_is_sent(url: str, commands: list[bytes]) -> None:
    """Credentials and database are sent length-prefixed, so that nothing in them can become a command."""
    async with peer(answering(*[b"+OK\r\n"] * len(commands), b"+PONG\r\n")) as other:
        result = await check_url(url.format(h=f"127.0.0.1:{other.port}"), timeout=10)
    assert result.ok, result
    assert bytes(other.received) == b"".join(commands) + b"*1\r\n$4\r\nPING\r\n"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("-WRONGPASS invalid username-password pair or user is disabled.", "correct user name and password"),
        ("-ERR AUTH <password> called without any password configured", "remove the password"),
        ("-ERR Client sent AUTH, but no password is set", "remove the password"),
    ],
)
async def test_refused_credentials(answer: str, hint: str) -> None:
    """Whatever a server objects to in AUTH is an authentication failure with the remedy that fits."""
    async with peer(answering(f"{answer}\r\n".encode())) as other:
        result = await check_url(f"redis://:pw@127.0.0.1:{other.port}", timeout=10)
    assert result.cause is DENIED
    assert hint in result.hint
