"""Who belongs to whom."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from launcher.hosts.tree import TAG, Process, descendants, everyone, fresh_tag, look, shown_tag_of, tag_of


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


@pytest.fixture
def other() -> Iterator[int]:
    """PID of a process that waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate(b"\n")


def test_a_tag_is_read_either_way(other: int) -> None:
    """What the limit of another process is, and what the system shows of it, is the same: a tag, or no limit at all."""
    assert tag_of(other) == shown_tag_of(other) == resource.getrlimit(TAG)[0]
    tag = fresh_tag()
    resource.prlimit(other, TAG, (tag, tag))
    assert tag_of(other) == shown_tag_of(other) == tag


@pytest.mark.parametrize("read", [tag_of, shown_tag_of])
def test_nobody_has_no_tag(read: Callable[[int], int]) -> None:
    """There is no tag where there is no process."""
    with pytest.raises(OSError, match="No such"):
        read(2**22 + 1)
