"""Who belongs to whom."""

from __future__ import annotations

import os

from launcher.hosts.tree import Process, descendants, everyone, look


def process(pid: int, parent: int) -> Process:
    return Process(pid, parent, pid, pid, 0, zombie=False)


def test_descendants_at_any_depth() -> None:
    """Children and theirs are found, others are not, and a circle, which a reused PID can make, does no harm."""
    among = {
        each.pid: each for each in (process(2, 1), process(3, 2), process(4, 3), process(9, 8), process(8, 9))
    }
    assert descendants(1, among) == {2, 3, 4}
    assert descendants(3, among) == {4}
    assert descendants(8, among) == {8, 9}


def test_this_process_is_seen() -> None:
    """What /proc says about us is true."""
    me = look(os.getpid())
    assert me is not None
    assert (me.parent, me.group, me.session, me.zombie) == (os.getppid(), os.getpgrp(), os.getsid(0), False)
    assert everyone()[os.getpid()] == me


def test_nobody_is_nothing() -> None:
    """A PID without a process is no error."""
    assert look(2**22 + 1) is None
