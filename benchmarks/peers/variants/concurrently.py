"""concurrently, told to restart what fails."""

from __future__ import annotations

import shlex
import signal

from benchmarks.peers.backend import Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import Variant, signalled


class Concurrently(Variant):
    """A command line with every service on it; it has no other commands, so nothing can be restarted."""

    name = "concurrently"

    def missing(self, tools: Tools) -> str:
        """Whether npm could install it."""
        return tools.no_node or tools.missing("concurrently")

    def begin(self, place: Place) -> list[str]:
        """By default it restarts nothing; `--restart-tries -1` lets it show what it can do."""
        commands = place.commands()
        options = ["--names", ",".join(commands), "--restart-tries", "-1"]
        return [
            "concurrently",
            *options,
            *(shlex.join(command) for command in commands.values()),
        ]

    def stop(self, place: Place, root: int) -> list[str]:
        """As Ctrl-C does: after SIGTERM it would take the services that it stops for failed ones, and start them again without end."""
        del place
        return signalled(root, signal.SIGINT)
