"""Checks: one asking whether something is ready, in its own protocol, without any driver.

A check never raises; whatever happens becomes a `CheckResult`. Nothing secret appears in it.
"""

from __future__ import annotations

from launcher.probes.checks.endpoint import Endpoint, InvalidEndpoint
from launcher.probes.checks.exec import check_exec
from launcher.probes.checks.http import check_http
from launcher.probes.checks.result import CheckResult, FailureCause
from launcher.probes.checks.tcp import check_tcp, check_unix
from launcher.probes.checks.url import check_url
from launcher.probes.checks.urls import parse_endpoint, redact

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
