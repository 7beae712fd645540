"""Who may ask over TCP.

A port of this machine can be reached by every user of it, and by every web page that the user has open. The token keeps out the former.
The latter are kept out by two headers that pages cannot forge: ``Host`` names what the browser believes to talk to, so that a foreign name
that was made to point here (DNS rebinding) is seen; ``Origin`` names the page that asks.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING

from launcher.web.messages import Refusal
from launcher.web.sessions import same

if TYPE_CHECKING:
    from launcher.web.messages import Request
    from launcher.web.sessions import Sessions

NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What this machine may be called in ``Host``."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""


@unique
class Reach(StrEnum):
    """Who may use a route."""

    SOCKET = "whoever can open the control socket"
    OWNER = "whoever knows the token, or has a session"
    ANYBODY = "whoever can reach the port"


class Access:
    """Decides about requests over TCP.

    Args:
        token: what the owner of the launcher knows.
        port: that the interface listens on.
        sessions: of browsers that have logged in.
    """

    def __init__(self, token: str, port: int, sessions: Sessions) -> None:
        self._token = token
        self._sessions = sessions
        self._hosts = frozenset(f"{name}:{port}" for name in NAMES) | (
            frozenset(NAMES) if port == 80 else frozenset()
        )

    def admit(self, request: Request, reach: Reach) -> None:
        """Let a request pass.

        Raises:
            Refusal: 421 for a foreign ``Host``, 403 for a foreign ``Origin`` and for what only the control socket offers, 401 without token
                or session.
        """
        self._check_host(request)
        origin = request.headers.get("origin")
        own = f"http://{request.headers['host'].lower()}"
        if origin is not None and origin.lower() != own:
            raise Refusal(
                403,
                f"a page of {origin} may not ask this launcher",
                hint="pages of the launcher itself may; see launcher dashboard",
            )
        if reach is Reach.SOCKET:
            message = f"{request.path} is offered on the control socket only"
            raise Refusal(403, message, hint="use the control socket in the run directory")
        if reach is Reach.ANYBODY or self._has_token(request):
            return
        if not self._has_session(request):
            raise Refusal(
                401,
                "the token of this launcher is missing or wrong",
                hint="send Authorization: Bearer TOKEN; the token stands in api.token in the run directory",
                headers=(("WWW-Authenticate", 'Bearer realm="launcher"'),),
            )
        if origin is None and request.method not in SAFE:
            # Other servers of this machine count as the same site, so that the cookie comes with what their pages send, too.
            message = f"{request.method} with a cookie needs the header Origin"
            raise Refusal(403, message, hint="browsers send it; other programs use the token")

    def _check_host(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if host.lower() not in self._hosts:
            raise Refusal(
                421,
                f'"{host}" is not the name of this launcher',
                hint=f"use {' or '.join(sorted(self._hosts))}",
            )

    def _has_token(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and same(given.strip(), self._token)

    def _has_session(self, request: Request) -> bool:
        for pair in request.headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._sessions.cookie and self._sessions.knows(value):
                return True
        return False
