"""What somebody would write who needs no manager: one script, one event loop."""

from __future__ import annotations

from benchmarks.peers.backend import Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import OnCrash, Scope, Variant


class Hand(Variant):
    """The least that the backend can cost in one process."""

    name = "hand"
    scope = Scope.BASELINE
    on_crash = OnCrash.ENDS_ALL

    def missing(self, tools: Tools) -> str:
        """Python is always there."""
        return tools.missing("python")

    def begin(self, place: Place) -> list[str]:
        """The script is part of the backend."""
        del place
        return ["python", "-m", "shop.hand"]
