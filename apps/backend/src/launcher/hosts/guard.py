"""A tiny parent for the launcher, so that nothing survives it, however it ends.

The kernel can tell a child that its parent died, but not a grandchild. A parent that adopts orphans can always find all of them: whoever
loses its own parent becomes its child, even in a session of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.hosts.linux import adopt_orphans, die_with_parent, signal_when_readable

if TYPE_CHECKING:
    from launcher.hosts.manager import Manager

FORWARDED = frozenset(
    {
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGCONT,
    }
)
"""Signals that are meant for the launcher, although they reach the guard."""

TYPED = frozenset({signal.SIGINT, signal.SIGQUIT})
"""Signals that a terminal sends to the whole foreground group. A hang-up it tells the leader of the session alone."""

_SI_KERNEL = 0x80
"""``si_code`` of a signal that the kernel sent, as for Ctrl-C at a terminal (sigaction(2))."""


_GUARDS: list[int] = []
"""The guard that this process was split off from, if one was."""


def guard_of_this_process() -> int:
    """Return the PID of the guard that watches over this process; 0 for none."""
    return next((guard for guard in _GUARDS if guard == os.getppid()), 0)


def guarded(main: Callable[[], int], manager: Manager | None = None) -> int:
    """Run ``main`` in a child process and return its exit code, 128 + n when signal n ended it.

    When the child is gone, every process that descends from it is killed. When the guard itself is killed, the child gets SIGTERM and stops in
    order. To be called before any thread or loop exists; outside of Linux ``main`` is simply called.

    Args:
        main: what to run.
        manager: the service manager. It listens to the process that it has started, which is the guard; what the child tells it is passed on.
    """
    if not adopt_orphans():
        return main()
    watched = FORWARDED | {signal.SIGCHLD, signal.SIGIO}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    guard = os.getpid()
    _GUARDS.append(guard)
    relay = None
    if manager is not None and manager.address:
        relay = manager.relay()
        signal_when_readable(relay[0].fileno())
    child = os.fork()
    if child == 0:
        if manager is not None and relay is not None:
            relay[0].close()
            manager.tell_through(relay[1])
        adopt_orphans()
        die_with_parent(signal.SIGTERM)
        if os.getppid() != guard:
            os.kill(os.getpid(), signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            return main()
        finally:
            if os.getppid() != guard:
                clear_descendants()  # the guard is gone, so nobody else will

    def pass_on() -> None:
        if manager is not None and relay is not None:
            manager.pass_on(relay[0])

    status = _watch(child, watched, pass_on)
    pass_on()
    clear_descendants()
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    _tell(signal.Signals(-code))
    return 128 - code


def _tell(number: signal.Signals) -> None:
    """Say how the launcher ended, since it cannot do so itself."""
    with suppress(OSError):
        os.write(
            2,
            f"error: the launcher was ended by {number.name}; everything it had started was killed\n"
            "hint: in single mode a crash in native code ends all components; --mode multi isolates them\n".encode(),
        )


def _watch(child: int, watched: frozenset[signal.Signals], pass_on: Callable[[], None]) -> int:
    """Pass signals on, and what the child tells the service manager, until the child has ended; return its status."""
    while True:
        info = signal.sigwaitinfo(watched)
        if info.si_signo == signal.SIGCHLD:
            status = _collect(child)
            if status is not None:
                return status
        elif info.si_signo == signal.SIGIO:
            pass_on()
        elif (
            info.si_code != _SI_KERNEL or info.si_signo not in TYPED
        ):  # typed at a terminal: the child has it already
            with suppress(ProcessLookupError):
                os.kill(child, info.si_signo)


def _collect(child: int) -> int | None:
    """Collect everyone who has ended; return the status of the child if it is among them."""
    found = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


def clear_descendants() -> None:
    """Kill our children until there are none: the children of a killed one become ours.

    A child that has not been collected keeps its PID, so no signal can hit a stranger.
    """
    while True:
        for pid in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    try:
        text = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        from launcher.hosts.tree import everyone

        return [process.pid for process in everyone().values() if process.parent == os.getpid()]
    return [int(pid) for pid in text.split()]
