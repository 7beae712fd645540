"""What a zygote is told to become."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from launcher.core.warm import cold_reason
from launcher.hosts.memory import Memory
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec

OWN = ("uvloop", "launcher.components.agent", "launcher.components.agents")
"""What hosts of agents need for themselves."""

OWN_ASGI = (
    "launcher.components.asgi",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
"""What hosts of ASGI applications need besides."""


def brief(
    spec: LauncherSpec, components: Iterable[ComponentSpec], memory: Memory, excluded: Iterable[str] = ()
) -> dict[str, Any]:
    """Return what a zygote is to import, and with which variables and module path.

    Args:
        spec: what all hosts have in common.
        components: those that run in processes of their own; commands, and who has to start cold, are left out.
        memory: what is known of their imports.
        excluded: libraries that are left to the hosts, besides the hazards that are remembered.
    """
    shared = {**os.environ, **spec.environment}
    wanted = {}
    asgi = False
    for each in components:
        name = each.declared_name
        needs = memory.needs.get(name, {})
        if each.kind is not Kind.COMMAND and not cold_reason(each, shared, memory.read, needs):
            wanted[name] = (each.target, list(needs), each.kind is Kind.AGENTS)
            asgi = asgi or each.kind is Kind.ASGI
    return {
        "environment": dict(spec.environment),
        "root": spec.root,
        "pythonpath": list(spec.pythonpath),
        "log_level": spec.log_level,
        "excluded": [*memory.hazards, *excluded],
        "own": [*OWN, *(OWN_ASGI if asgi else ())],
        "components": wanted,
        "preload": list(spec.preload),
    }
