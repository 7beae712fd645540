"""What the launcher still holds after many lines and transitions: bounded queues and nothing else."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from launcher.core.plan import build
from launcher.core.structured import structured
from launcher.model.events import Transition
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ComponentSpec, HookSpec, Kind, LauncherSpec
from launcher.model.state import Desired, Exit, ExitKind, Phase
from launcher.observe import crashes
from launcher.observe.console import TAIL, Console
from launcher.observe.logs import LogStore
from launcher.observe.read import Follower
from launcher.observe.terminal import PENDING, Terminal
from launcher.supervisor.crashes import CrashReporter
from launcher.supervisor.hooks import WAITING, Hooks
from launcher.supervisor.journal import KEPT, Entry, Journal
from launcher.supervisor.supervisor import Supervisor

LINES = 15_000
EVENTS = 1_500
"""More than any queue holds: entries of the journal, lines on the way to a terminal, notifications, reports."""

CRASH = Exit(ExitKind.RAISED, "ValueError: boom", traceback="Traceback")


def held(kind: type[object]) -> int:
    """How many values of a type are alive."""
    gc.collect()
    return sum(type(value) is kind for value in gc.get_objects())


def numbered(number: int) -> LogLine:
    text = f'{{"event": "line {number}", "rows": {number}}}' if number % 2 else f"line {number} " + "x" * 100
    return structured(LogLine(1.7e9 + number, "api", Stream.STDOUT, text, 1))


def publish_life(journal: Journal, life: int) -> None:
    """One incarnation begins and crashes."""
    journal.publish(Transition("api", life, Phase.WAITING, Phase.STARTING, Desired.UP, "Ready", life))
    journal.publish(
        Transition("api", life, Phase.STARTING, Phase.FAILED, Desired.UP, "Exited", life, exit=CRASH)
    )


@pytest.mark.parametrize(
    "stalled", [False, True], ids=["a terminal that is read", "a terminal that nobody reads"]
)
def test_lines_and_transitions_are_let_go(tmp_path: Path, stalled: bool) -> None:
    """However many lines and transitions there were, what is alive is what the bounds of the queues allow, with a stalled reader, too."""
    spec = ComponentSpec("api", Kind.AGENT, "a:b")
    hook = HookSpec("slow", frozenset({Phase.FAILED}), command=("sleep", "1000"), timeout=1000)
    launcher = LauncherSpec(
        "news", str(tmp_path), (spec,), run_dir=str(tmp_path), log_dir=str(tmp_path / "logs"), hooks=(hook,)
    )
    journal = Journal()
    supervisor = Supervisor(build(launcher), journal, lambda: pytest.fail("nothing is started"))
    reading, writing = os.pipe() if stalled else (-1, os.open(os.devnull, os.O_WRONLY))
    terminal = Terminal(writing, writing)
    console = Console(supervisor.plan, screen=terminal)
    store = LogStore(launcher.log_dir, max_bytes=500_000)
    reporter = CrashReporter(supervisor.view)
    hooks = Hooks(launcher, lambda _message, _level: None)
    for reader in (console.on_entry, reporter.on_entry, hooks.on_entry):
        journal.subscribe(reader)
    followers = [Follower(Path(launcher.log_dir), (), {}) for _ in range(3)]
    lines, transitions = held(LogLine), held(Transition)

    for number in range(LINES):
        line = numbered(number)
        store.write(line)
        console.on_line(line)
        del line
        if number % (LINES // EVENTS) == 0:
            publish_life(journal, number // (LINES // EVENTS) + 1)
        if number % 5000 == 0:
            followers[0].poll()
            followers[1].poll()

    assert len(journal.entries) == KEPT
    assert held(Entry) == KEPT
    assert held(Transition) - transitions <= KEPT
    assert held(LogLine) - lines == 0
    assert terminal._waiting <= PENDING
    assert len(console._seen["api"].tail) == TAIL
    assert reporter._began == {}
    assert len(hooks._hooks[0]._waiting) == WAITING
    assert len(crashes.reports(crashes.crash_dir(launcher.run_dir))) == crashes.KEPT
    hooks.close(0.0)
    for follower in followers:
        follower.close()
    store.close()
    terminal.close(0.0)
    if stalled:
        os.close(reading)
    os.close(writing)
