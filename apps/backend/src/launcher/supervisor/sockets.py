"""Listening sockets: bound before any code of the backend runs, held until the launcher ends."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from launcher.errors import BindFailed
from launcher.model.spec import Bind, Kind
from launcher.probes.ports import explain_bind_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.core.plan import Plan

BACKLOG = 2048
"""Length of the listen queue; clients wait in it while a component starts or restarts (uvicorn's default)."""


@dataclass(frozen=True, slots=True)
class Listening:
    """The plan with every port known, and the sockets by declared component: its replicas share them."""

    plan: Plan
    sockets: Mapping[str, tuple[socket.socket, ...]]

    def close(self) -> None:
        """Close all sockets; from now on connections are refused."""
        for group in self.sockets.values():
            for listener in group:
                listener.close()


def bind_all(plan: Plan) -> Listening:
    """Bind the ports of all ASGI components, and see that the ports that commands will bind are free.

    A port of 0 becomes the port that the system chose.

    Raises:
        BindFailed: with the first port that cannot be had, who holds it, and what to do; nothing stays bound.
    """
    sockets: dict[str, tuple[socket.socket, ...]] = {}
    components = dict(plan.components)
    try:
        for name, spec in plan.components.items():
            if spec.bind is None:
                continue
            if spec.replica > 1:  # the first one comes before it, and has what they share
                components[name] = replace(spec, bind=components[spec.declared_name].bind)
                continue
            listener = _bound(name, spec.bind)
            if spec.kind is Kind.ASGI:
                sockets[name] = (listener,)
                port = listener.getsockname()[1]
                components[name] = replace(spec, bind=replace(spec.bind, port=port))
            else:
                listener.close()
    except BindFailed:
        Listening(plan, sockets).close()
        raise
    declared = (replace(each, bind=components[each.name].bind) for each in plan.spec.components)
    whole = replace(plan.spec, components=tuple(declared))
    return Listening(replace(plan, spec=whole, components=components), sockets)


def _bound(name: str, bind: Bind) -> socket.socket:
    try:
        family = socket.getaddrinfo(bind.address, bind.port, type=socket.SOCK_STREAM)[0][0]
        # asyncio only sets TCP_NODELAY on connections of sockets that were made with this protocol number; without it each response
        # on a kept-alive connection would wait about 40 ms for the client's delayed acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _failed(name, bind, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((bind.address, bind.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _failed(name, bind, error) from error
    return listener


def _failed(name: str, bind: Bind, error: OSError) -> BindFailed:
    reason, hint = explain_bind_error(error, bind.address, bind.port)
    return BindFailed(f"cannot start {name}: {reason}", hint=hint)
