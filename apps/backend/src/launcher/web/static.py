"""The files of the dashboard: they are the same for everybody, and so need no token."""

from __future__ import annotations

from pathlib import Path

from launcher.web.messages import Response

SCRIPTS = (
    "actions",
    "api",
    "app",
    "arrows",
    "chart",
    "connection",
    "dom",
    "events",
    "format",
    "graph",
    "list",
    "logs",
    "model",
    "panel",
    "strip",
)
"""The modules of the dashboard; ``app`` is the first that is loaded."""

STATIC = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/icon-alert.svg": ("icon-alert.svg", "image/svg+xml"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in SCRIPTS},
}
"""Path of a request to the file below ``static/`` and its content type."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a page may do: load and ask its own server, and nothing else (Content Security Policy, level 3)."""

_PLACE = Path(__file__).parent / "static"


def asset(path: str) -> Response | None:
    """Return a file of the dashboard; ``None`` when there is none of that path."""
    if path not in STATIC:
        return None
    name, content_type = STATIC[path]
    headers = (("Content-Security-Policy", POLICY),)
    return Response(200, (_PLACE / name).read_bytes(), content_type=content_type, headers=headers)
