"""Every way to end, in one line."""

from __future__ import annotations

import asyncio
import signal

import pytest

from launcher.components.resolve import ResolveError
from launcher.components.scope import Death
from launcher.hosts.ends import of_death, of_error, of_status
from launcher.model.state import Exit, ExitKind


@pytest.mark.parametrize(
    ("status", "kind", "message", "hint"),
    [
        (0, ExitKind.RETURNED, "exited with 0", ""),
        (3, ExitKind.EXITED, "exited with 3", ""),
        (126, ExitKind.EXITED, "exited with 126 (a command in it cannot be executed)", ""),
        (127, ExitKind.EXITED, "exited with 127 (a command in it was not found)", ""),
        (139, ExitKind.EXITED, "exited with 139 (a process in it was ended by SIGSEGV)", ""),
        (-signal.SIGTERM, ExitKind.SIGNALLED, "ended by SIGTERM", ""),
        (-signal.SIGKILL, ExitKind.SIGNALLED, "ended by SIGKILL", "memory"),
        (-signal.SIGSEGV, ExitKind.SIGNALLED, "ended by SIGSEGV", "native"),
        (-(signal.SIGRTMIN + 1), ExitKind.SIGNALLED, f"ended by signal {signal.SIGRTMIN + 1}", ""),
    ],
)
def test_statuses(status: int, kind: ExitKind, message: str, hint: str) -> None:
    """Exit codes and signals have names."""
    ended = of_status(status, killed=False)
    assert (ended.kind, ended.message) == (kind, message)
    assert hint in ended.hint


def test_our_own_kill_needs_no_explanation() -> None:
    """A SIGKILL that was asked for has no hint about memory."""
    ended = of_status(-signal.SIGKILL, killed=True)
    assert ended == Exit(ExitKind.SIGNALLED, "ended by SIGKILL", signal=signal.SIGKILL, killed=True)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (SystemExit(), ExitKind.RETURNED, 0),
        (SystemExit(0), ExitKind.RETURNED, 0),
        (SystemExit(9), ExitKind.EXITED, 9),
        (SystemExit("why"), ExitKind.EXITED, 1),
        (BaseExceptionGroup("", [SystemExit(9)]), ExitKind.EXITED, 9),
        (ValueError("x"), ExitKind.RAISED, None),
        (ExceptionGroup("", [ValueError("x")]), ExitKind.RAISED, None),
        (asyncio.CancelledError(), ExitKind.RAISED, None),
        (ResolveError("m", hint="h"), ExitKind.UNSTARTABLE, None),
    ],
)
def test_errors(error: BaseException, kind: ExitKind, code: int | None) -> None:
    """Exceptions are classified, within groups too."""
    ended = of_error(error)
    assert (ended.kind, ended.code) == (kind, code)


def test_deaths() -> None:
    """The hint about the policy is given where the policy decides."""
    assert "on_task_death" in of_death(Death("task died", ValueError())).hint
    assert of_death(Death("task died", ValueError(), vital=True)).hint == ""
    assert of_death(Death("task ended", SystemExit(4), vital=True)).code == 4
