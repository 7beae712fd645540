"""Draw what `python3 dev up` prints: `python3 dev bench picture`.

Runs the reference backend with its own database servers at a terminal of 100 columns, posts an article, presses Ctrl-C, and draws the
screen as `docs/images/up.svg`. The ports are free ones; the picture shows those of the declaration.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.support.newsdesk import TEXT, environment_of_a_user
from benchmarks.support.ports import free_port
from benchmarks.support.screen import Line, Style, screen
from benchmarks.support.servers import BACKEND
from benchmarks.support.svg import picture

COLUMNS, ROWS = 100, 40
PATIENCE = 120.0
"""Seconds that each part of the recording may take."""

TARGET = BACKEND.parents[1] / "docs" / "images" / "up.svg"
LARGEST = 60_000
"""Bytes that the picture may have."""

COMMAND = "python3 dev up --mode single"
ARTICLE = "apollo-11"
API_PORT = "8000"
DECLARED_PORTS = (API_PORT, "15432", "16379", "17687")


class Recording:
    """A program at a terminal of its own."""

    def __init__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            _become(command, directory, environment)
        self._data = b""
        self._ended = False

    @property
    def written(self) -> str:
        """Everything that was written so far."""
        return self._data.decode(errors="replace")

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Record until something has happened, or the program has ended.

        Raises:
            TimeoutError: it has not within `PATIENCE`.
        """
        deadline = time.monotonic() + PATIENCE
        while not happened():
            if time.monotonic() > deadline:
                raise TimeoutError(f"never came true: {what}\n{self.written}")
            if select.select([self._terminal], [], [], 0.1)[0]:
                try:
                    self._data += os.read(self._terminal, 65536)
                except OSError:  # the last one who had the terminal open has gone
                    return

    def press(self, key: bytes) -> None:
        """Type one key."""
        os.write(self._terminal, key)

    def end(self) -> int:
        """Record the rest and return the exit code."""
        self.until(lambda: False, "the program has ended")
        self._ended = True
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def close(self) -> None:
        """Hang up, which ends a program that still runs, and wait for it."""
        os.close(self._terminal)
        if not self._ended:
            os.waitpid(self._pid, 0)


def _become(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> NoReturn:
    """Turn the child into the program."""
    try:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.chdir(directory)
        os.execvpe(command[0], list(command), dict(environment))
    finally:
        os._exit(127)


def main() -> int:
    """Record, draw and write the picture."""
    user = environment_of_a_user()
    for name in ("NO_COLOR", "POSTGRES_URL", "REDIS_URL", "NEO4J_URL"):
        user.pop(name, None)
    user |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        ports = _declare(directory)
        _record(directory, user)  # the first start creates the databases
        written = _record(directory, user, ports[API_PORT])
    for declared, used in ports.items():
        written = re.sub(rf"\b{used}\b", declared, written)
    lines = [_prompt(COMMAND), *screen(written.replace(name, "apps/backend"), COLUMNS)]
    while not lines[-1]:
        lines.pop()
    drawn = picture(lines, COLUMNS, COMMAND)
    if len(drawn.encode()) > LARGEST:
        raise SystemExit(f"the picture has {len(drawn.encode())} bytes, at most {LARGEST} are wanted")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(drawn)
    print("\n".join("".join(character for character, _ in line) for line in lines))
    print(f"\n{TARGET}: {len(drawn.encode())} bytes, {len(lines)} lines")
    return 0


def _declare(directory: Path) -> dict[str, str]:
    """Copy the declaration with free ports; return the port used for each one declared."""
    ports = {declared: str(free_port()) for declared in DECLARED_PORTS}
    declaration = (BACKEND / "launcher.toml").read_text()
    for declared, used in ports.items():
        declaration = re.sub(rf"\b{declared}\b", used, declaration)
    (directory / "launcher.toml").write_text(declaration)
    (directory / "src").symlink_to(BACKEND / "src")
    return ports


def _record(directory: Path, user: Mapping[str, str], port: str = "") -> str:
    """Start the backend, use it if a port is given, and stop it; return all that was written to the terminal.

    Raises:
        SystemExit: the launcher did not end with 0.
    """
    recording = Recording(["launcher", "up", "--mode", "single"], directory, user)
    try:
        recording.until(lambda: "launcher status" in recording.written, "the backend is up")
        if port:
            _post_an_article(port)
            recording.until(
                lambda: f"{ARTICLE}/events" in recording.written,
                "the last request in the log",
            )
        recording.press(b"\x03")
        code = recording.end()
    finally:
        recording.close()
    if code != 0:
        raise SystemExit(f"the launcher ended with {code}\n{recording.written}")
    return recording.written


def _post_an_article(port: str) -> None:
    """Post an article and follow it until all agents have worked on it."""
    body = json.dumps({"id": ARTICLE, "title": "Apollo 11", "body": TEXT}).encode()
    address = f"http://127.0.0.1:{port}/articles"
    post = urllib.request.Request(address, body, {"content-type": "application/json"})
    with urllib.request.urlopen(post, timeout=PATIENCE):
        pass
    with urllib.request.urlopen(f"{address}/{ARTICLE}/events", timeout=PATIENCE) as events:
        for line in events:
            if line.startswith(b"event: settled"):
                return
    raise SystemExit(f"no agent has finished {ARTICLE}")


def _prompt(command: str) -> Line:
    """The line that was typed."""
    typed = [("$", Style(dim=True)), (" ", Style())]
    return typed + [(character, Style(bold=True)) for character in command]


if __name__ == "__main__":
    sys.exit(main())
