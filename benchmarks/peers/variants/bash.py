"""A shell script that starts each service in the background, and passes the stop on."""

from __future__ import annotations

import shlex

from benchmarks.peers.backend import Place
from benchmarks.peers.variants.base import OnCrash, Scope, Variant, write


class Bash(Variant):
    """`command &` for each service, then `wait`: what one process each costs without anybody watching."""

    name = "bash"
    scope = Scope.BASELINE
    on_crash = OnCrash.NOTHING

    def begin(self, place: Place) -> list[str]:
        """Write the script."""
        lines = ["trap 'kill $(jobs -p); wait' TERM"]
        lines += [f"{shlex.join(command)} &" for command in place.commands().values()]
        write(place.directory / "services.sh", "\n".join([*lines, "wait", ""]))
        return ["bash", "services.sh"]
