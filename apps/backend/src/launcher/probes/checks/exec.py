"""Does a command exit with 0?"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.probes.checks.endpoint import SHORTEST_SECRET
from launcher.probes.checks.redaction import is_sensitive
from launcher.probes.checks.result import CheckFailed, CheckResult, FailureCause, invalid, perform, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.probes.checks.result import Progress

KEPT_OUTPUT = 4096
"""How much of the end of the command's output is kept, in bytes, to quote its last line."""
POLL_PAUSE = 0.02
"""Seconds between two looks at the command where the system has no pidfd (all but Linux)."""
REAP_LIMIT = 2.0
"""Seconds to wait for a killed command; only a process stuck in the kernel takes longer."""


async def check_exec(
    argv: Sequence[str],
    timeout: float = 1.0,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> CheckResult:
    """Run a command in a process group of its own and judge by its exit status.

    When the check ends, in whatever way, everything left in that group is killed: a check leaves nothing behind.

    Args:
        argv: program and arguments; no shell is involved.
        timeout: seconds until the whole group is killed.
        env: variables added to the environment of this process, or replacing those there.
        cwd: working directory; ``None`` for the one of this process.
    """
    if not argv:
        return invalid("the command of the check is empty", "write it as a list: program and arguments")
    environment = {**os.environ, **(env or {})}

    async def talk(progress: Progress) -> None:
        progress.at(f"{_name(argv)} did not end", "give the check more time, or look why the command hangs")
        await _run(argv, environment, cwd)

    return await perform(talk, timeout)


async def _run(argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        process = _start(argv, env, cwd, writing)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    loop = asyncio.get_running_loop()
    output = bytearray()
    loop.add_reader(reading, _collect, loop, reading, output)
    try:
        await _wait(process.pid)
    finally:
        _kill_group(process.pid)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(REAP_LIMIT):
                    await _wait(process.pid)
        finally:
            status = _reap(process)
            loop.remove_reader(reading)
            _collect(loop, reading, output)
            os.close(reading)
    secrets = [value for name, value in env.items() if is_sensitive(name) and len(value) >= SHORTEST_SECRET]
    _judge(status, argv, bytes(output), secrets)


def _start(
    argv: Sequence[str], env: Mapping[str, str], cwd: str | None, output: int
) -> subprocess.Popen[bytes]:
    hint = "correct the command, or install the program"
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and error.filename == cwd:
            raise CheckFailed(FailureCause.EXEC, f"the directory {cwd} does not exist") from None
        raise CheckFailed(FailureCause.EXEC, f"there is no program {_name(argv)}", hint) from None
    except (OSError, ValueError) as error:
        detail = printable(getattr(error, "strerror", None) or type(error).__name__)
        raise CheckFailed(FailureCause.EXEC, f"cannot run {_name(argv)}: {detail}", hint) from None


async def _wait(pid: int) -> None:
    """Wait until the process has ended, without reaping it: no thread, no polling where there is a pidfd."""
    if not hasattr(os, "pidfd_open"):
        while not _has_ended(pid):  # noqa: ASYNC110 (nothing there to be woken by)
            await asyncio.sleep(POLL_PAUSE)
        return
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return  # somebody else has reaped it
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def _kill_group(pid: int) -> None:
    """Kill what is left of the group, unless its leader was reaped: then the number may be anybody's by now."""
    with suppress(ChildProcessError, ProcessLookupError, PermissionError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        os.killpg(pid, signal.SIGKILL)


def _reap(process: subprocess.Popen[bytes]) -> int | None:
    """The exit status as `subprocess` counts it (negative: signal); ``None`` when it is lost or still to come."""
    try:
        found, status = os.waitpid(process.pid, os.WNOHANG)
    except ChildProcessError:
        process.returncode = 0  # for `subprocess` alone, so that it does not look for the process any more
        return None
    if found:
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def _collect(loop: asyncio.AbstractEventLoop, reading: int, output: bytearray) -> None:
    """Take what the command wrote, so that it never waits for a reader, and keep the end of it."""
    try:
        chunk = os.read(reading, 65536)
    except BlockingIOError:
        return
    if not chunk:
        loop.remove_reader(reading)
    output += chunk
    del output[:-KEPT_OUTPUT]


def _judge(status: int | None, argv: Sequence[str], output: bytes, secrets: list[str]) -> None:
    if status == 0:
        return
    if status is None:
        outcome = "ended, but its exit status was lost"
    elif status < 0:
        outcome = f"was killed by {_signal_name(-status)}"
    else:
        outcome = f"exited with {status}"
    text = output.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, "***")
    last = next((printable(line) for line in reversed(text.splitlines()) if line.strip()), "")
    raise CheckFailed(FailureCause.EXEC, f"{_name(argv)} {outcome}" + (f": {last}" if last else ""))


def _name(argv: Sequence[str]) -> str:
    return printable(argv[0].rpartition("/")[2] or argv[0])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
