"""uvicorn's own process manager, which can run the gateway and nothing else."""

from __future__ import annotations

import signal

from benchmarks.peers.backend import Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import Scope, Variant, children, signalled


class UvicornWorkers(Variant):
    """`uvicorn --workers 2`: with one worker it would manage nothing."""

    name = "uvicorn --workers"
    scope = Scope.GATEWAY

    def missing(self, tools: Tools) -> str:
        """Whether it is there."""
        return tools.missing("uvicorn")

    def begin(self, place: Place) -> list[str]:
        """No configuration."""
        return [*place.gateway(), "--workers", "2"]

    def workers(self, place: Place, root: int) -> set[int]:
        """Its children."""
        del place
        return children(root)

    def restart(self, place: Place, root: int) -> list[str]:
        """SIGHUP replaces the workers."""
        del place
        return signalled(root, signal.SIGHUP)
