"""Every route of the control interface, in one table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from launcher.core.loops import BLOCKED_AFTER
from launcher.core.replicas import replicas_of
from launcher.core.suggest import did_you_mean
from launcher.documents import StatusDocument, component_document, status_document
from launcher.errors import UnknownComponent
from launcher.records import HistoryDocument, history_document
from launcher.web import events, logs
from launcher.web.access import Reach
from launcher.web.documents import (
    AliveDocument,
    LogDocument,
    LoginDocument,
    ReadinessDocument,
    ReplicasDocument,
    TransitionDocument,
    readiness_document,
)
from launcher.web.explanations import WhyDocument, why_document
from launcher.web.login import log_in, new_login_code
from launcher.web.messages import Refusal, Request, Response, json_response
from launcher.web.metrics import CONTENT_TYPE, exposition
from launcher.web.parameters import LONGEST, TIMEOUT, TRUTH, Parameter, check_query, flag, timeout
from launcher.web.route import Route
from launcher.web.static import STATIC, asset

if TYPE_CHECKING:
    from launcher.core.plan import Plan
    from launcher.core.view import View
    from launcher.web.port import ControlPort

CONDITIONS = ("ready", "stopped", "completed", "settled")
"""What ``/wait`` can wait for; ``settled`` is about the whole backend and needs no component."""

COMPONENT = Parameter("component", {"type": "string"}, "Name of a component; none for the whole backend.")
CONDITION = Parameter(
    "for", {"type": "string", "enum": list(CONDITIONS), "default": "ready"}, "What to wait for."
)
REPLICAS = Parameter(
    "replicas", {"type": "integer", "minimum": 1}, "How many there are to be.", required=True
)
LOOK = Parameter(
    "look",
    {"type": "string", "enum": list(TRUTH), "default": "1"},
    "Whether processes are looked at for what they cost and whether their loops turn.",
)
ONCE = Parameter("once", {"type": "string"}, "The code that a login was given.", required=True)

SPARE = 5.0
"""Seconds that a command is given beyond what its component may take by its declaration."""


async def get_livez(_port: ControlPort, _request: Request) -> Response:
    """Say that the supervisor's loop turns."""
    return json_response({"ok": True})


async def get_readyz(port: ControlPort, request: Request) -> Response:
    """Say whether a component, or the whole backend, is ready; if not, why."""
    name = request.query.get("component", "")
    document = readiness_document(port.view(), _known(port, name) if name else "")
    return json_response(document, 200 if document["ready"] else 503)


async def get_openapi(_port: ControlPort, _request: Request) -> Response:
    """Return this interface as a document of OpenAPI 3.1."""
    from launcher.web.openapi import openapi_document  # hardly anybody asks, and each start would wait for it

    return json_response(openapi_document(ROUTES))


async def get_status(port: ControlPort, request: Request) -> Response:
    """Return the status document, with what is seen of the processes now; not so with ``?look=0``."""
    return json_response(status_document(await _seen(port, request)))


async def get_history(port: ControlPort, _request: Request) -> Response:
    """Return the transitions that only the launcher knows."""
    return json_response(history_document(port.records()))


async def get_component(port: ControlPort, request: Request) -> Response:
    """Return the document of one component, with what is seen of it now; not so with ``?look=0``."""
    name = _component(port, request)
    return json_response(component_document(await _seen(port, request), name))


async def get_why(port: ControlPort, request: Request) -> Response:
    """Return why a component is as it is; a loop that is asked only now gets the time that shows whether it is blocked."""
    name = _component(port, request)
    return json_response(why_document(await port.look(BLOCKED_AFTER), name))


async def get_metrics(port: ControlPort, _request: Request) -> Response:
    """Return all metrics in the text format of Prometheus."""
    return Response(200, exposition(await port.look()).encode(), CONTENT_TYPE)


async def start_component(port: ControlPort, request: Request) -> Response:
    """Start a component and what it needs; answers when it is ready."""
    name = _component(port, request)
    await port.start(name, timeout(request, start_patience(port.view().plan, name)))
    return json_response(component_document(port.view(), name))


async def stop_component(port: ControlPort, request: Request) -> Response:
    """Stop a component; answers when nothing of it is left."""
    name = _component(port, request)
    await port.stop(name, timeout(request, stop_patience(port.view().plan, name)))
    return json_response(component_document(port.view(), name))


