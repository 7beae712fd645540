"""Exceptions and first bytes are put into words that a user can act on."""

from __future__ import annotations

import errno
import os
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.probes.checks.result import MAX_QUOTED, FailureCause, as_failure, printable
from launcher.probes.checks.stream import recognise


def os_error(number: int) -> OSError:
    """The error that the system raises with this number."""
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        (os_error(errno.ECONNREFUSED), FailureCause.REFUSED, "refused by db:1"),
        (os_error(errno.ECONNRESET), FailureCause.CLOSED, "db:1 closed the connection"),
        (os_error(errno.EPIPE), FailureCause.CLOSED, "db:1 closed the connection"),
        (os_error(errno.EHOSTUNREACH), FailureCause.UNREACHABLE, "cannot reach db:1: no route to host"),
        (os_error(errno.ETIMEDOUT), FailureCause.UNREACHABLE, "cannot reach db:1: connection timed out"),
        (os_error(errno.EMFILE), FailureCause.UNREACHABLE, "cannot reach db:1: too many open files"),
        (
            OSError("AF_UNIX path too long"),
            FailureCause.UNREACHABLE,
            "cannot reach db:1: af_unix path too long",
        ),
        (ssl.SSLError(1, "[SSL] x"), FailureCause.TLS, "the TLS handshake with db:1 failed"),
        (ValueError("Sw0rdf1sh"), FailureCause.INVALID, "the check of db:1 failed with ValueError"),
    ],
)
def test_exceptions(error: Exception, cause: FailureCause, words: str) -> None:
    """Each class of exception has a cause of its own; the text of an unforeseen one is not repeated."""
    failure = as_failure(error, "db:1")
    assert failure.cause is cause
    assert failure.reason.startswith(words)
    assert "Sw0rdf1sh" not in failure.reason


@pytest.mark.parametrize(
    ("head", "protocol"),
    [
        (b"HTTP/1.1 400", "HTTP"),
        (b"<!DOCTYPE HTML>", "HTTP"),
        (b"\x15\x03\x01\x00\x02", "TLS"),
        (b"SSH-2.0-OpenSSH", "SSH"),
        (b"\x4a\x00\x00\x00\x0a8.0", "MySQL"),
        (b"220 mail.example ESMTP", "SMTP or FTP"),
        (b"-ERR unknown", "Redis"),
        (b"E\x00\x00\x00\x30SFATAL", "PostgreSQL"),
        (b"", ""),
        (b"\x00\x00\x05\x08", ""),
        (b"hello", ""),
    ],
)
def test_protocols_are_recognised(head: bytes, protocol: str) -> None:
    """The first bytes of the usual suspects tell which protocol they belong to."""
    assert recognise(head) == protocol


@given(raw=st.binary(max_size=600) | st.text(max_size=600), secret=st.text("ab", min_size=4, max_size=8))
def test_quoted_words_are_one_short_printable_line(raw: bytes | str, secret: str) -> None:
    """Whatever a peer says is quoted without control characters, within bounds, and without the secret."""
    mixed = raw + secret if isinstance(raw, str) else raw + secret.encode()
    line = printable(mixed, secret)
    assert line.isprintable()
    assert len(line) <= MAX_QUOTED
    assert secret not in line
