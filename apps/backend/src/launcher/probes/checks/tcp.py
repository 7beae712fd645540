"""Does anything accept connections at an address?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.probes.checks.dialing import dial
from launcher.probes.checks.endpoint import Tcp, Unix
from launcher.probes.checks.result import CheckResult, invalid, perform

if TYPE_CHECKING:
    from launcher.probes.checks.endpoint import Address
    from launcher.probes.checks.result import Progress


async def check_tcp(host: str, port: int, timeout: float = 1.0) -> CheckResult:
    """Connect to a TCP port and hang up.

    Args:
        host: name or address.
        port: 1 to 65535.
        timeout: seconds for resolving and connecting together.
    """
    if not host or not 0 < port < 65536:
        return invalid(f"{host}:{port} is not an address to connect to")
    return await check_address(Tcp(host, port), timeout)


async def check_unix(path: str, timeout: float = 1.0) -> CheckResult:
    """Connect to a Unix-domain stream socket and hang up.

    Args:
        path: of the socket file.
        timeout: seconds.
    """
    if not path or "\0" in path:
        return invalid("the path of the socket is empty or contains a NUL character")
    return await check_address(Unix(path), timeout)


async def check_address(address: Address, timeout: float) -> CheckResult:
    """Connect to either sort of address and hang up."""

    async def talk(progress: Progress) -> None:
        sock, _ = await dial((address,), progress)
        sock.close()

    return await perform(talk, timeout)
