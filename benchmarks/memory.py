"""Whether the launcher's memory grows with what it has seen: `python3 dev bench memory`.

In `multi`, three components write log lines and a fourth ends in failure over and over, which makes transitions, crash reports and
notifications to a hook that never answers. Three followers (`launcher logs -f`) read along, and one of them is stopped (SIGSTOP) at the
beginning. Now and then it is written down how much memory, how many descriptors and how many threads the launcher has. Through that a line
is laid; the first half is left out, because caches and bounded queues fill in steps. Exit code 1 says that something grows.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.support.line import Line
from benchmarks.support.measure import save, table, until
from benchmarks.support.newsdesk import environment_of_a_user
from launcher.client import Client
from launcher.errors import LauncherError

LINES = 1_000_000
"""Lines from which on the figures are kept."""

PER_LIFE = 2
"""Transitions of a life that ends before it is ready: it is starting, and it waits for the next try."""

PAUSE = 0.02
"""Seconds between two looks at the descriptors."""

LOOKS = 30
"""Looks at the descriptors in each sample."""

FEWEST = 20
"""Samples that a run takes at least."""

WARM_UP = 0.5
"""Share of the run that is left out at its beginning."""

TOLERATED = {"rss_mib": 1.0, "descriptors": 1.0, "threads": 1.0}
"""Growth over the second half of the run, in the quantity's own unit, below which it counts as flat."""

WRITERS = 3

WRITER = """\
import asyncio
import os


def lives():
    try:
        return int(open("life").read() or 0)
    except OSError:
        return 0


async def run():
    every, wanted = int(os.environ["LINES"]), int(os.environ["LIVES"])
    for number in range(every):
        print(f"line {number} " + "x" * (number % 97))
        # Lines and lives are to last equally long.
        while number % 200 == 0 and number / every > lives() / wanted:
            await asyncio.sleep(0.02)
    open(f"done-{os.environ['LAUNCHER_COMPONENT']}", "w").close()
    await asyncio.Event().wait()
"""

DECLARATION = """\
[launcher]
mode = "multi"
pythonpath = ["."]

[components.failing]
command = ["sh", "-c", "echo life $LAUNCHER_INCARNATION; echo $LAUNCHER_INCARNATION > life; exit 1"]
restart = {{ delay = 0, max_restarts = 1000000, window = "1s" }}
console = false

[hooks.nobody]
url = "{url}"
on = ["starting", "waiting", "failed"]
timeout = "1h"
"""

COMPONENT = '\n[components.writer{number}]\nrun = "writer:run"\nconsole = false\n'

Sample = dict[str, float]


def main() -> int:
    """Run, look, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        prog="bench memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=LINES, help="lines in all (default: %(default)s)")
    parser.add_argument("--events", type=int, default=10_000, help="transitions (default: %(default)s)")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="memory-") as name, _nobody() as url:
        samples = _looked(Path(name), url, options.lines, options.events)
    took = time.monotonic() - begun
    trends = {quantity: _trend(samples, quantity) for quantity in TOLERATED}
    rows = [
        [
            quantity,
            f"{first:g}",
            f"{last:g}",
            f"{growth:+.2f} ± {uncertainty:.2f}",
            "flat" if flat else "grows",
        ]
        for quantity, (first, last, growth, uncertainty, flat) in trends.items()
    ]
    print(table(["of the launcher", "at first", "at last", "over the second half", ""], rows))
    print(f"\n{options.lines:,} lines and {options.events:,} transitions in {took:.0f} s.")
    if options.lines >= LINES:
        print(
            f"figures: {save('memory', {'lines': options.lines, 'events': options.events, 'samples': samples})}"
        )
    else:
        print(f"Fewer than {LINES:,} lines: the figures are not kept.")
    return 0 if all(flat for *_, flat in trends.values()) else 1


def _trend(samples: Sequence[Sample], quantity: str) -> tuple[float, float, float, float, bool]:
    """First and last value, growth over the run with half its 95 % confidence interval, and whether that is flat."""
    counted = samples[int(WARM_UP * len(samples)) :]
    line = Line.through([(sample["seconds"], sample[quantity]) for sample in counted])
    length = counted[-1]["seconds"] - counted[0]["seconds"]
    flat = line.flat(length, TOLERATED[quantity])
    return counted[0][quantity], counted[-1][quantity], line.slope * length, line.uncertainty * length, flat


@contextmanager
def _nobody() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def _looked(root: Path, url: str, lines: int, events: int) -> list[Sample]:
    (root / "writer.py").write_text(WRITER)
    components = "".join(COMPONENT.format(number=number) for number in range(WRITERS))
    (root / "launcher.toml").write_text(DECLARATION.format(url=url) + components)
    environment = {
        **environment_of_a_user(),
        "LINES": str(lines // WRITERS),
        "LIVES": str(events // PER_LIFE),
    }
    processes = [_started(["up", "--quiet"], root, environment)]
    try:
        client = Client(root / ".launcher" / "control.sock")
        until(lambda: _answers(client), "the launcher", pause=0.05)
        processes += [_started(["logs", "-f"], root, environment) for _ in range(3)]
        os.kill(processes[-1].pid, signal.SIGSTOP)
        launcher = psutil.Process(client.status()["launcher"]["pid"])

        def over() -> bool:
            written = len(list(root.glob("done-*"))) == WRITERS
            return written and client.component("failing")["incarnation"] * PER_LIFE >= events

        return _samples(launcher, over)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in processes:
            process.wait(60)


def _samples(launcher: psutil.Process, over: Callable[[], bool]) -> list[Sample]:
    """Look now and then, until everything was written and has happened."""
    samples: list[Sample] = []
    begun = time.monotonic()
    while not over() or len(samples) < FEWEST:
        samples.append(
            {
                "seconds": round(time.monotonic() - begun, 3),
                "rss_mib": round(launcher.memory_info().rss / 2**20, 3),
                "descriptors": _fewest_descriptors(launcher),
                "threads": launcher.num_threads(),
            }
        )
    return samples


def _fewest_descriptors(process: psutil.Process) -> int:
    """The descriptors that a process has at rest: each life that is just going on has a few of its own."""
    fewest = process.num_fds()
    for _ in range(LOOKS - 1):
        time.sleep(PAUSE)
        fewest = min(fewest, process.num_fds())
    return fewest


def _started(words: Sequence[str], root: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["launcher", *words],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _answers(client: Client) -> bool:
    try:
        client.status()
    except LauncherError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
