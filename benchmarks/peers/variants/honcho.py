"""Honcho, by its Procfile."""

from __future__ import annotations

import shlex

from benchmarks.peers.backend import Place
from benchmarks.peers.variants.base import OnCrash, Variant, write


class Honcho(Variant):
    """`honcho start`: ends everything as soon as one service ends, as Foreman does."""

    name = "honcho"
    on_crash = OnCrash.ENDS_ALL

    def begin(self, place: Place) -> list[str]:
        """Write the Procfile."""
        lines = [f"{name}: {shlex.join(command)}\n" for name, command in place.commands().items()]
        write(place.directory / "Procfile", "".join(lines))
        return ["honcho", "start"]
