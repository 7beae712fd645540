"""How fast the command line answers: `python3 dev bench cli`.

`--help`, `check` and `status` are run as whole processes, in turns, with compiled bytecode, in a project of the size of the reference
backend; `status` asks a running launcher: one at rest, one whose components are all held up by one that blocks their event loop, and one with
fifty processes. Exit code 1 says that a median is over the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.support.measure import Spread, save, table, until
from benchmarks.support.newsdesk import environment_of_a_user

LIMIT_MS = 100.0
"""The promise: a short command answers within this time, in milliseconds."""

AGENT = "import asyncio\n\nasync def run():\n    await asyncio.Event().wait()\n"
BLOCKER = "import asyncio, time\n\nasync def run():\n    await asyncio.sleep(0)\n    time.sleep(3600)\n"
AGENTS = 12
"""Components of the measured project: as many as the reference backend has with its servers."""
MANY = 50


class Place(NamedTuple):
    """A running backend.

    Attributes:
        mode: of the launcher.
        agents: how many components do nothing.
        blocker: whether another one blocks the loop that it runs on.
    """

    mode: str
    agents: int = AGENTS
    blocker: bool = False


REST = Place("single")
STATUS = ("launcher", "status")
COMMANDS: dict[str, tuple[Place, tuple[str, ...]]] = {
    "python (an empty program)": (REST, ("python", "-c", "pass")),
    "launcher --help": (REST, ("launcher", "--help")),
    "launcher check": (REST, ("launcher", "check")),
    "launcher status": (REST, STATUS),
    "launcher status (one of them blocks the loop of all)": (Place("single", blocker=True), STATUS),
    f"launcher status ({MANY} processes)": (Place("multi", MANY), STATUS),
}
"""What is run and where, by the name it is shown under; the first shows what the interpreter itself takes."""


def main() -> int:
    """Measure, print a table, write JSON; exit with 1 when a median is over the limit."""
    parser = argparse.ArgumentParser(
        prog="bench cli",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=21,
        help="runs of each command that count (default: %(default)s)",
    )
    options = parser.parse_args()
    user = environment_of_a_user()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as running:
        places = dict.fromkeys(place for place, _ in COMMANDS.values())
        roots = {place: Path(name, str(number)) for number, place in enumerate(places)}
        for place, root in roots.items():
            running.enter_context(_backend(place, root, user))
        times: dict[str, list[float]] = {command: [] for command in COMMANDS}
        for turn in range(options.runs + 1):
            for command, (place, words) in COMMANDS.items():
                took = _timed(words, roots[place], user)
                if turn:  # the first one may still have compiled something
                    times[command].append(took)
    spreads = {command: Spread.of(values) for command, values in times.items()}
    rows = [
        [f"`{command}`", f"{spread.median:.0f} ({spread.low:.0f} to {spread.high:.0f})"]
        for command, spread in spreads.items()
    ]
    print(table(["command", "ms"], rows))
    print(f"\nMedians of {options.runs} runs, in brackets the lowest and the highest.")
    print(
        f"figures: {save('cli', {'runs': options.runs, 'limit_ms': LIMIT_MS, 'milliseconds': spreads, 'each_run': times})}"
    )
    slow = [command for command, spread in spreads.items() if spread.median > LIMIT_MS]
    for command in slow:
        print(f"goal missed: `{command}` takes more than {LIMIT_MS:.0f} ms")
    return 1 if slow else 0


@contextmanager
def _backend(place: Place, root: Path, user: Mapping[str, str]) -> Iterator[None]:
    """A running backend of many small components."""
    root.mkdir()
    (root / "jobs.py").write_text(AGENT)
    (root / "blocker.py").write_text(BLOCKER)
    components = "".join(f'[components.agent{number}]\nrun = "jobs:run"\n' for number in range(place.agents))
    if place.blocker:
        components += '[components.blocker]\nrun = "blocker:run"\n'
    # One that blocks cannot be stopped in order, and is not waited for.
    declared = f'[launcher]\nmode = "{place.mode}"\nstop_timeout = "2s"\n{components}'
    (root / "launcher.toml").write_text(declared)
    process = subprocess.Popen(
        ["launcher", "up", "--quiet"],
        cwd=root,
        env=dict(user),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(
            lambda: _run(STATUS, root, user).returncode == 0,
            "launcher status",
            pause=0.1,
        )
        yield
    finally:
        process.terminate()
        process.wait()


def _run(command: Sequence[str], root: Path, user: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        cwd=root,
        env=dict(user),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def _timed(command: Sequence[str], root: Path, user: Mapping[str, str]) -> float:
    """Run a command to its end; return milliseconds.

    Raises:
        SystemExit: it failed.
    """
    started = time.perf_counter()
    done = _run(command, root, user)
    took = 1000 * (time.perf_counter() - started)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()}")
    return took


if __name__ == "__main__":
    sys.exit(main())
