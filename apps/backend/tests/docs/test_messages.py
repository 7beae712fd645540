"""Messages of a start that the page on troubleshooting quotes are what the launcher says."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from launcher.config.load import Request, load
from launcher.core.plan import build
from launcher.errors import LauncherError
from launcher.hosts.manager import Handed
from launcher.model.events import (
    DependencyChecked,
    DependencyDeadline,
    Event,
    Exited,
    StartAllRequested,
    StartDeadline,
)
from launcher.model.state import Exit, ExitKind
from launcher.observe.logs import LogStore
from launcher.probes.ports import explain_bind_error
from launcher.supervisor.rundir import held
from launcher.supervisor.sockets import bind_all
from launcher.testing import FleetRunner
from tests.docs.pages import DOCS

TEXT = (DOCS / "guide" / "troubleshooting.md").read_text()

FAILURE = Exit(ExitKind.RAISED, "ValueError: bad day")
ONE = '[components.api]\nrun = "jobs:run"\nrestart = { delay = 0 }\n'
NEEDY = f'{ONE}depends_on = ["postgres"]\n[dependencies.postgres]\nurl = "tcp://127.0.0.1:1"\n'


def quoted(message: str) -> bool:
    """Whether the page quotes the message, which may go on where the quotation has an ellipsis."""
    return any(
        message == code or (code.endswith("…") and message.startswith(code[:-1].rstrip()))
        for code in TEXT.split("`")[1::2]
    )


@pytest.mark.parametrize(
    ("text", "history"),
    [
        pytest.param(
            ONE, [StartDeadline("api", 1), Exited("api", 1, FAILURE)], id="not ready within its time"
        ),
        pytest.param(ONE, [Exited("api", 1, FAILURE)], id="ended before it was ready"),
        pytest.param(
            NEEDY,
            [DependencyChecked("postgres", ok=False, reason="refused"), DependencyDeadline("postgres")],
            id="a dependency stayed away",
        ),
    ],
)
def test_reasons(text: str, history: Sequence[Event], tmp_path: Path) -> None:
    """What ``status`` and the console give as the reason stands on the page."""
    (tmp_path / "launcher.toml").write_text(text)
    runner = FleetRunner(build(load(Request(tmp_path, environ={})).spec))
    runner.send(StartAllRequested(), *history)
    reasons = {change.reason for change in runner.transitions if change.reason}
    assert any(quoted(reason) for reason in reasons), reasons


def test_giving_up(tmp_path: Path) -> None:
    """The end of the restart window is told as the page says, with the default numbers."""
    (tmp_path / "launcher.toml").write_text(ONE)
    runner = FleetRunner(build(load(Request(tmp_path, environ={})).spec))
    runner.send(StartAllRequested())
    while runner.state("api").phase != "failed":
        runner.send(Exited("api", runner.state("api").incarnation, FAILURE))
    words = runner.state("api").reason.rpartition("(")[2].rstrip(")")
    assert quoted(words), words


HOLDER = """
import socket, sys
held = socket.create_server(("127.0.0.1", 0))
print(held.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_a_taken_port(tmp_path: Path) -> None:
    """A taken port is told as the page says, but for the numbers and the name of the program."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        port = holder.stdout.readline().strip()
        plan = build(load(Request(tmp_path, pairs=(f"api=web:app@{port}",), environ={})).spec)
        with pytest.raises(LauncherError) as raised:
            bind_all(plan)
        holder.stdin.close()
    told = raised.value.message.partition(" (")[0].replace(port, "8000").replace(str(holder.pid), "4121")
    assert quoted(f"{told} (uvicorn)")


def test_what_a_service_manager_hands_over(tmp_path: Path) -> None:
    """A socket for no component, and one that is announced and not there, are told as the page says, but for the numbers."""
    plan = build(load(Request(tmp_path, pairs=("api=web:app@8000",), environ={})).spec)
    listener = socket.create_server(("127.0.0.1", 0))
    port, number = listener.getsockname()[1], listener.detach()
    with pytest.raises(LauncherError) as raised:
        bind_all(plan, [Handed(number, "backend.socket")])
    told = raised.value.message.partition(": ")[0].replace(f"socket {number}", "socket 3")
    assert quoted(told.replace(str(port), "9000"))
    code = (
        "import os; from launcher.hosts.manager import from_environment as take; os.closerange(3, 9); "
        "take({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert quoted(done.stderr.strip().rpartition("\n")[2].partition(": ")[2])


def test_a_port_that_needs_a_privilege() -> None:
    """A port below the first that everybody may bind is told as the page says."""
    reason, _ = explain_bind_error(OSError(errno.EACCES, "denied"), "127.0.0.1", 80)
    if "policy" in reason or "may not bind" in reason:
        pytest.skip("this machine lets everybody bind low ports")
    assert quoted(reason)


def test_directories(tmp_path: Path) -> None:
    """A run or log directory that cannot be used, and one that is in use, are told as the page says."""
    messages = []
    with pytest.raises(LauncherError) as raised:
        LogStore("/proc/nowhere")
    messages.append(raised.value.message)
    with pytest.raises(LauncherError) as raised, held(Path("/proc/nowhere"), "/"):
        pass
    messages.append(raised.value.message)
    with held(tmp_path, "/"), pytest.raises(LauncherError) as raised, held(tmp_path, "/"):
        pass
    messages.append(raised.value.message.rpartition("(PID")[0] + "(PID …)")
    assert [message for message in messages if not quoted(message)] == []
