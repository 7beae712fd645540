"""Listening sockets: bound before any code of the backend runs, held until the launcher ends."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from launcher.core.plan import WILDCARDS
from launcher.errors import BindFailed
from launcher.model.spec import Bind
from launcher.probes.ports import explain_bind_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from launcher.core.plan import Plan
    from launcher.hosts.manager import Handed
    from launcher.model.spec import ComponentSpec

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


def bind_all(plan: Plan, handed: Sequence[Handed] = ()) -> Listening:
    """Bind the ports that are held for components, and see that the ports that commands will bind are free.

    A port of 0 becomes the port that the system chose.

    Args:
        plan: what is to be run.
        handed: listening sockets from a service manager; a component takes those of its name, or of its address and port, in place of a new
            one, and its address becomes theirs.

    Raises:
        BindFailed: with the first port that cannot be had, who holds it, and what to do; or with a socket that nobody takes. Nothing stays
            bound.
    """
    sockets = _adopted(plan, handed)
    components = dict(plan.components)
    try:
        for name, spec in plan.components.items():
            if spec.bind is None:
                continue
            if spec.replica > 1:  # the first one comes before it, and has what they share
                components[name] = replace(spec, bind=components[spec.declared_name].bind)
                continue
            if name not in sockets:
                listener = _bound(name, spec.bind)
                if not spec.held:
                    listener.close()
                    continue
                sockets[name] = (listener,)
            components[name] = replace(spec, bind=_address(sockets[name][0], spec.bind))
    except BindFailed:
        Listening(plan, sockets).close()
        raise
    declared = (replace(each, bind=components[each.name].bind) for each in plan.spec.components)
    whole = replace(plan.spec, components=tuple(declared))
    return Listening(replace(plan, spec=whole, components=components), sockets)


def _address(listener: socket.socket, declared: Bind) -> Bind:
    """Return where a socket really listens; a name that was declared for the same address stays."""
    address, port = listener.getsockname()[:2]
    return Bind(port, declared.address if address in _resolved(declared) else address)


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


# ---- sockets from a service manager ----------------------------------------------------------------------------------------------------


def _adopted(plan: Plan, handed: Sequence[Handed]) -> dict[str, tuple[socket.socket, ...]]:
    """Return the sockets that were handed over, by the components that take them."""
    taken: dict[str, tuple[socket.socket, ...]] = {}
    made: list[socket.socket] = []
    try:
        for each in handed:
            listener = socket.socket(fileno=each.number)
            made.append(listener)
            name = _taker(plan.components.values(), _checked(listener, each), each)
            made[-1] = _as_tcp(listener)
            taken[name] = (*taken.get(name, ()), made[-1])
    except (BindFailed, OSError) as error:
        for listener in made:
            listener.close()
        if isinstance(error, BindFailed):
            raise
        raise BindFailed(
            f"a socket of the service manager cannot be used: {error.strerror or error}"
        ) from error
    return taken


def _checked(listener: socket.socket, handed: Handed) -> socket.socket:
    """Return the socket if a component can serve it."""
    what = f"socket {_called(handed)} of the service manager"
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        raise BindFailed(
            f"{what} is not a TCP socket but {listener.family.name}",
            hint="give the socket unit a port: ListenStream=127.0.0.1:8000",
        )
    if listener.type != socket.SOCK_STREAM or not listener.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        raise BindFailed(
            f"{what} does not listen for connections",
            hint="the socket unit needs ListenStream= and Accept=no",
        )
    return listener


def _taker(components: Iterable[ComponentSpec], listener: socket.socket, handed: Handed) -> str:
    """Return the component that a socket is for: by the name it was given, else by where it listens."""
    takers = {spec.name: spec.bind for spec in components if spec.held and spec.bind is not None}
    for name in (handed.name, handed.name.removesuffix(".socket")):
        if name in takers:
            return name
    address, port = listener.getsockname()[:2]
    for name, bind in takers.items():
        if port == bind.port and (address in WILDCARDS or address in _resolved(bind)):
            return name
    known = ", ".join(f"{name} ({bind.target})" for name, bind in takers.items()) or "none"
    raise BindFailed(
        f"socket {_called(handed)} of the service manager, on {Bind(port, address).target}, is for no component: "
        "its clients would wait for ever",
        hint=f"set FileDescriptorName= to the name of a component, or ListenStream= to the address of one; there is: {known}",
    )


def _called(handed: Handed) -> str:
    return f"{handed.number} ({handed.name})" if handed.name else str(handed.number)


def _resolved(bind: Bind) -> set[str]:
    with suppress(OSError):
        found = socket.getaddrinfo(bind.address, bind.port, type=socket.SOCK_STREAM)
        return {bind.address, str(found[0][4][0])}
    return {bind.address}


def _as_tcp(listener: socket.socket) -> socket.socket:
    """Return the same socket as one of our own making would be: known as TCP, see ``_bound``, and with a queue as long."""
    listener = socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.listen(BACKLOG)
    return listener
