"""What a check answers, and how every failure becomes such an answer instead of an exception."""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAX_QUOTED = 200
"""Longest piece of a peer's own words that a reason quotes, in characters."""


@unique
class FailureCause(StrEnum):
    """Why a check failed, for decisions and for translation; the reason says it in words."""

    REFUSED = "refused"
    """Nothing listens at the address."""
    DNS = "dns"
    """The name of the server cannot be resolved."""
    TIMEOUT = "timeout"
    """No answer in time; the reason says at which step."""
    AUTHENTICATION = "authentication"
    """The server answers, but does not let this user in."""
    WRONG_PROTOCOL = "wrong_protocol"
    """Something answers, but not what the URL says."""
    NOT_READY = "not_ready"
    """The right server answers that it cannot serve (yet)."""
    UNREACHABLE = "unreachable"
    """No way to the address: no route, no permission, no such address."""
    TLS = "tls"
    """The encrypted connection could not be made."""
    STATUS = "status"
    """An HTTP status that was not expected."""
    CLOSED = "closed"
    """The peer closed the connection instead of answering."""
    EXEC = "exec"
    """The command of an ``exec`` check could not run or did not exit with 0."""
    INVALID = "invalid"
    """The check itself cannot be carried out as asked (a malformed URL, for example)."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer of one check.

    Attributes:
        ok: whether the asked thing is ready.
        latency: duration of the check in seconds (monotonic clock).
        reason: what failed and why, in one short line without secrets; empty when ``ok``.
        cause: the class of the failure; ``None`` when ``ok``.
        hint: what the user can do; may be empty.
    """

    ok: bool
    latency: float
    reason: str = ""
    cause: FailureCause | None = None
    hint: str = ""


class CheckFailed(Exception):
    """A failure that is already put into words; never leaves the package."""

    def __init__(self, cause: FailureCause, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason
        self.hint = hint


@dataclass(slots=True)
class Progress:
    """How far a check has come, so that a timeout can say at which step it struck.

    Attributes:
        deadline: when the whole check ends, on the clock of the event loop, in seconds.
        pending: the beginning of the sentence "… within 1 s".
        hint: what to do about a timeout at this step; may be empty.
    """

    deadline: float
    pending: str = "no answer"
    hint: str = ""

    def at(self, pending: str, hint: str = "") -> None:
        """Note the step that begins now."""
        self.pending, self.hint = pending, hint

    def remaining(self) -> float:
        """Seconds until the check as a whole times out; never negative."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


async def perform(talk: Callable[[Progress], Awaitable[None]], timeout: float) -> CheckResult:
    """Run one check under one overall deadline and turn whatever happens into a result.

    Args:
        talk: the check; returns when the peer is ready and raises otherwise.
        timeout: seconds for everything together: resolving, connecting, talking.

    Raises:
        asyncio.CancelledError: only when the caller was cancelled; sockets are closed by then.
    """
    started = time.monotonic()
    progress = Progress(deadline=asyncio.get_running_loop().time() + timeout)
    limit = asyncio.timeout_at(progress.deadline)
    try:
        async with limit:
            await talk(progress)
    except Exception as error:  # noqa: BLE001 (a supervisor must outlive every answer of every peer)
        failure = _timed_out(progress, timeout) if limit.expired() else as_failure(error)
        latency = time.monotonic() - started
        return CheckResult(False, latency, failure.reason, failure.cause, failure.hint)
    return CheckResult(True, time.monotonic() - started)


def invalid(reason: str, hint: str = "") -> CheckResult:
    """The result of a check that cannot even be asked."""
    return CheckResult(False, 0.0, reason, FailureCause.INVALID, hint)


def as_failure(error: BaseException, peer: str = "the peer") -> CheckFailed:
    """Put an exception of the socket, TLS or codec layer into words.

    Args:
        error: what was raised; a `CheckFailed` is returned as it is.
        peer: how to call the other side.
    """
    if isinstance(error, CheckFailed):
        return error
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error, peer)
    if isinstance(error, ConnectionRefusedError):
        hint = "nothing listens there: start the server, or correct the address"
        return CheckFailed(FailureCause.REFUSED, f"refused by {peer}", hint)
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return CheckFailed(FailureCause.CLOSED, f"{peer} closed the connection")
    if isinstance(error, OSError):
        what = errno.errorcode.get(error.errno or 0, type(error).__name__)
        detail = printable(error.strerror or str(error)).lower() or what
        return CheckFailed(FailureCause.UNREACHABLE, f"cannot reach {peer}: {detail}")
    # Only the type is told: the text of an unforeseen exception might quote a secret.
    return CheckFailed(FailureCause.INVALID, f"the check of {peer} failed with {type(error).__name__}")


def printable(raw: bytes | str, secret: str = "") -> str:
    """A peer's words as one short line: no control characters, no escape sequences, no secret.

    Args:
        raw: what the peer sent.
        secret: a text to replace by ``***``, since a peer may echo what it was sent.
    """
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    if secret:
        text = text.replace(secret, "***")
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MAX_QUOTED else line[: MAX_QUOTED - 1] + "…"


def _timed_out(progress: Progress, timeout: float) -> CheckFailed:
    return CheckFailed(FailureCause.TIMEOUT, f"{progress.pending} within {timeout:g} s", progress.hint)


def _tls_failure(error: ssl.SSLError, peer: str) -> CheckFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = printable(error.verify_message or "certificate verify failed")
        hint = "make its certificate authority known to the check, or turn verification off in the URL"
        return CheckFailed(FailureCause.TLS, f"the certificate of {peer} is not trusted: {detail}", hint)
    reason = getattr(error, "reason", None) or ""  # missing where the error does not come from OpenSSL
    if reason in {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        hint = "use the URL scheme without TLS, or turn TLS on in the server"
        return CheckFailed(FailureCause.TLS, f"{peer} does not speak TLS", hint)
    detail = (reason or type(error).__name__).lower().replace("_", " ")
    return CheckFailed(FailureCause.TLS, f"the TLS handshake with {peer} failed: {detail}")
