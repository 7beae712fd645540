"""One launcher for each project: a lock of the kernel, real processes, real permissions."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.errors import AlreadyRunning, ExitCode, RunDirectoryError
from launcher.supervisor.rundir import held

HOLDER = """
import sys
from pathlib import Path
from launcher.supervisor.rundir import held
with held(Path(sys.argv[1]), "/srv/other"):
    print("held", flush=True)
    sys.stdin.read()
"""

OTHER_DIRECTORY = "choose another with LAUNCHER_RUN_DIR or [launcher] run_dir"


@contextmanager
def holder(run_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the run directory until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, str(run_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_the_holder_is_written_down(tmp_path: Path) -> None:
    """While it is held, the lock says by whom, since when and for which project; afterwards it says nothing."""
    run_dir = tmp_path / "project" / ".launcher"
    with held(run_dir, "/srv/backend"):
        about = json.loads((run_dir / "lock").read_text())
        assert (about["pid"], about["root"]) == (os.getpid(), "/srv/backend")
        assert about["started_at"] > 0
    assert (run_dir / "lock").read_text() == ""


def test_the_directory_is_private_and_ignored(tmp_path: Path) -> None:
    """Only the user may look inside, also where a directory with other permissions was found, and git does not see it."""
    run_dir = tmp_path / ".launcher"
    run_dir.mkdir(mode=0o755)
    with held(run_dir, "/srv/backend"):
        assert stat.S_IMODE(run_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE((run_dir / "lock").stat().st_mode) == 0o600
        assert (run_dir / ".gitignore").read_text() == "*\n"


def test_what_the_user_wrote_is_kept(tmp_path: Path) -> None:
    """A .gitignore that is there already stays as it is."""
    (tmp_path / ".gitignore").write_text("mine\n")
    with held(tmp_path, "/srv/backend"):
        assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_second_launcher_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    """The message names the process that runs, the hint says how to see and how to stop it."""
    with holder(tmp_path) as first:
        with pytest.raises(AlreadyRunning) as caught, held(tmp_path, "/srv/backend"):
            pass
        assert caught.value.message == (
            f"cannot start: a launcher is already running for this project (PID {first.pid})"
        )
        assert caught.value.hint == "see it with: launcher status; stop it with: launcher down"
        assert caught.value.exit_code is ExitCode.ALREADY_RUNNING
        assert json.loads((tmp_path / "lock").read_text())["pid"] == first.pid


def test_one_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    """The lock is no re-entrant one."""
    with held(tmp_path, "/srv/backend"):
        with pytest.raises(AlreadyRunning, match=f"PID {os.getpid()}"), held(tmp_path, "/srv/backend"):
            pass
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "not json", "[]", "{}"])
def test_a_holder_that_cannot_be_named_is_respected(tmp_path: Path, content: str) -> None:
    """A lock counts even when its holder has not written, or not rightly, who it is."""
    lock = tmp_path / "lock"
    lock.write_text(content)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning) as caught, held(tmp_path, "/srv/backend"):
            pass
    assert caught.value.message == "cannot start: a launcher is already running for this project"


def test_what_a_killed_launcher_left_behind_is_taken_over(tmp_path: Path) -> None:
    """After kill -9 the lock is free although its content is still there."""
    with holder(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert json.loads((tmp_path / "lock").read_text())["pid"] == first.pid
        with held(tmp_path, "/srv/backend"):
            assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_it_is_released_whatever_happens(tmp_path: Path) -> None:
    """An error inside the context releases the directory, too."""
    with pytest.raises(ValueError, match="boom"), held(tmp_path, "/srv/backend"):
        raise ValueError("boom")
    with held(tmp_path, "/srv/backend"):
        assert (tmp_path / "lock").read_text()


def test_a_child_does_not_inherit_it(tmp_path: Path) -> None:
    """A process started meanwhile, which may outlive the launcher, does not keep the directory held."""
    command = [sys.executable, "-c", "print('here', flush=True); input()"]
    with held(tmp_path, "/srv/backend"):
        sleeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
        assert sleeper.stdout is not None
        assert sleeper.stdout.readline() == b"here\n"
    try:
        with held(tmp_path, "/srv/backend"):
            assert sleeper.poll() is None
    finally:
        sleeper.communicate(b"\n")


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """What another user could have prepared is not trusted."""
    if os.getuid() == 0:
        directory, owner = tmp_path, 12345
        os.chown(directory, owner, -1)
    else:
        directory, owner = Path("/"), 0
    with pytest.raises(RunDirectoryError) as caught, held(directory, "/srv/backend"):
        pass
    assert caught.value.message == (
        f"cannot use the run directory {directory}: it belongs to another user (uid {owner})"
    )
    assert caught.value.hint == OTHER_DIRECTORY


@pytest.mark.parametrize(
    ("below", "reason"),
    [("file", "File exists"), ("file/.launcher", "Not a directory")],
)
def test_a_directory_that_cannot_be_made(tmp_path: Path, below: str, reason: str) -> None:
    """The message says why, the hint how to choose another."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunDirectoryError) as caught, held(tmp_path / below, "/srv/backend"):
        pass
    assert caught.value.message == f"cannot use the run directory {tmp_path / below}: {reason}"
    assert caught.value.hint == OTHER_DIRECTORY


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody may write to")
def test_a_directory_that_cannot_be_written() -> None:
    """A place where nobody can make a directory is refused in the same words, even for root."""
    refused = pytest.raises(RunDirectoryError, match="cannot use the run directory /proc/launcher: ")
    with refused, held(Path("/proc/launcher"), "/srv/backend"):
        pass
