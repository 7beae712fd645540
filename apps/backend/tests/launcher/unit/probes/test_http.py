"""The HTTP check: judged by the status, and by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from launcher.probes.checks import FailureCause, check_http
from tests.launcher.unit.probes.peers import answering, peer

if TYPE_CHECKING:
    from collections.abc import Container


@pytest.mark.parametrize(
    ("answer", "expect", "reason"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", None, None),
        ("HTTP/1.0 204\r\n\r\n", None, None),
        ("HTTP/1.1 200 \r\nContent-Length: 99999\r\n\r\n", None, None),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", None, None),
        ("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", None, None),
        ("HTTP/1.1 200 OK\nX: y\n\n", None, None),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", None, "answered 503 Service Unavailable"),
        ("HTTP/1.1 404\r\n\r\n", None, "answered 404 Not Found"),
        ("HTTP/1.1 799\r\n\r\n", None, "answered 799"),
        ("HTTP/1.1 503 x\r\n\r\n", [200, 503], None),
        ("HTTP/1.1 204 x\r\n\r\n", [200], "answered 204 x"),
    ],
)
async def test_statuses(answer: str, expect: Container[int] | None, reason: str | None) -> None:
    """200 to 399 is ready unless other statuses are expected; redirects are not followed, bodies not awaited."""
    async with peer(answering(answer.encode())) as other:
        url = f"http://127.0.0.1:{other.port}/"
        result = await (
            check_http(url, timeout=10) if expect is None else check_http(url, expect=expect, timeout=10)
        )
    assert result.ok == (reason is None), result
    if reason is not None:
        assert result.cause is FailureCause.STATUS
        assert result.reason == f"127.0.0.1:{other.port} {reason}"


@pytest.mark.parametrize(
    ("suffix", "headers", "lines"),
    [
        ("/health?a=b", {}, ["GET /health?a=b HTTP/1.1", "Host: {h}", "Connection: close"]),
        ("", {}, ["GET / HTTP/1.1"]),
        ("?a=b#part", {}, ["GET /?a=b HTTP/1.1"]),
        ("/a b/ü", {}, ["GET /a%20b/%C3%BC HTTP/1.1"]),
        ("/x%0d%0aEvil:1", {}, ["GET /x%0d%0aEvil:1 HTTP/1.1"]),
        ("/x\r\nEvil: 1", {}, ["GET /x%0D%0AEvil:%201 HTTP/1.1"]),
        ("/", {"host": "shop.example", "X-Probe": "ja"}, ["host: shop.example", "X-Probe: ja"]),
    ],
)
async def test_the_request(suffix: str, headers: dict[str, str], lines: list[str]) -> None:
    """The request line is always a single clean one, and headers can be added or replaced."""
    async with peer(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as other:
        authority = f"127.0.0.1:{other.port}"
        assert (await check_http(f"http://{authority}{suffix}", headers=headers, timeout=10)).ok
    sent = other.received.decode().split("\r\n")
    assert sent[-2:] == ["", ""]
    assert [line.format(h=authority) in sent for line in lines] == [True] * len(lines), sent
    assert sum(line.lower().startswith("host:") for line in sent) == 1


async def test_credentials_become_basic_authorization() -> None:
    """User and password of the URL are sent as RFC 7617 says, with its example."""
    async with peer(answering(b"HTTP/1.1 401 Unauthorized\r\n\r\n")) as other:
        result = await check_http(f"http://Aladdin:open%20sesame@127.0.0.1:{other.port}/", timeout=10)
    assert b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n" in other.received
    assert (result.cause, "not accepted" in result.hint) == (FailureCause.STATUS, True)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("tcp://127.0.0.1:80", {}),
        ("redis://h", {}),
        ("http://127.0.0.1/", {"X": "a\r\nEvil: 1"}),
        ("http://127.0.0.1/", {"X Y": "a"}),
        ("http://" + "ü" * 80 + "/", {}),
    ],
)
async def test_requests_that_cannot_be_made(url: str, headers: dict[str, str]) -> None:
    """Other schemes, header injection and impossible names are invalid, and nothing is sent anywhere."""
    result = await check_http(url, headers=headers)
    assert result.cause is FailureCause.INVALID
    assert result.reason
