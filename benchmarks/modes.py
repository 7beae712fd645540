"""What one process costs and what many cost: `python3 dev bench modes`.

The reference backend, an API and seven agents, is run in three variants beside the same database servers:

* `single`: `launcher up --mode single`
* `multi`: `launcher up --mode multi`
* `legacy`: one process per service, each started by hand, without a launcher

The variants take turns, so that whatever else the machine does hits all of them; each is run once before it counts, in the same directory, so
that bytecode is compiled and warm starts know what to import. Ready means that the
gateway answers and that every agent reads its stream. Memory and CPU are those of all processes together, the launcher's included, measured
after the agents have worked on an article. Exit code 1 says that a goal was missed.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.support.measure import (
    Spread,
    cpu_seconds,
    idle_cpu,
    memory,
    save,
    table,
    tree,
)
from benchmarks.support.newsdesk import (
    Backend,
    Variant,
    environment_of_a_user,
    make_place,
    running,
)
from benchmarks.support.servers import Servers, servers
from benchmarks.support.starts import prove_starts

SETTLE = 3.0
"""Seconds between the last work and the first look at what the backend costs at rest."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured, how it is shown, and with how many digits after the point."""

    name: str
    shown: str
    digits: int


FIGURES = (
    Figure("memory_mib", "memory (PSS), MiB", 0),
    Figure("idle_cpu_percent", "CPU at rest, % of a core", 2),
    Figure("ready_seconds", "time until all is ready, s", 2),
    Figure("start_cpu_seconds", "CPU used until then, s", 2),
    Figure("stop_seconds", "time to stop, s", 2),
    Figure("processes", "processes", 0),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio of two variants that must not be exceeded."""

    figure: str
    variant: Variant
    against: Variant
    limit: float


GOALS = (
    Goal("memory_mib", Variant.SINGLE, Variant.MULTI, 0.70),
    Goal("idle_cpu_percent", Variant.SINGLE, Variant.MULTI, 0.70),
    Goal("ready_seconds", Variant.SINGLE, Variant.LEGACY, 0.50),
)

COMPARED = (
    (Variant.SINGLE, Variant.MULTI),
    (Variant.SINGLE, Variant.LEGACY),
    (Variant.MULTI, Variant.LEGACY),
)

Spreads = Mapping[str, Mapping[Variant, Spread]]


def main() -> int:
    """Measure, print a table, write JSON; exit with 1 when a goal was missed."""
    options = _options()
    # What was started is cleared away by whoever started it, so a kill must unwind.
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        user = environment_of_a_user()
        with servers(directory / "servers", user) as where:
            if options.starts:
                return prove_starts(directory, where, options.starts)
            migrate = ["python", "-m", "services.schema", "--no-seed"]
            subprocess.run(
                migrate,
                env=user | where.environment(),
                stdout=subprocess.DEVNULL,
                check=True,
            )
            runs = _measure(directory, where, options.runs, options.idle_seconds)
    code = _report(runs, options.idle_seconds)
    if options.update_docs:
        from benchmarks import docs

        docs.update()
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench modes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=5,
        help="runs of each variant that count (default: %(default)s)",
    )
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=30.0,
        help="how long CPU at rest is measured; 30 is one whole round of what the agents do by themselves (default: %(default)g)",
    )
    parser.add_argument(
        "--starts",
        type=int,
        default=0,
        metavar="N",
        help="do something else: start and stop N times in each mode and tell the share that succeeded",
    )
    parser.add_argument(
        "--update-docs",
        action="store_true",
        help="write the figures into the documentation",
    )
    return parser.parse_args()


def _leave(signum: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


def _measure(
    directory: Path, where: Servers, runs: int, idle_seconds: float
) -> dict[Variant, list[dict[str, float]]]:
    """Run all variants in turns; the first turn only warms up."""
    found: dict[Variant, list[dict[str, float]]] = {variant: [] for variant in Variant}
    order = list(Variant)
    for turn in range(runs + 1):
        for variant in order:
            place = make_place(directory / variant, where, migrate=False)
            with running(variant, place) as backend:
                values = _one_run(backend, idle_seconds if turn else 0.0)
            if turn:
                found[variant].append(values)
                print(
                    f"{turn}/{runs} {variant}: {_in_short(values)}",
                    file=sys.stderr,
                    flush=True,
                )
        order = [*order[1:], order[0]]
    return found


def _one_run(backend: Backend, idle_seconds: float) -> dict[str, float]:
    ready = backend.all_ready()
    start_cpu = cpu_seconds(tree(backend.pids))
    backend.work()
    time.sleep(SETTLE if idle_seconds else 0.0)  # part of the measurement: what the work left to do is done
    everyone = tree(backend.pids)
    return {
        "memory_mib": memory(everyone),
        "idle_cpu_percent": idle_cpu(backend.pids, idle_seconds),
        "ready_seconds": ready,
        "start_cpu_seconds": start_cpu,
        "processes": len(everyone),
        "stop_seconds": backend.stop(),
    }


def _in_short(values: Mapping[str, float]) -> str:
    return ", ".join(f"{figure.shown} {values[figure.name]:.{figure.digits}f}" for figure in FIGURES)


def _report(runs: Mapping[Variant, Sequence[Mapping[str, float]]], idle_seconds: float) -> int:
    spreads = {
        figure.name: {
            variant: Spread.of([run[figure.name] for run in values]) for variant, values in runs.items()
        }
        for figure in FIGURES
    }
    missed = [goal for goal in GOALS if ratio(spreads, goal.figure, goal.variant, goal.against) > goal.limit]
    document = {
        "runs": len(runs[Variant.SINGLE]),
        "idle_seconds": idle_seconds,
        "figures": spreads,
        "ratios": {
            figure.name: {
                f"{one}/{other}": round(ratio(spreads, figure.name, one, other), 4) for one, other in COMPARED
            }
            for figure in FIGURES
        },
        "goals": [
            asdict(goal) | {"measured": round(ratio(spreads, goal.figure, goal.variant, goal.against), 4)}
            for goal in GOALS
        ],
        "each_run": runs,
    }
    print(shown(spreads))
    print(f"\nMedians of {document['runs']} runs, in brackets the lowest and the highest.")
    print(f"figures: {save('modes', document)}")
    for goal in missed:
        measured = ratio(spreads, goal.figure, goal.variant, goal.against)
        print(
            f"goal missed: {goal.figure} {goal.variant}/{goal.against} is {measured:.0%}, "
            f"at most {goal.limit:.0%} is wanted"
        )
    return 1 if missed else 0


def ratio(spreads: Spreads, figure: str, one: Variant, other: Variant) -> float:
    """The median of one variant as a share of the median of another."""
    return spreads[figure][one].median / (spreads[figure][other].median or float("nan"))


def shown(spreads: Spreads) -> str:
    """All figures and ratios as a Markdown table."""
    rows = []
    for figure in FIGURES:
        values = spreads[figure.name]
        cells = [_spread(values[variant], figure.digits) for variant in reversed(Variant)]
        cells += [_compared(spreads, figure.name, one, other) for one, other in COMPARED]
        rows.append([figure.shown, *cells])
    header = ["", *reversed(Variant), *(f"{one} : {other}" for one, other in COMPARED)]
    return table(header, rows)


def _spread(spread: Spread, digits: int) -> str:
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f} to {spread.high:.{digits}f})"


def _compared(spreads: Spreads, figure: str, one: Variant, other: Variant) -> str:
    note = ", spreads overlap" if spreads[figure][one].overlaps(spreads[figure][other]) else ""
    return f"{ratio(spreads, figure, one, other):.0%}{note}"


def read(document: Mapping[str, Any]) -> Spreads:
    """The figures of a written result."""
    return {
        figure: {Variant(variant): Spread(**values) for variant, values in by_variant.items()}
        for figure, by_variant in document["figures"].items()
    }


if __name__ == "__main__":
    sys.exit(main())
