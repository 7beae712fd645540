"""Nothing survives: the guard, the launcher, and whole trees, killed in every order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.launcher.integration.hosts.driver import DEADLINE, alive, eventually, marked

TREE = """
    import os, signal, subprocess, sys, time
    from launcher.hosts.guard import guarded

    NEST = '''
    import os, subprocess, sys, time
    depth = int(sys.argv[1])
    os.write(1, b"node %d" % os.getpid() + bytes([10]))
    if depth:
        for own in (True, False):
            subprocess.Popen([sys.executable, "-c", os.environ["NEST"], str(depth - 1)], start_new_session=own)
    time.sleep(3600)
    '''

    def main():
        def stop(number, frame):
            os.write(1, b"stopping SIGTERM\\n")
            raise SystemExit(0)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"usr1\\n"))
        import textwrap
        os.environ["NEST"] = textwrap.dedent(NEST)
        [subprocess.Popen([sys.executable, "-c", os.environ["NEST"], "2"], start_new_session=own) for own in (True, False)]
        os.write(1, b"launcher %d\\n" % os.getpid())
        while True:
            time.sleep(3600)

    os.write(1, b"guard %d\\n" % os.getpid())
    sys.exit(guarded(main))
"""

NODES = 2 * (1 + 2 + 4)


class Tree:
    """A guarded launcher with children, grandchildren and great-grandchildren, half of them in sessions of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.launcher = 0
        self.nodes: list[int] = []

    def read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, f"the tree ended: {self.lines}"
        self.lines.append(line)
        return line

    def grown(self) -> None:
        while len(self.nodes) < NODES or not self.launcher:
            kind, pid = self.read().split()
            if kind == "launcher":
                self.launcher = int(pid)
            elif kind == "node":
                self.nodes.append(int(pid))


@pytest.fixture
def tree() -> Iterator[Tree]:
    """A grown tree; whatever the test shows, nothing of it stays."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(TREE)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TREE": mark},
    )
    try:
        grown = Tree(process)
        grown.grown()
        yield grown
    finally:
        process.kill()
        process.wait(DEADLINE)
        while left := marked("TREE", mark):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert process.stdout is not None
        process.stdout.close()


def test_a_killed_launcher_takes_everything_with_it(tree: Tree) -> None:
    """Kill -9 of the launcher: every descendant is gone when the guard ends, and the guard tells the signal."""
    os.kill(tree.launcher, signal.SIGKILL)
    assert tree.process.wait(DEADLINE) == 128 + signal.SIGKILL
    assert [pid for pid in tree.nodes if alive(pid)] == []


def test_a_launcher_that_ends_leaves_nobody(tree: Tree) -> None:
    """A normal end passes its exit code on; who was left behind is gone."""
    os.kill(tree.process.pid, signal.SIGTERM)
    assert tree.read() == "stopping SIGTERM"
    assert tree.process.wait(DEADLINE) == 0
    assert [pid for pid in tree.nodes if alive(pid)] == []


def test_a_killed_guard_stops_the_launcher_in_order(tree: Tree) -> None:
    """Kill -9 of the guard: the launcher gets SIGTERM, stops as if asked to, and leaves nobody."""
    os.kill(tree.process.pid, signal.SIGKILL)
    while tree.read() != "stopping SIGTERM":
        pass
    eventually(lambda: not alive(tree.launcher), "the end of the launcher")
    assert [pid for pid in tree.nodes if alive(pid)] == []


def test_signals_are_passed_on(tree: Tree) -> None:
    """A signal sent to the guard alone reaches the launcher."""
    os.kill(tree.process.pid, signal.SIGUSR1)
    assert tree.read() == "usr1"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("return 0", 0),
        ("return 70", 70),
        ("sys.exit(6)", 6),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 139),
        ("raise ValueError", 1),
    ],
)
def test_the_exit_status_is_passed_on(body: str, status: int) -> None:
    """Whatever the launcher ends with, the guard ends with."""
    code = f"import os, signal, sys\nfrom launcher.hosts.guard import guarded\ndef main():\n    {body}\nsys.exit(guarded(main))"
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == status


def test_ctrl_c_at_a_terminal_arrives_once() -> None:
    """The terminal signals the whole group; the guard does not add a second one."""
    import pty

    code = """
        import os, signal, sys, time
        from launcher.hosts.guard import guarded
        def main():
            # Written to by the interpreter's own handler, so that no signal can come between a look and a wait.
            reader, writer = os.pipe()
            os.set_blocking(writer, False)
            signal.set_wakeup_fd(writer)
            for number in (signal.SIGINT, signal.SIGUSR1):
                signal.signal(number, lambda *_: None)
            print("up", flush=True)
            hits = b""
            while signal.SIGUSR1 not in hits:
                hits += os.read(reader, 1)
            return 10 + hits.count(signal.SIGINT)
        sys.exit(guarded(main))
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", textwrap.dedent(code)])
    try:
        said = b""
        while b"up" not in said:
            said += os.read(terminal, 100)
        os.write(terminal, b"\x03")
        while b"^C" not in said:
            said += os.read(terminal, 100)
        os.kill(pid, signal.SIGUSR1)  # through the guard, in order after whatever it had to pass on
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 11
    finally:
        os.close(terminal)
