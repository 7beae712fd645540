"""What one message of ``sd_notify`` says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.hosts.notify import LONGEST_STATUS, Said, said


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (b"READY=1", Said(ready=True)),
        (b"READY=1\n", Said(ready=True)),
        (b"STATUS=x=y\nREADY=1\nMAINPID=7", Said(ready=True, status="x=y")),
        (b"READY=0", Said()),
        (b"ALREADY=1", Said()),
        (b"READY", Said()),
        (b"RELOADING=1\nMONOTONIC_USEC=5", Said(away="reloading")),
        (b"STOPPING=1\nRELOADING=1", Said(away="stopping")),
        (b"STATUS=  caf\xc3\xa9\x1b[31m \t", Said(status="caf\u00e9[31m")),
        (b"STATUS=" + b"x" * 999, Said(status="x" * LONGEST_STATUS)),
        (b"", Said()),
    ],
)
def test_messages(message: bytes, meaning: Said) -> None:
    """Lines of NAME=VALUE; a status is one printable line."""
    assert said(message) == meaning


@given(st.binary(max_size=500))
def test_any_bytes_can_be_read(message: bytes) -> None:
    """Whatever is sent, the status can be shown on a terminal."""
    status = said(message).status
    assert len(status) <= LONGEST_STATUS
    assert status.isprintable()
