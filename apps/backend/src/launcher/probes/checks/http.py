"""Does an HTTP server answer a GET with a status that means ready?"""

from __future__ import annotations

import base64
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from launcher.probes.checks.dialing import connect
from launcher.probes.checks.endpoint import InvalidEndpoint, Protocol, Tcp
from launcher.probes.checks.result import CheckFailed, CheckResult, FailureCause, invalid, perform, printable
from launcher.probes.checks.urls import parse_endpoint

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from launcher.probes.checks.endpoint import Endpoint
    from launcher.probes.checks.result import Progress
    from launcher.probes.checks.stream import Stream

READY_STATUSES = range(200, 400)
"""The statuses that Kubernetes takes for success in an HTTP probe."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: (.*))?")
_MAX_INTERIM = 8
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


async def check_http(
    url: str,
    *,
    expect: Container[int] = READY_STATUSES,
    timeout: float = 1.0,
    headers: Mapping[str, str] | None = None,
) -> CheckResult:
    """GET a URL and judge by the status alone.

    Redirects are not followed: a probe that is redirected elsewhere would tell about something else. The body is
    not read.

    Args:
        url: an ``http`` or ``https`` URL; user and password become a Basic authorization.
        expect: the statuses that mean ready, by default 200 to 399.
        timeout: seconds for everything together.
        headers: sent in addition; ``Host``, ``User-Agent``, ``Accept`` and ``Connection`` may be replaced.
    """
    try:
        endpoint = parse_endpoint(url)
        request = _request(endpoint, headers or {})
    except InvalidEndpoint as error:
        return invalid(str(error), error.hint)
    if endpoint.protocol is not Protocol.HTTP:
        return invalid("the URL of an HTTP check does not begin with http:// or https://")

    async def talk(progress: Progress) -> None:
        async with connect(endpoint, progress) as stream:
            await stream.send(request, "the HTTP request")
            await _judge(stream, expect, endpoint)

    return await perform(talk, timeout)


async def _judge(stream: Stream, expect: Container[int], endpoint: Endpoint) -> None:
    for _ in range(_MAX_INTERIM):
        match = _STATUS_LINE.fullmatch(await stream.line())
        if match is None:
            raise stream.foreign()
        while await stream.line():
            pass
        status = int(match[1])
        if status >= 200 or status == 101:
            break
    else:
        raise stream.foreign()
    if status not in expect:
        phrase = printable(match[2] or b"", endpoint.secret) or _phrase(status)
        hint = "the user or token in the request is not accepted" if status in {401, 403} else ""
        raise CheckFailed(FailureCause.STATUS, f"{stream.peer} answered {status} {phrase}".rstrip(), hint)


def _request(endpoint: Endpoint, extra: Mapping[str, str]) -> bytes:
    address = endpoint.addresses[0]
    fields = {
        "Host": _host(address) if isinstance(address, Tcp) else "localhost",
        "User-Agent": "launcher-probe/1.0",
        "Accept": "*/*",
        "Connection": "close",
    }
    if endpoint.user or endpoint.password:
        token = base64.b64encode(f"{endpoint.user}:{endpoint.password}".encode()).decode()
        fields["Authorization"] = f"Basic {token}"
    replaced = {name.lower() for name in extra}
    lines = [f"{name}: {value}" for name, value in fields.items() if name.lower() not in replaced]
    for name, value in extra.items():
        if not _NAME.fullmatch(name) or any(char in "\r\n\0" for char in value):
            raise InvalidEndpoint(f"the header {printable(name)!r} of the check is malformed")
        lines.append(f"{name}: {value}")
    return "\r\n".join([f"GET {endpoint.target} HTTP/1.1", *lines, "", ""]).encode("utf-8")


def _host(address: Tcp) -> str:
    """The ``Host`` field: names beyond ASCII in the form that DNS uses."""
    name = address.host
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise InvalidEndpoint("the host in the URL is malformed") from None
    return str(Tcp(name, address.port))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
