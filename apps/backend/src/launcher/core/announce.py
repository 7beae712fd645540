"""What a service manager is told about the backend as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.model.state import AT_REST, Desired, Phase

if TYPE_CHECKING:
    from launcher.model.state import FleetState

_FINE = (Phase.READY, Phase.COMPLETED)


def announced(fleet: FleetState) -> tuple[str, ...]:
    """Return what holds now, in lines of ``sd_notify(3)``.

    The backend is ready when its start is settled: what was given up then, with ``keep_going``, must not keep the service from starting.
    """
    if fleet.draining:
        left = [state.name for state in fleet.components.values() if state.phase not in AT_REST]
        waiting = f", waiting for {', '.join(left)}" if left else ""
        return ("STOPPING=1", f"STATUS=stopping: {' '.join(fleet.drain_reason.split())}{waiting}")
    wanted = [state for state in fleet.components.values() if state.desired is Desired.UP]
    missing = [f"{state.name} is {state.phase}" for state in wanted if state.phase not in _FINE]
    counted = f"{len(wanted) - len(missing)} of {len(wanted)} ready"
    status = "; ".join([counted, *missing])
    if not fleet.settled:
        return (f"STATUS=starting: {status}",)
    return ("READY=1", f"STATUS={'degraded' if missing else 'up'}: {status}")
