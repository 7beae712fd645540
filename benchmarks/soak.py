"""Whether anything grows: `python3 dev bench soak`.

One component is restarted over and over through the control interface of a running launcher, in `multi`, while another one beside it is left
alone. Now and then it is written down what the launcher holds, and its zygote if it has one: file descriptors, threads, resident memory; and
how many processes and zombies there are in all. Through what was written down a line is laid; the first tenth is left out, because caches
fill. "Flat" says that the growth over the whole run is, with 95 % confidence, below what is tolerated. Exit code 1 says that something grows,
or that a restart failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.peers.variants.launcher import zygote_of
from benchmarks.support.line import Line
from benchmarks.support.measure import save, table, tree, until
from benchmarks.support.newsdesk import environment_of_a_user
from launcher.client import Client
from launcher.errors import LauncherError

SAMPLES = 200
"""How often a run looks, whatever its length."""

KEPT_FROM = 1000
"""Restarts from which on the figures are kept: fewer show how caches fill and nothing else."""

WARM_UP = 0.1
"""Share of the run that is left out at its beginning."""

TOLERATED = {
    "descriptors": 1.0,
    "threads": 1.0,
    "rss_mib": 1.0,
    "zombies": 1.0,
    "processes": 1.0,
}
"""Growth over the whole run, in the quantity's own unit, below which it counts as flat."""

AGENT = "import asyncio\n\nasync def run():\n    await asyncio.Event().wait()\n"
DECLARATION = """\
[launcher]
mode = "multi"

[components.worker]
run = "jobs:run"

[components.neighbour]
run = "jobs:run"
"""

PATIENCE = 60.0
"""Seconds that the launcher may take to start and to stop."""

Sample = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a quantity went.

    Attributes:
        first: in the first look that counts.
        last: in the last one.
        per_thousand: growth per thousand restarts.
        uncertainty: half the width of its 95 % confidence interval.
        flat: whether the growth over the run is below what is tolerated.
    """

    first: float
    last: float
    per_thousand: float
    uncertainty: float
    flat: bool


def main() -> int:
    """Restart, look, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        prog="bench soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--restarts", type=int, default=10_000, help="how many (default: %(default)s)")
    options = parser.parse_args()
    if options.restarts < 2 * SAMPLES // 10:
        parser.error(f"a line needs at least {2 * SAMPLES // 10} restarts")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        samples, problem = _soaked(Path(name), options.restarts)
    took = time.monotonic() - begun
    found = trends(samples, options.restarts)
    rows = [
        [
            name,
            f"{one.first:g}",
            f"{one.last:g}",
            f"{one.per_thousand:+.3f} ± {one.uncertainty:.3f}",
            _verdict(one),
        ]
        for name, one in found.items()
    ]
    print(table(["", "at first", "at last", "per 1,000 restarts", ""], rows))
    done = int(samples[-1]["restarts"]) if samples else 0
    print(f"\n{done} restarts in {took:.0f} s.")
    document = {
        "restarts": done,
        "seconds": round(took, 1),
        "problem": problem,
        "trends": {name: asdict(one) for name, one in found.items()},
        "samples": samples,
    }
    if done >= KEPT_FROM:
        print(f"figures: {save('soak', document)}")
    else:
        print(f"Fewer than {KEPT_FROM:,} restarts: the figures are not kept.")
    if problem:
        print(f"ended early: {problem}")
    return 1 if problem or not all(one.flat for one in found.values()) else 0


def trends(samples: Sequence[Sample], restarts: int) -> dict[str, Trend]:
    """The trend of each quantity, by its name in the samples; one that is not in every sample is left out."""
    counted = [sample for sample in samples if sample["restarts"] >= WARM_UP * restarts]
    names = [name for name in (counted[0] if counted else {}) if name != "restarts"]
    found = {}
    for name in names:
        if len(counted) < 3 or not all(name in sample for sample in counted):
            continue
        line = Line.through([(sample["restarts"], sample[name]) for sample in counted])
        length = counted[-1]["restarts"] - counted[0]["restarts"]
        found[name] = Trend(
            counted[0][name],
            counted[-1][name],
            1000 * line.slope,
            1000 * line.uncertainty,
            line.flat(length, TOLERATED[name.split()[0]]),
        )
    return found


def _verdict(trend: Trend) -> str:
    return "flat" if trend.flat else "grows"


def _soaked(root: Path, restarts: int) -> tuple[list[Sample], str]:
    """The samples of a run, and why it ended early, if it did."""
    (root / "jobs.py").write_text(AGENT)
    (root / "launcher.toml").write_text(DECLARATION)
    process = subprocess.Popen(
        ["launcher", "up", "--quiet"],
        cwd=root,
        env=environment_of_a_user(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    samples: list[Sample] = []
    try:
        client = Client(root / ".launcher" / "control.sock")
        until(lambda: _answers(client), "the launcher", PATIENCE, 0.05)
        client.wait("", "settled")
        _restart_often(client, process.pid, restarts, samples)
        told = client.component("neighbour")
        return samples, "" if told["incarnation"] == 1 else "the component beside it was restarted as well"
    except LauncherError as problem:
        return samples, str(problem)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(client: Client) -> bool:
    try:
        client.status()
    except LauncherError:
        return False
    return True


def _restart_often(client: Client, root: int, restarts: int, samples: list[Sample]) -> None:
    """Restart, and look after each of `SAMPLES` equal parts.

    Raises:
        LauncherError: a restart failed.
    """
    launcher = client.status()["launcher"]["pid"]
    looked = {"launcher": launcher} | ({"zygote": zygote} if (zygote := zygote_of(root)) else {})
    every = max(1, restarts // SAMPLES)
    for number in range(1, restarts + 1):
        client.restart("worker")
        if number % every == 0:
            samples.append({"restarts": float(number)} | _look(root, looked))
            if len(samples) % 20 == 0:
                print(f"{number} of {restarts}", file=sys.stderr, flush=True)


def _look(root: int, looked: Mapping[str, int]) -> dict[str, float]:
    everyone = tree([root])
    found: dict[str, float] = {
        "processes in all": len(everyone),
        "zombies in all": sum(process.status() == psutil.STATUS_ZOMBIE for process in everyone),
    }
    for name, pid in looked.items():
        process = psutil.Process(pid)
        found[f"descriptors of {name}"] = process.num_fds()
        found[f"threads of {name}"] = process.num_threads()
        found[f"rss_mib of {name}"] = round(process.memory_info().rss / 2**20, 3)
    return found


if __name__ == "__main__":
    sys.exit(main())
