"""Checks: one asking whether something is ready, in its own protocol, without any driver.

A check never raises; whatever happens becomes a `CheckResult`. Nothing secret appears in it. Each check is imported when it is first asked for: a
backend needs one or two of them, and the supervisor is to stay small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.probes.checks.endpoint import Endpoint, InvalidEndpoint
    from launcher.probes.checks.exec import check_exec
    from launcher.probes.checks.http import check_http
    from launcher.probes.checks.result import CheckResult, FailureCause
    from launcher.probes.checks.tcp import check_tcp, check_unix
    from launcher.probes.checks.url import check_url
    from launcher.probes.checks.urls import parse_endpoint, redact

_HOMES = {
    "CheckResult": "result",
    "Endpoint": "endpoint",
    "FailureCause": "result",
    "InvalidEndpoint": "endpoint",
    "check_exec": "exec",
    "check_http": "http",
    "check_tcp": "tcp",
    "check_unix": "tcp",
    "check_url": "url",
    "parse_endpoint": "urls",
    "redact": "urls",
}

__all__ = [
    "CheckResult",
    "Endpoint",
    "FailureCause",
    "InvalidEndpoint",
    "check_exec",
    "check_http",
    "check_tcp",
    "check_unix",
    "check_url",
    "parse_endpoint",
    "redact",
]


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
