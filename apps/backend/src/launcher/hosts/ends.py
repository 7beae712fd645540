"""Every way to end, told in one line."""

from __future__ import annotations

import asyncio
import signal

from launcher.components.blame import full, leaf, place, told
from launcher.components.resolve import ResolveError
from launcher.components.scope import Death
from launcher.model.state import Exit, ExitKind

_SIGNAL_HINTS = {
    signal.SIGKILL: "nobody here sent it: the system may have run out of memory, see `dmesg`",
    signal.SIGSEGV: "a native extension crashed: its log holds the stack of every thread",
    signal.SIGBUS: "a native extension crashed, or the disk is full",
    signal.SIGILL: "a native extension was built for another processor",
    signal.SIGABRT: "a native library gave up: its log says why",
}

_STARVED = "the system has killed a process for want of memory meanwhile, most likely this one: give it more, or less to do at once"


def of_error(error: BaseException) -> Exit:
    """Return the exit of a component whose code raised this."""
    cause = leaf(error)
    if isinstance(cause, ResolveError):
        return Exit(ExitKind.UNSTARTABLE, cause.message, hint=cause.hint, traceback=cause.traceback)
    if isinstance(cause, SystemExit):
        return _of_system_exit(cause)
    if isinstance(cause, asyncio.CancelledError):
        return Exit(ExitKind.RAISED, "it was cancelled by its own code", traceback=full(error))
    return Exit(ExitKind.RAISED, told(error), traceback=full(error))


def of_death(death: Death) -> Exit:
    """Return the exit of a component that lost a task it cannot do without."""
    if isinstance(death.error, SystemExit):
        return _of_system_exit(death.error)
    hint = "" if death.vital else 'await the task, handle its exception, or set `on_task_death = "log"`'
    return Exit(ExitKind.RAISED, death.what, hint=hint, traceback=full(death.error))


def of_status(code: int, *, killed: bool, starved: bool = False) -> Exit:
    """Return the exit of a process.

    Args:
        code: a negative one is the signal that ended it, as in ``subprocess``.
        killed: by us.
        starved: the system has killed a process for want of memory meanwhile.
    """
    if code == 0:
        return Exit(ExitKind.RETURNED, "exited with 0", code=0, killed=killed)
    if code > 0:
        return Exit(ExitKind.EXITED, f"exited with {code}{_meaning(code)}", code=code, killed=killed)
    number = -code
    name = signal_name(number)
    hints = {**_SIGNAL_HINTS, signal.SIGKILL: _STARVED} if starved else _SIGNAL_HINTS
    hint = "" if killed else hints.get(number, "")  # type: ignore[call-overload]  # an enum member equals its number
    return Exit(ExitKind.SIGNALLED, f"ended by {name}", hint=hint, signal=number, killed=killed)


def signal_name(number: int) -> str:
    """Return the name of a signal, such as ``SIGTERM``."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _of_system_exit(error: SystemExit) -> Exit:
    where = place(error)
    at = f" ({where})" if where else ""
    if error.code is None or error.code == 0:
        return Exit(ExitKind.RETURNED, f"called sys.exit(){at}", code=0)
    if isinstance(error.code, int):
        return Exit(
            ExitKind.EXITED, f"called sys.exit({error.code}){at}", code=error.code, traceback=full(error)
        )
    # As the interpreter does: anything else is printed, and the status is 1.
    return Exit(ExitKind.EXITED, f"called sys.exit(){at}: {error.code}", code=1, traceback=full(error))


def _meaning(code: int) -> str:
    """Return what shells mean by a status."""
    if code == 126:
        return " (a command in it cannot be executed)"
    if code == 127:
        return " (a command in it was not found)"
    if 128 < code < 128 + signal.NSIG:
        return f" (a process in it was ended by {signal_name(code - 128)})"
    return ""
