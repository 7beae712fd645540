"""How a browser logs in: a code from the control socket, exchanged once for a cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import CommandFailed
from launcher.web.documents import LoginDocument
from launcher.web.messages import Refusal, Request, Response, json_response
from launcher.web.sessions import CODE_SECONDS

if TYPE_CHECKING:
    from launcher.web.port import ControlPort


async def new_login_code(_port: ControlPort, request: Request) -> Response:
    """Return an address that logs a browser in, once."""
    if request.sessions is None:
        raise CommandFailed(
            "this launcher has no port for a browser", hint="start it with: launcher up --api PORT"
        )
    url = f"{request.sessions.origin}/login?once={request.sessions.new_code()}"
    document: LoginDocument = {"url": url, "seconds": CODE_SECONDS}
    return json_response(document, 201)


async def log_in(_port: ControlPort, request: Request) -> Response:
    """Exchange the code for a session and go on to the dashboard."""
    sessions = request.sessions
    session = sessions.begin(request.query.get("once", "")) if sessions is not None else ""
    if sessions is None or not session:
        raise Refusal(
            403,
            f"this address was used before, or is older than {CODE_SECONDS:g} s",
            hint="get a new one with: launcher dashboard",
        )
    cookie = f"{sessions.cookie}={session}; Path=/; HttpOnly; SameSite=Strict"
    return Response(303, b"", headers=(("Location", "/"), ("Set-Cookie", cookie)))
