"""Circus, plain and with sockets that it holds itself."""

from __future__ import annotations

import shlex

from benchmarks.peers.backend import GATEWAY, Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import Variant, write


class Circus(Variant):
    """`circusd` with a watcher for each service."""

    name = "circus"

    def missing(self, tools: Tools) -> str:
        """Whether its programs are there."""
        return tools.missing("circusd")

    def begin(self, place: Place) -> list[str]:
        """Write `circus.ini`; its control sockets are files, because its TCP ports are the same for every circus of a machine."""
        events = f"ipc://{place.directory}/circus-events.sock"
        sections = [f"[circus]\nendpoint = {self._endpoint(place)}\npubsub_endpoint = {events}\n"]
        for name, command in place.commands().items():
            # Without `copy_env` a watcher finds neither the virtual environment nor the settings.
            sections.append(f"[watcher:{name}]\ncmd = {shlex.join(command)}\ncopy_env = true\n")
        write(place.directory / "circus.ini", "\n".join(sections))
        return ["circusd", "circus.ini"]

    def restart(self, place: Place, root: int) -> list[str]:
        """`circusctl restart`, which with `--waiting` returns when it is done."""
        del root
        return [
            "circusctl",
            "--endpoint",
            self._endpoint(place),
            "--timeout",
            "20",
            "restart",
            GATEWAY,
            "--waiting",
        ]

    def status(self, place: Place) -> list[str]:
        """`circusctl status`."""
        return ["circusctl", "--endpoint", self._endpoint(place), "status"]

    def _endpoint(self, place: Place) -> str:
        return f"ipc://{place.directory}/circus.sock"


class CircusSockets(Circus):
    """The same, but circus binds the port and hands it to the gateway."""

    name = "circus, held sockets"

    def begin(self, place: Place) -> list[str]:
        """Write `circus.ini` with a socket."""
        command = super().begin(place)
        path = place.directory / "circus.ini"
        alone = shlex.join(place.gateway())
        held = f"{shlex.join(place.gateway('--fd'))} $(circus.sockets.{GATEWAY})\nuse_sockets = true"
        socket = f"\n[socket:{GATEWAY}]\nhost = 127.0.0.1\nport = {place.port}\n"
        write(path, path.read_text().replace(alone, held) + socket)
        return command
