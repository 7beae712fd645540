"""Requests to the Linux kernel that Python has no name for. Elsewhere they do nothing, and say so."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own parent dies; return whether that is so."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def die_with_parent(number: signal.Signals) -> bool:
    """Get this signal when the thread that started this process ends; return whether that is so.

    A parent that is gone already is not noticed: look at ``os.getppid()`` afterwards.
    """
    return _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))


def name_process(name: str) -> bool:
    """Give this process another name in ``ps`` and ``top``, of at most 15 bytes; return whether that is so."""
    return _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def signal_when_readable(descriptor: int) -> None:
    """Have this process get ``SIGIO`` whenever something arrives at a socket, so that one wait for signals sees that, too."""
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)


def _prctl(option: int, argument: ctypes.c_ulong | ctypes.c_char_p) -> bool:
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.prctl(option, argument, 0, 0, 0) == 0)
