"""Which ends are crashes."""

from __future__ import annotations

import pytest

from launcher.core.crash import crashed
from launcher.model.events import Transition
from launcher.model.state import Desired, Exit, ExitKind, Phase, Role

KILLED = Exit(ExitKind.SIGNALLED, "ended by SIGKILL", signal=9)


def ending(
    kind: ExitKind, before: Phase = Phase.READY, role: Role = Role.CURRENT, incarnation: int = 1
) -> Transition:
    return Transition(
        "api", incarnation, before, Phase.FAILED, Desired.UP, "Exited", 1.0, exit=Exit(kind), role=role
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(ending(ExitKind.RAISED), True, id="an exception"),
        pytest.param(ending(ExitKind.EXITED), True, id="a status other than 0"),
        pytest.param(ending(ExitKind.SIGNALLED, Phase.STARTING), True, id="a signal, before it was ready"),
        pytest.param(ending(ExitKind.UNSTARTABLE, Phase.STARTING), True, id="an import error"),
        pytest.param(ending(ExitKind.RETURNED), False, id="it returned"),
        pytest.param(ending(ExitKind.UNREACHABLE, Phase.WAITING), False, id="a dependency stayed away"),
        pytest.param(
            ending(ExitKind.RAISED, Phase.WAITING, incarnation=0), False, id="it was never launched"
        ),
        pytest.param(ending(ExitKind.SIGNALLED, Phase.STOPPING), False, id="SIGTERM of an asked stop"),
        pytest.param(ending(ExitKind.EXITED, Phase.STOPPING), False, id="a status after an asked stop"),
        pytest.param(ending(ExitKind.RAISED, Phase.STOPPING), True, id="an exception while stopping"),
        pytest.param(ending(ExitKind.UNHEALTHY, Phase.STOPPING), True, id="stopped for its health"),
        pytest.param(
            ending(ExitKind.EXITED, role=Role.SUCCESSOR), True, id="a successor that did not come up"
        ),
        pytest.param(
            ending(ExitKind.SIGNALLED, role=Role.RETIRING), False, id="a predecessor, asked to stop"
        ),
        pytest.param(
            ending(ExitKind.RAISED, role=Role.RETIRING), True, id="a predecessor that failed stopping"
        ),
    ],
)
def test_crashes(change: Transition, expected: bool) -> None:
    """A bad end that nobody had asked for is a crash, in whichever role and phase."""
    assert crashed(change) is expected


def test_what_is_no_end_is_no_crash() -> None:
    """A change of phase alone says nothing of an end."""
    change = Transition("api", 1, Phase.STARTING, Phase.READY, Desired.UP, "Started", 1.0)
    assert not crashed(change)
