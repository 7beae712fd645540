"""Asking the server behind any URL, in the protocol that the URL's scheme names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.probes.checks.bolt import check_bolt
from launcher.probes.checks.endpoint import InvalidEndpoint, Protocol
from launcher.probes.checks.http import check_http
from launcher.probes.checks.postgres import check_postgres
from launcher.probes.checks.redis import check_redis
from launcher.probes.checks.result import CheckResult, invalid, perform
from launcher.probes.checks.tcp import check_address
from launcher.probes.checks.urls import parse_endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from launcher.probes.checks.endpoint import Endpoint
    from launcher.probes.checks.result import Progress

_TALKS: dict[Protocol, Callable[[Endpoint, Progress], Awaitable[None]]] = {
    Protocol.POSTGRESQL: check_postgres,
    Protocol.REDIS: check_redis,
    Protocol.BOLT: check_bolt,
}


async def check_url(url: str, timeout: float = 1.0) -> CheckResult:
    """Ask the server behind a URL whether it serves this user.

    Databases are asked for as much as a backend needs at its start: the login is made and a query is answered.

    Args:
        url: see `launcher.probes.checks.urls` for the accepted schemes and forms.
        timeout: seconds for everything together: resolving, connecting, TLS, login and query.

    Returns:
        A result for every outcome, malformed URLs included; never raises but for cancellation.
    """
    try:
        endpoint = parse_endpoint(url)
    except InvalidEndpoint as error:
        return invalid(str(error), error.hint)
    if endpoint.protocol is Protocol.HTTP:
        return await check_http(url, timeout=timeout)
    if endpoint.protocol is Protocol.TCP:
        return await check_address(endpoint.addresses[0], timeout)

    async def talk(progress: Progress) -> None:
        await _TALKS[endpoint.protocol](endpoint, progress)

    return await perform(talk, timeout)
