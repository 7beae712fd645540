"""Messages with descriptors: JSON in packets over a socket pair, between the launcher and its zygote."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

LARGEST = 4 * 1024 * 1024
"""Bytes of a packet at most; the kernel may grant less. An environment or a list of modules has some 100 KB."""

MOST_DESCRIPTORS = 250
"""Descriptors in one packet; the kernel's own limit is 253 (SCM_MAX_FD)."""

Packet = dict[str, Any]


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends; a packet sent is received whole or not at all."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    return ends


def send(end: socket.socket, packet: Packet, descriptors: Sequence[int] = ()) -> None:
    """Send a packet; descriptors are duplicated for the receiver.

    Raises:
        OSError: the other side is gone, or the packet is too large.
    """
    socket.send_fds(end, [json.dumps(packet).encode()], list(descriptors))


def receive(end: socket.socket) -> tuple[Packet, list[int]]:
    """Wait for a packet, or take the one that is there.

    Raises:
        EOFError: the other side is gone.
        BlockingIOError: the socket does not block and there is none.
    """
    try:
        data, descriptors, _flags, _address = socket.recv_fds(end, LARGEST, MOST_DESCRIPTORS)
    except ConnectionError:
        raise EOFError from None
    if not data:
        for descriptor in descriptors:
            os.close(descriptor)
        raise EOFError
    packet: Packet = json.loads(data)
    return packet, descriptors
