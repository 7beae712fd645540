"""Whether a log line is ever lost: `python3 dev bench logs`.

Components in `multi`, half of them Python and half of them commands, each write a number of lines as fast as they can. Meanwhile one after
the other, by chance, is ended with `kill -9` and restarted by the launcher. What `print` or `write` has returned from is written down outside of
the component. Afterwards every line must be in the log files, once and in order, and a follower (`launcher logs -f`) must have seen the
same. Exit code 1 says that a line was missing, twice there, or out of order.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from benchmarks.support.measure import save, table, until
from benchmarks.support.newsdesk import environment_of_a_user

PATIENCE = 1800.0
"""Seconds that all lines may take."""

COUNTED = 1_000_000
"""Lines from which on the figures are kept."""

WRITER = '''\
import os
import struct


def write(say, component):
    """Say numbered lines, and write down after each how many were said; go on where an earlier life was ended."""
    total = int(os.environ["LINES"])
    before = sum(
        struct.unpack("q", open(entry.path, "rb").read(8).ljust(8, b"\\0"))[0]
        for entry in os.scandir("said")
        if entry.name.startswith(component + "@")
    )
    incarnation = os.environ["LAUNCHER_INCARNATION"]
    said = os.open(f"said/{component}@{incarnation}", os.O_WRONLY | os.O_CREAT)
    with open(f"pids/{component}.new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(f"pids/{component}.new", f"pids/{component}")
    for number in range(total - before):
        say(f"{incarnation} {number} " + "x" * (number % 97))
        os.pwrite(said, struct.pack("q", number + 1), 0)
    with suppress_missing():
        os.remove(f"pids/{component}")


def suppress_missing():
    import contextlib

    return contextlib.suppress(FileNotFoundError)


async def agent():
    write(print, os.environ["LAUNCHER_COMPONENT"])


if __name__ == "__main__":
    write(lambda text: os.write(1, text.encode() + b"\\n"), os.environ["LAUNCHER_COMPONENT"])
'''

COMPONENT = """
[components.{name}]
{what}
oneshot = true
restart = {{ policy = "on-failure", delay = 0, max_restarts = 100000 }}
console = false
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is written, and how often it is disturbed.

    Attributes:
        components: how many; every second one is a command.
        lines: how many each writes.
        kills: how often one of them is killed.
    """

    components: int = 10
    lines: int = 100_000
    kills: int = 100


DEFAULT = Load()


@dataclass(slots=True)
class Outcome:
    """What became of the lines.

    Attributes:
        said: lines that were surely said.
        kept: lines in the files.
        kills: how many lives were ended.
        seconds: from the start of the launcher to its end.
        wrong: what is not as it should be, for people.
    """

    said: int = 0
    kept: int = 0
    kills: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def main() -> int:
    """Write, kill, compare, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        prog="bench logs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--components", type=int, default=DEFAULT.components, help="how many (default: %(default)s)"
    )
    parser.add_argument("--lines", type=int, default=DEFAULT.lines, help="of each (default: %(default)s)")
    parser.add_argument(
        "--kills", type=int, default=DEFAULT.kills, help="how many in all (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of chance (default: %(default)s)")
    options = parser.parse_args()
    load = Load(options.components, options.lines, options.kills)
    with tempfile.TemporaryDirectory(prefix="logs-") as name:
        outcome = run(load, Path(name), random.Random(options.seed))
    rows = [
        ["components", f"{load.components}"],
        ["lines said", f"{outcome.said:,}"],
        ["lines kept", f"{outcome.kept:,}"],
        ["lives ended with `kill -9`", f"{outcome.kills}"],
        ["lines a second", f"{outcome.kept / outcome.seconds:,.0f}"],
        ["lines missing, repeated or out of order", f"{len(outcome.wrong)}"],
    ]
    print(table(["", ""], rows))
    for what in outcome.wrong[:20]:
        print(f"wrong: {what}")
    if outcome.said >= COUNTED:
        print(f"figures: {save('logs', {'load': load, 'outcome': outcome})}")
    else:
        print(f"Fewer than {COUNTED:,} lines: the figures are not kept.")
    return 1 if outcome.wrong else 0


