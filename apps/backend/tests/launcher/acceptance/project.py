"""A throw-away project on disk, and the real command line on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which something awaited counts as never happening; generous, because the machine may be slow and busy."""

WEB = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"""
"""A small ASGI application."""

AGENT = """
    import asyncio

    async def run():
        print("working")
        await asyncio.Event().wait()
"""
"""An agent that works until it is stopped."""


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(
    what: str,
    happened: Callable[[], Any],
    patience: float = PATIENCE,
    *,
    launcher: Launcher | None = None,
    account: Callable[[], str] | None = None,
) -> Any:
    """Ask until the answer is true and return it; fail with ``what`` when it never is.

    With a ``launcher`` it also fails, at once, when that has ended. ``account`` says what else is known then.
    """
    deadline = time.monotonic() + patience
    while True:
        # Looked at first: the answer may have come just before the end.
        ended = launcher is not None and launcher.ended
        answer = happened()
        if answer:
            return answer
        if ended or time.monotonic() >= deadline:
            told = [account()] if account else []
            told += [launcher.account()] if launcher else []
            raise AssertionError("\n".join([f"never happened: {what}", *told]))
        time.sleep(0.05)


@dataclass
class Launcher:
    """A ``launcher up`` that was started by a test."""

    process: subprocess.Popen[str]
    project: Project

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended, by itself or not."""
        return self.process.poll() is not None

    def signal(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def finished(self, patience: float = PATIENCE) -> tuple[int, str]:
        """Wait for the end; return the exit code and everything it wrote."""
        output, _ = self.process.communicate(timeout=patience)
        return self.process.returncode, output

    def kill(self) -> None:
        """End it and all its descendants."""
        tree = processes_of(self.pid)
        self.process.kill()
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def account(self) -> str:
        """All there is to tell of it in the message of a failed test; it is killed for that, since its output has to end."""
        told = [f"the launcher has ended with {self.process.poll()} (None: it runs)"]
        if not self.ended:
            with suppress(subprocess.TimeoutExpired):
                told.append(f"its status: {self.project.run('status', '-o', 'json').stdout}")
            told += [str(one) for one in processes_of(self.pid)]
            self.kill()
        with suppress(subprocess.TimeoutExpired):
            told.append(f"its output:\n{self.finished()[1]}")
        told += self.project.last_lines()
        return "\n".join(told)


@dataclass
class Project:
    """A directory with code and a declaration, and its own environment.

    Attributes:
        measured: whether coverage of its processes is measured, which makes each of them many times slower to start.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    measured: bool = True
    started: list[Launcher] = field(default_factory=list)
    wrapper: tuple[str, ...] = ()

    def write(self, **files: str) -> Self:
        """Write files; ``__`` in a name stands for a slash, names without a suffix are Python modules."""
        for name, text in files.items():
            path = self.root / name.replace("__", "/")
            if not path.suffix:
                path = path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return self

    def declare(self, text: str) -> Self:
        """Write ``launcher.toml``."""
        (self.root / "launcher.toml").write_text(dedent(text))
        return self

    def _environ(self) -> dict[str, str]:
        dropped = ("LAUNCHER_", *(() if self.measured else ("COVERAGE_",)))
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(dropped) and key != "CI"
        }
        return {**kept, "NO_COLOR": "1", **self.environment}

    def run(self, *arguments: str, patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run a short command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "launcher", *arguments],
            cwd=self.root,
            env=self._environ(),
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )

    def up(self, *arguments: str) -> Launcher:
        """Start ``launcher up`` in the foreground; its whole output is kept."""
        process = subprocess.Popen(
            [*self.wrapper, sys.executable, "-m", "launcher", "up", *arguments],
            cwd=self.root,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        launcher = Launcher(process, self)
        self.started.append(launcher)
        return launcher

    def last_lines(self, count: int = 20) -> list[str]:
        """The end of every log, under its name."""
        places = Path(self.environment.get("LAUNCHER_LOG_DIR", self.root / ".launcher" / "logs"))
        logs = sorted(places.glob("*.jsonl"))
        return [
            "\n".join([f"{log.name}:", *log.read_text(errors="replace").splitlines()[-count:]])
            for log in logs
        ]

    def status(self) -> dict[str, Any]:
        """The status document; an empty one while no launcher answers."""
        done = self.run("status", "-o", "json")
        with suppress(json.JSONDecodeError):
            return dict(json.loads(done.stdout))
        return {}

    def component(self, name: str) -> dict[str, Any]:
        """One component of the status document; empty while it is not known."""
        found = [one for one in self.status().get("components", []) if one["name"] == name]
        return found[0] if found else {}

    def wait(self, name: str, phase: str = "ready") -> dict[str, Any]:
        """Wait until a component is in a phase; return its document."""

        def there() -> dict[str, Any] | None:
            document = self.component(name)
            return document if document.get("phase") == phase else None

        return dict(eventually(f"{name} is {phase}", there))

    def up_and_ready(self, *arguments: str) -> Launcher:
        """Start ``launcher up`` and wait until everything is ready."""
        launcher = self.up(*arguments)
        eventually(
            "a launcher answers", lambda: launcher.process.poll() is not None or self.status().get("launcher")
        )
        done = self.run("wait", "--for", "settled", "--timeout", str(PATIENCE))
        ending = "is being stopped" in done.stderr or launcher.process.poll() is not None
        assert done.returncode == 0, done.stderr + (launcher.finished()[1] if ending else "")
        return launcher

    def close(self) -> None:
        """End whatever a failed test left running."""
        for launcher in self.started:
            if not launcher.ended:
                launcher.kill()
            if launcher.process.stdout is not None:
                launcher.process.stdout.close()
            launcher.process.wait()


def processes_of(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; empty when it has gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of the processes is left; what waits for its parent to look is gone."""
    return not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def fetch(url: str) -> tuple[int, str]:
    """GET a URL; return status and body."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return int(answer.status), answer.read().decode()