async def restart_component(port: ControlPort, request: Request) -> Response:
    """Restart a component; answers when the new incarnation is ready."""
    name = _component(port, request)
    plan = port.view().plan
    await port.restart(name, timeout(request, stop_patience(plan, name) + start_patience(plan, name)))
    return json_response(component_document(port.view(), name))


async def scale_component(port: ControlPort, request: Request) -> Response:
    """Run another number of replicas; answers with all of them when new ones are ready and others gone."""
    name = request.names["name"]
    text = request.query.get("replicas", "")
    if not text.removeprefix("-").isdecimal():
        raise Refusal(400, f'"{text}" is no number of replicas', hint="?replicas=N, a whole number")
    plan = port.view().plan
    patience = stop_patience(plan, name) + start_patience(plan, name) if name in plan.components else 0.0
    await port.scale(name, int(text), timeout(request, patience))
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
    await port.wait(name, condition, timeout(request, min(patience, LONGEST)))
    view = port.view()
    return json_response(status_document(view) if condition == "settled" else component_document(view, name))


async def shutdown(port: ControlPort, _request: Request) -> Response:
    """Begin to stop the whole backend; answers at once."""
    port.shutdown("asked to stop")
    return json_response(status_document(port.view()), 202)


ROUTES = (
    Route("GET", "/livez", get_livez, AliveDocument),
    Route("GET", "/readyz", get_readyz, ReadinessDocument, (COMPONENT,), unready=True),
    Route("GET", "/status", get_status, StatusDocument, (LOOK,)),
    Route("GET", "/history", get_history, HistoryDocument),
    Route("GET", "/components/{name}", get_component, query=(LOOK,)),
    Route("GET", "/components/{name}/why", get_why, WhyDocument),
    Route("GET", "/metrics", get_metrics, None, media=CONTENT_TYPE),
    Route("POST", "/components/{name}/start", start_component, query=(TIMEOUT,)),
    Route("POST", "/components/{name}/stop", stop_component, query=(TIMEOUT,)),
    Route("POST", "/components/{name}/restart", restart_component, query=(TIMEOUT,)),
    Route("POST", "/components/{name}/scale", scale_component, ReplicasDocument, (REPLICAS, TIMEOUT)),
    Route("GET", "/wait", wait, None, (CONDITION, COMPONENT, TIMEOUT)),
    Route("GET", "/events", events.stream_events, TransitionDocument, events.QUERY, stream="transition"),
    Route("GET", "/logs", logs.stream_logs, LogDocument, logs.QUERY, stream="log"),
    Route("POST", "/shutdown", shutdown, StatusDocument, status=202),
    Route("POST", "/login-codes", new_login_code, LoginDocument, status=201, reach=Reach.SOCKET),
    Route("GET", "/login", log_in, None, (ONCE,), status=303, reach=Reach.ANYBODY),
    Route("GET", "/openapi.json", get_openapi, None),
)
"""Every route; the OpenAPI document is made of this."""


async def dispatch(port: ControlPort, request: Request) -> Response:
    """Hand a request to its route.

    Raises:
        Refusal: no route has this path, or not with this method, or not with these parameters.
        LauncherError: what the handler raises.
    """
    if request.method == "GET" and (file := asset(request.path)) is not None:
        return file
    allowed: list[str] = []
    for route in ROUTES:
        names = _match(route.path, request.path)
        if names is None:
            continue
        if route.method == request.method:
            check_query(request, route.query)
            return await route.handle(port, replace(request, names=names))
        allowed.append(route.method)
    if allowed:
        message = f"{request.path} does not take {request.method}"
        methods = ", ".join(allowed)
        raise Refusal(405, message, hint=f"use {methods}", headers=(("Allow", methods),))
    raise Refusal(404, f"there is no {request.path}", hint="GET /status shows everything")


def reach_of(path: str) -> Reach:
    """Return who may ask for a path over TCP; what does not exist is told to the owner only."""
    if path in STATIC:
        return Reach.ANYBODY
    reaches = (route.reach for route in ROUTES if _match(route.path, path) is not None)
    return next(reaches, Reach.OWNER)


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


async def _seen(port: ControlPort, request: Request) -> View:
    return await port.look() if flag(request, "look", default=True) else port.view()


def _component(port: ControlPort, request: Request) -> str:
    return _known(port, request.names["name"])


def _known(port: ControlPort, name: str) -> str:
    components = port.view().plan.components
    if name not in components:
        raise UnknownComponent(f'there is no component called "{name}"', hint=did_you_mean(name, components))
    return name


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
