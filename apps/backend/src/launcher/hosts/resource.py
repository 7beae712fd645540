"""The variables by which OpenTelemetry knows a process that runs one component."""

from __future__ import annotations

import os
from collections.abc import Mapping

from launcher.core.telemetry import resource_variables
from launcher.model.spec import ComponentSpec, LauncherSpec

_BEFORE: dict[str, str] = {}
"""Variables that this process has set for the one component in it, and what they were; empty for nothing."""


def resource_for(
    launcher: LauncherSpec, spec: ComponentSpec, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return what is to be set beside the environment that a process has otherwise: see `resource_variables`."""
    others = dict(environment)
    for (
        name,
        before,
    ) in _BEFORE.items():  # meant for the component in this process, not for what is started from it
        if others.get(name) == os.environ.get(name):
            others[name] = before
    return resource_variables(launcher.name, f"{os.uname().nodename} {launcher.root}", spec, others)


def claim(launcher: LauncherSpec, spec: ComponentSpec) -> None:
    """Make this process the one of a component; it has one environment, so it can be that for one component only."""
    variables = resource_for(launcher, spec, os.environ)
    _BEFORE.update({name: os.environ.get(name, "") for name in variables})
    os.environ.update(variables)
