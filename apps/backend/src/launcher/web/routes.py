"""Every route of the control interface, in one table."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from launcher.core.replicas import replicas_of
from launcher.core.suggest import did_you_mean
from launcher.documents import component_document, status_document
from launcher.errors import UnknownComponent
from launcher.records import history_document
from launcher.web.messages import Refusal, Request, Response, json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from launcher.core.plan import Plan
    from launcher.web.port import ControlPort

CONDITIONS = ("ready", "stopped", "completed", "settled")
"""What ``/wait`` can wait for; ``settled`` is about the whole backend and needs no component."""

LONGEST = 24 * 3600.0
"""Longest time that a request may ask to wait, in seconds."""

SPARE = 5.0
"""Seconds that a command is given beyond what its component may take by its declaration."""


async def get_livez(_port: ControlPort, _request: Request) -> Response:
    """Say that the supervisor's loop turns."""
    return json_response({"ok": True})


async def get_status(port: ControlPort, _request: Request) -> Response:
    """Return the status document."""
    return json_response(status_document(port.view()))


async def get_history(port: ControlPort, _request: Request) -> Response:
    """Return the transitions that only the launcher knows."""
    return json_response(history_document(port.records()))


async def get_component(port: ControlPort, request: Request) -> Response:
    """Return the document of one component."""
    return json_response(component_document(port.view(), _component(port, request)))


async def start_component(port: ControlPort, request: Request) -> Response:
    """Start a component and what it needs; answers when it is ready."""
    name = _component(port, request)
    await port.start(name, _timeout(request, start_patience(port.view().plan, name)))
    return json_response(component_document(port.view(), name))


async def stop_component(port: ControlPort, request: Request) -> Response:
    """Stop a component; answers when nothing of it is left."""
    name = _component(port, request)
    await port.stop(name, _timeout(request, stop_patience(port.view().plan, name)))
    return json_response(component_document(port.view(), name))


async def restart_component(port: ControlPort, request: Request) -> Response:
    """Restart a component; answers when the new incarnation is ready."""
    name = _component(port, request)
    plan = port.view().plan
    await port.restart(name, _timeout(request, stop_patience(plan, name) + start_patience(plan, name)))
    return json_response(component_document(port.view(), name))


async def scale_component(port: ControlPort, request: Request) -> Response:
    """Run another number of replicas; answers with all of them when new ones are ready and others gone."""
    name = request.names["name"]
    text = request.query.get("replicas", "")
    if not text.removeprefix("-").isdecimal():
        raise Refusal(400, f'"{text}" is no number of replicas', hint="?replicas=N, a whole number")
    plan = port.view().plan
    patience = stop_patience(plan, name) + start_patience(plan, name) if name in plan.components else 0.0
    await port.scale(name, int(text), _timeout(request, patience))
    view = port.view()
    names = replicas_of(name, view.plan.components)
    return json_response({"components": [component_document(view, each) for each in names]})


async def wait(port: ControlPort, request: Request) -> Response:
    """Answer when a condition is met: with the document of the component, or with the status document for ``settled``."""
    condition = request.query.get("for", "ready")
    if condition not in CONDITIONS:
        message = f'cannot wait for "{condition}": there is no such condition'
        raise Refusal(400, message, hint=did_you_mean(condition, CONDITIONS))
    name = request.query.get("component", "")
    if name or condition != "settled":
        name = _known(port, name)
    plan = port.view().plan
    patience = (
        start_patience(plan, name) if name else sum(start_patience(plan, each) for each in plan.components)
    )
    await port.wait(name, condition, _timeout(request, min(patience, LONGEST)))
    view = port.view()
    return json_response(status_document(view) if condition == "settled" else component_document(view, name))


async def shutdown(port: ControlPort, _request: Request) -> Response:
    """Begin to stop the whole backend; answers at once."""
    port.shutdown("asked to stop")
    return json_response(status_document(port.view()), 202)


@dataclass(frozen=True, slots=True)
class Route:
    """One way in; a segment in braces matches one segment of the path."""

    method: str
    path: str
    handle: Callable[[ControlPort, Request], Awaitable[Response]]


ROUTES = (
    Route("GET", "/livez", get_livez),
    Route("GET", "/status", get_status),
    Route("GET", "/history", get_history),
    Route("GET", "/components/{name}", get_component),
    Route("POST", "/components/{name}/start", start_component),
    Route("POST", "/components/{name}/stop", stop_component),
    Route("POST", "/components/{name}/restart", restart_component),
    Route("POST", "/components/{name}/scale", scale_component),
    Route("GET", "/wait", wait),
    Route("POST", "/shutdown", shutdown),
)


async def dispatch(port: ControlPort, request: Request) -> Response:
    """Hand a request to its route.

    Raises:
        Refusal: no route has this path, or not with this method.
        LauncherError: what the handler raises.
    """
    allowed: list[str] = []
    for route in ROUTES:
        names = _match(route.path, request.path)
        if names is None:
            continue
        if route.method == request.method:
            return await route.handle(port, replace(request, names=names))
        allowed.append(route.method)
    if allowed:
        message = f"{request.path} does not take {request.method}"
        methods = ", ".join(allowed)
        raise Refusal(405, message, hint=f"use {methods}", headers=(("Allow", methods),))
    raise Refusal(404, f"there is no {request.path}", hint="GET /status shows everything")


def _match(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    names: dict[str, str] = {}
    for expected, segment in zip(wanted, given, strict=True):
        if expected.startswith("{"):
            names[expected[1:-1]] = unquote(segment)
        elif expected != segment:
            return None
    return names


def _component(port: ControlPort, request: Request) -> str:
    return _known(port, request.names["name"])


def _known(port: ControlPort, name: str) -> str:
    components = port.view().plan.components
    if name not in components:
        raise UnknownComponent(f'there is no component called "{name}"', hint=did_you_mean(name, components))
    return name


def _timeout(request: Request, default: float) -> float:
    """Return the seconds that a request may take."""
    text = request.query.get("timeout", "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST:
        hint = f"give seconds from 0 to {LONGEST:g}"
        raise Refusal(400, f'"{text}" is no time to wait', hint=hint)
    return seconds


def start_patience(plan: Plan, name: str) -> float:
    """Return how long a start may take by the declaration: the component after everything it needs."""
    chain = (*plan.requirements(name), name)
    services = {spec.name: spec.timeout for spec in plan.spec.dependencies}
    outside = max(
        (services.get(needed, 0.0) for each in chain for needed in plan.components[each].depends_on),
        default=0.0,
    )
    return min(LONGEST, outside + sum(plan.components[each].start_timeout for each in chain) + SPARE)


def stop_patience(plan: Plan, name: str) -> float:
    """Return how long a stop may take by the declaration, with time for the kill."""
    return min(LONGEST, plan.components[name].stop_grace + SPARE)