def run(load: Load, root: Path, chance: random.Random) -> Outcome:
    """Run the whole thing in an empty directory."""
    names = [f"writer{number}" for number in range(load.components)]
    _prepare(root, names)
    environment = {**environment_of_a_user(), "LINES": str(load.lines)}
    outcome = Outcome()
    begun = time.monotonic()
    with (root / "up.txt").open("w") as told, (root / "followed.jsonl").open("w") as followed:
        launcher = _start(["up", "--mode", "multi"], root, environment, told)
        follower = _start(["logs", "-f", "-n", "all", "-o", "json"], root, environment, followed)
        try:
            outcome.kills = _kill_some(root, load, chance, lambda: launcher.poll() is not None)
            launcher.wait(PATIENCE)
            outcome.seconds = time.monotonic() - begun
            files = _read(_files(root, names))
            _await_follower(root / "followed.jsonl", sum(map(len, files.values())))
        finally:
            for process in (launcher, follower):
                process.terminate()
                process.wait(60)
    outcome.wrong += _compared(root, names, load, files, "the files", outcome)
    outcome.wrong += _compared(root, names, load, _read([root / "followed.jsonl"]), "the follower", Outcome())
    if launcher.returncode:
        outcome.wrong.append(
            f"the launcher ended with {launcher.returncode}: {(root / 'up.txt').read_text()}"
        )
    return outcome


def _prepare(root: Path, names: Iterable[str]) -> None:
    for directory in ("said", "pids"):
        (root / directory).mkdir()
    (root / "writer.py").write_text(WRITER)
    declared = '[launcher]\npythonpath = ["."]\n'
    for number, name in enumerate(names):
        what = f'command = ["{sys.executable}", "writer.py"]' if number % 2 else 'run = "writer:agent"'
        declared += COMPONENT.format(name=name, what=what)
    (root / "launcher.toml").write_text(declared)


def _start(
    arguments: Iterable[str], root: Path, environment: Mapping[str, str], output: IO[str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "launcher", *arguments],
        cwd=root,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _kill_some(root: Path, load: Load, chance: random.Random, over: Callable[[], bool]) -> int:
    """End one life after the other, spread over the lines that are to come; return how many."""
    killed = 0
    due = sorted(chance.randrange(load.lines * load.components) for _ in range(load.kills))
    deadline = time.monotonic() + PATIENCE
    while killed < load.kills and not over() and time.monotonic() < deadline:
        if sum(_said(root).values()) < due[killed]:
            time.sleep(0.005)
            continue
        with suppress(OSError, IndexError, ValueError):
            victim = chance.choice(sorted((root / "pids").glob("*[0-9]")))
            pid = int(victim.read_text())
            victim.unlink()  # the next life writes its own
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _said(root: Path) -> dict[str, int]:
    """How many lines each life has surely said."""
    return {path.name: int.from_bytes(path.read_bytes(), sys.byteorder) for path in (root / "said").iterdir()}


def _files(root: Path, names: Iterable[str]) -> list[Path]:
    """The log files of all components, those of each oldest first."""
    logs = root / ".launcher" / "logs"
    return [
        path
        for name in names
        for path in sorted(logs.glob(f"{name}.jsonl*"), key=lambda path: path.name, reverse=True)
    ]


def _read(files: Iterable[Path]) -> dict[str, list[tuple[int, int]]]:
    """What each component has said, in the order in which it stands there: incarnation and number."""
    found: dict[str, list[tuple[int, int]]] = {}
    for path in files:
        with path.open() as lines:
            for text in lines:
                line = json.loads(text)
                if line["stream"] == "stdout":
                    incarnation, number, _ = line["message"].split(" ")
                    found.setdefault(line["component"], []).append((int(incarnation), int(number)))
    return found


def _await_follower(path: Path, lines: int) -> None:
    """Wait until the follower has written that many lines of components."""

    def there() -> bool:
        with path.open("rb") as file:
            return sum(b'"stream": "stdout"' in line for line in file) >= lines

    with suppress(TimeoutError):  # what it has not seen is told as missing
        until(there, "the follower", patience=60, pause=0.5)


def _compared(
    root: Path,
    names: Iterable[str],
    load: Load,
    found: Mapping[str, list[tuple[int, int]]],
    where: str,
    outcome: Outcome,
) -> list[str]:
    """What is wrong with what was found; the figures of the outcome are added up."""
    said = _said(root)
    wrong = []
    for name in names:
        lives: dict[int, list[int]] = {}
        for incarnation, number in found.get(name, []):
            lives.setdefault(incarnation, []).append(number)
        if list(lives) != sorted(lives):
            wrong.append(f"{where}: lives of {name} are mixed: {list(lives)}")
        surely = {
            int(key.partition("@")[2]): count for key, count in said.items() if key.startswith(f"{name}@")
        }
        for incarnation, count in surely.items():
            numbers = lives.get(incarnation, [])
            # A life may have ended between saying a line and writing that down.
            if numbers not in (list(range(count)), list(range(count + 1))):
                told = f"{len(numbers)} of {count} lines, {len(set(numbers))} different"
                wrong.append(f"{where}: {name}, incarnation {incarnation}: {told}")
        outcome.said += sum(surely.values())
        outcome.kept += sum(map(len, lives.values()))
        if sum(surely.values()) < load.lines:
            wrong.append(f"{name} has said {sum(surely.values())} of {load.lines} lines")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
