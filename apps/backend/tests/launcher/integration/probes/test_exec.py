"""Commands as checks: real processes, real signals, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from launcher.probes.checks import CheckResult, FailureCause, check_exec

if TYPE_CHECKING:
    from pathlib import Path

ENOUGH = 30.0
PYTHON = sys.executable


def python(code: str) -> list[str]:
    """A command that runs some Python."""
    return [PYTHON, "-S", "-E", "-c", code]


async def has_ended(pid: int) -> bool:
    """Wait until a process is gone; one that was reparented may take a moment to be reaped."""
    async with asyncio.timeout(10):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return True


async def test_success() -> None:
    """A command that exits with 0 is ready, whatever it writes."""
    result = await check_exec(python("print('x' * 300_000)"), ENOUGH)
    assert (result.ok, result.reason, result.cause) == (True, "", None), result


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["sh", "-c", "exit 3"], "sh exited with 3"),
        (["sh", "-c", "echo first; echo 'no answer' >&2; echo; exit 1"], "sh exited with 1: no answer"),
        (["sh", "-c", "kill -9 $$"], "sh was killed by SIGKILL"),
        (["sh", "-c", "kill -35 $$"], "sh was killed by signal 35"),
        (["sh", "-c", r"printf '\033[31mred\n'; exit 1"], "sh exited with 1: [31mred"),
        (["/nowhere/pg_isready"], "there is no program pg_isready"),
        (["/"], "cannot run /: "),
        (["sh", "-c", "a\0b"], "cannot run sh: ValueError"),
    ],
)
async def test_failures(argv: list[str], reason: str) -> None:
    """Exit status, signal or the reason why it could not run are told, with the last line it wrote."""
    result = await check_exec(argv, ENOUGH)
    assert (result.ok, result.cause) == (False, FailureCause.EXEC)
    assert result.reason.startswith(reason)


async def test_nothing_to_run(tmp_path: Path) -> None:
    """An empty command is invalid; a missing directory is told by its name."""
    assert (await check_exec([])).cause is FailureCause.INVALID
    result = await check_exec(["true"], ENOUGH, cwd=str(tmp_path / "none"))
    assert result.reason == f"the directory {tmp_path / 'none'} does not exist"


async def test_environment_and_directory(tmp_path: Path) -> None:
    """Variables are added to those of this process, and the working directory is the one asked for."""
    script = 'test "$WHO" = me && test -n "$PATH" && test "$(pwd -P)" = "$WHERE"'
    variables = {"WHO": "me", "WHERE": os.path.realpath(tmp_path)}
    assert (await check_exec(["sh", "-c", script], ENOUGH, env=variables, cwd=str(tmp_path))).ok


async def test_secrets_of_the_environment_are_hidden() -> None:
    """A command that prints a password from its environment does not get it into the result."""
    result = await check_exec(
        ["sh", "-c", "echo login with $DB_PASSWORD failed; exit 2"], ENOUGH, env={"DB_PASSWORD": "Sw0rdf1sh"}
    )
    assert result.reason == "sh exited with 2: login with *** failed"


async def test_a_timeout_kills_the_whole_group(tmp_path: Path) -> None:
    """A command that hangs is killed with its children, even if they ignore every signal that can be ignored."""
    note = tmp_path / "pid"
    script = f"trap '' TERM INT HUP; (trap '' TERM INT HUP; exec sleep 600) & echo $! > {note}; wait"
    result = await check_exec(["sh", "-c", script], 1.5)
    assert (result.cause, result.reason) == (FailureCause.TIMEOUT, "sh did not end within 1.5 s")
    assert await has_ended(int(note.read_text()))


async def test_children_do_not_outlive_a_finished_check(tmp_path: Path) -> None:
    """What a successful command left in the background is killed too, and is not waited for."""
    note = tmp_path / "pid"
    result = await check_exec(["sh", "-c", f"sleep 600 & echo $! > {note}"], ENOUGH)
    assert result.ok, result
    assert await has_ended(int(note.read_text()))


async def test_cancelling_kills_and_reaps(tmp_path: Path) -> None:
    """A cancelled check leaves neither a process nor a zombie."""
    note = tmp_path / "fifo"
    os.mkfifo(note)
    task = asyncio.create_task(check_exec(["sh", "-c", f"echo $$ > {note}; exec sleep 600"], ENOUGH))
    pid = int(await asyncio.to_thread(note.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(pid)


async def test_without_pidfd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Systems without pidfd get the same answers, by looking now and then."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    note = tmp_path / "pid"
    assert (await check_exec(["true"], ENOUGH)).ok
    assert (await check_exec(["false"], ENOUGH)).reason == "false exited with 1"
    result = await check_exec(["sh", "-c", f"echo $$ > {note}; exec sleep 600"], 1.5)
    assert result.cause is FailureCause.TIMEOUT
    assert not psutil.pid_exists(int(note.read_text()))


async def test_the_group_is_its_own() -> None:
    """The command runs in a session of its own: a Ctrl-C at the terminal does not reach it, nor does its kill reach us."""
    script = "import os; raise SystemExit(0 if os.getsid(0) == os.getpid() == os.getpgid(0) else 1)"
    assert (await check_exec(python(script), ENOUGH)).ok


async def test_a_stolen_exit_status_is_no_success() -> None:
    """Where something else in the process reaps children (``SIGCHLD`` ignored), a lost status is never taken for 0."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        result = await check_exec(["true"], ENOUGH)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (result.ok, "status was lost" in result.reason) == (False, True), result


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_off_the_main_thread_and_on_either_loop(loop: str) -> None:
    """A supervisor may run its loop on another thread: commands are checked there just as well."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed") if loop == "uvloop" else None
    results: list[CheckResult] = []

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if uvloop else None) as runner:
            results.append(runner.run(check_exec(["true"], ENOUGH)))
            results.append(runner.run(check_exec(["sh", "-c", "echo no; exit 1"], ENOUGH)))
            results.append(runner.run(check_exec(["sleep", "600"], 0.1)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert [result.cause for result in results] == [None, FailureCause.EXEC, FailureCause.TIMEOUT], results
    assert results[1].reason == "sh exited with 1: no"


async def test_many_at_once_leave_nothing() -> None:
    """Thirty commands at a time, then no child and no descriptor more than before."""
    await check_exec(["true"], ENOUGH)
    me = psutil.Process()
    before = (me.num_fds(), set(me.children()))
    results = await asyncio.gather(
        *(check_exec(["sh", "-c", f"exit {number % 2}"], ENOUGH) for number in range(30))
    )
    assert [result.ok for result in results] == [True, False] * 15
    assert (me.num_fds(), set(me.children())) == before
