"""A door of its own for each incarnation, so that the launcher asks the one it means whether it is ready.

Incarnations of one component, and its replicas, share a listening socket: whoever accepts first answers. A check through that socket could be
answered by the old incarnation while the new one is not ready at all.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from launcher.model.spec import Bind, Kind, ProbeKind

if TYPE_CHECKING:
    from launcher.model.spec import ComponentSpec

LOOPBACK = "127.0.0.1"
BACKLOG = 16
"""Nobody but the launcher asks here, one question at a time."""


def wants_door(spec: ComponentSpec) -> bool:
    """Whether readiness is asked for by a path on the component's own bind."""
    ready = spec.ready
    by_path = ready is not None and ready.kind is ProbeKind.HTTP and "://" not in ready.target
    return spec.kind is Kind.ASGI and by_path


def opened(spec: ComponentSpec) -> tuple[tuple[socket.socket, ...], Bind | None]:
    """Return the listening socket of a new door, to be inherited, and its address; nothing where none is wanted.

    Once the process has inherited it, our own copy is to be closed, so that the door closes with the last process behind it.

    Raises:
        OSError: there is no port, or no descriptor, left.
    """
    if not wants_door(spec):
        return (), None
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.bind((LOOPBACK, 0))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return (listener,), Bind(listener.getsockname()[1], LOOPBACK)
