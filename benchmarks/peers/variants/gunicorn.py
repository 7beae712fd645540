"""gunicorn with its own ASGI worker and a preloaded application: forks what it has imported once, but can run the gateway only."""

from __future__ import annotations

import signal

from benchmarks.peers.backend import Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import Scope, Variant, children, signalled


class Gunicorn(Variant):
    """`gunicorn --preload` with two workers, as many as uvicorn has beside it."""

    name = "gunicorn --preload"
    scope = Scope.GATEWAY

    def missing(self, tools: Tools) -> str:
        """Whether it is there."""
        return tools.missing("gunicorn")

    def begin(self, place: Place) -> list[str]:
        """No configuration; by default its control socket is in the home of the user, where it could be that of another gunicorn."""
        bind = [
            "--bind",
            f"127.0.0.1:{place.port}",
            "--control-socket",
            str(place.directory / "gunicorn.ctl"),
        ]
        return [
            "gunicorn",
            "--preload",
            "--worker-class",
            "asgi",
            "--workers",
            "2",
            *bind,
            "shop.gateway:app",
        ]

    def workers(self, place: Place, root: int) -> set[int]:
        """Its children."""
        del place
        return children(root)

    def restart(self, place: Place, root: int) -> list[str]:
        """SIGHUP replaces the workers; a preloaded application is not imported again."""
        del place
        return signalled(root, signal.SIGHUP)
