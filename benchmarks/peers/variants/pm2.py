"""pm2, by its ecosystem file; its daemon is told apart by a home of its own."""

from __future__ import annotations

import json
from contextlib import suppress

from benchmarks.peers.backend import GATEWAY, Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import Variant, write


class Pm2(Variant):
    """`pm2 start`; `pm2 reload` is a restart for what is not a cluster of node."""

    name = "pm2"

    def missing(self, tools: Tools) -> str:
        """Whether npm could install it."""
        return tools.no_node or tools.missing("pm2")

    def begin(self, place: Place) -> list[str]:
        """Write the ecosystem file; `interpreter` says that the services are programs, not scripts of node."""
        apps = [
            {
                "name": name,
                "script": command[0],
                "args": command[1:],
                "interpreter": "none",
            }
            for name, command in place.commands().items()
        ]
        write(place.directory / "ecosystem.config.json", json.dumps({"apps": apps}))
        return self._pm2(place, "start", "ecosystem.config.json")

    def managers(self, place: Place, root: int) -> dict[str, int]:
        """The daemon; the command that was started is soon gone."""
        del root
        with suppress(OSError, ValueError):
            return {"daemon": int((place.directory / "pm2" / "pm2.pid").read_text())}
        return {}

    def victims(self) -> tuple[str, ...]:
        """The daemon."""
        return ("daemon",)

    def restart(self, place: Place, root: int) -> list[str]:
        """`pm2 restart`."""
        del root
        return self._pm2(place, "restart", GATEWAY)

    def status(self, place: Place) -> list[str]:
        """`pm2 list`."""
        return self._pm2(place, "list")

    def stop(self, place: Place, root: int) -> list[str]:
        """`pm2 kill` ends the daemon and what it runs."""
        del root
        return self._pm2(place, "kill")

    def _pm2(self, place: Place, *words: str) -> list[str]:
        return ["env", f"PM2_HOME={place.directory / 'pm2'}", "pm2", *words]
