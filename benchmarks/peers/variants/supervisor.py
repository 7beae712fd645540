"""Supervisor, by its configuration file and `supervisorctl`."""

from __future__ import annotations

import shlex

from benchmarks.peers.backend import GATEWAY, Place
from benchmarks.peers.environment import Tools
from benchmarks.peers.variants.base import Variant, write

CONFIGURATION = """\
[unix_http_server]
file=%(here)s/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%(here)s/supervisor.sock

[supervisord]
nodaemon=true
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
"""


class Supervisor(Variant):
    """`supervisord` in the foreground, every program with the defaults."""

    name = "supervisor"

    def missing(self, tools: Tools) -> str:
        """Whether its programs are there."""
        return tools.missing("supervisord")

    def begin(self, place: Place) -> list[str]:
        """Write `supervisord.conf`."""
        programs = [
            f"[program:{name}]\ncommand={shlex.join(command)}\n" for name, command in place.commands().items()
        ]
        write(place.directory / "supervisord.conf", "\n".join([CONFIGURATION, *programs]))
        return ["supervisord", "-c", "supervisord.conf"]

    def restart(self, place: Place, root: int) -> list[str]:
        """`supervisorctl restart`."""
        del place, root
        return ["supervisorctl", "-c", "supervisord.conf", "restart", GATEWAY]

    def status(self, place: Place) -> list[str]:
        """`supervisorctl status`."""
        del place
        return ["supervisorctl", "-c", "supervisord.conf", "status"]
