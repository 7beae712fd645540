"""The same backend under other process managers and under this one: `python3 dev bench peers`.

A gateway and ten agents (`backend.py`) are run by each variant (`variants/`), in one environment (`environment.py`). The variants take turns,
so that whatever else the machine does hits all of them. In each life: how long until the gateway answers and all agents have marked
themselves, what all processes and those of the manager cost, what becomes of requests when the gateway is killed or restarted, how long the
stop takes; in further lives what is left when a process of the manager is killed. Exit code 1 says that a target was missed, 2 that something
could not be measured. Figures are kept when all variants and the usual number of services were measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.peers import report
from benchmarks.peers.backend import Place, generate, new_life
from benchmarks.peers.environment import Tools, prepared
from benchmarks.peers.life import Life, living
from benchmarks.peers.steps import (
    Figures,
    at_rest,
    crash,
    left_after,
    left_after_parts,
    restarts,
    shown,
)
from benchmarks.peers.targets import failed, judged
from benchmarks.peers.variants import VARIANTS, Variant
from benchmarks.peers.variants.base import OnCrash, Scope
from benchmarks.support.measure import save

SERVICES = 11
"""Services of the backend whose figures are kept."""

SCALE = (10, 20, 50)
"""Services of the backends that show how a process for each of them grows."""

SCALED = "launcher multi"
"""The variant that this is shown for."""

FIRST_ROUNDS = 3
"""Rounds in which is measured what needs fewer of them: the line, what is not compared, and how many processes of ours are left."""

SETTLE = 1.0
"""Seconds between the last service becoming ready and the first look at what the backend costs at rest."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What one run of the benchmark measures, and with what."""

    home: Path
    tools: Tools
    services: int
    restarts: int
    idle_seconds: float

    def place(self, variant: Variant, services: int) -> Place:
        """The place of the next life; its directory is the same in every round."""
        directory = self.home / f"{variant.name.replace(' ', '-').replace(',', '')}-{services}"
        if not directory.exists():
            generate(directory, services)
        return new_life(directory, services, self.tools.environment)


def main() -> int:
    """Measure, print tables, write JSON."""
    options = _options()
    # What was started is cleared away by whoever started it, so a kill must unwind.
    signal.signal(signal.SIGTERM, _leave)
    tools = prepared()
    wanted = [variant for name, variant in VARIANTS.items() if _wanted(name, options.only)]
    missing = {variant.name: reason for variant in wanted if (reason := variant.missing(tools))}
    present = [variant for variant in wanted if variant.name not in missing]
    for name, reason in missing.items():
        _say(f"left out {name}: {reason}")
    begun = time.monotonic()
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        bench = Bench(Path(name), tools, options.services, options.restarts, options.idle_seconds)
        rounds = _rounds(bench, present, options.rounds, problems, scale=not options.no_scale)
    results = judged(rounds, [variant.name for variant in present if variant.scope is Scope.PEER])
    document = report.document(
        rounds,
        results,
        versions=tools.versions,
        missing=missing,
        problems=problems,
        settings={
            "services": options.services,
            "restarts": options.restarts,
            "idle_seconds": options.idle_seconds,
            "took_minutes": round((time.monotonic() - begun) / 60, 1),
        },
    )
    print(report.printed(document))
    whole = not options.only and not options.no_scale and options.services == SERVICES
    if whole:
        print(f"\nfigures: {save('peers', document)}")
    else:
        print("\nOnly a part was measured: the figures are not kept.")
    if options.update_docs:
        from benchmarks import docs

        docs.update()
    return 2 if problems else int(failed(results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="rounds, each with every variant (default: %(default)s)",
    )
    parser.add_argument(
        "--services",
        type=int,
        default=SERVICES,
        help="services, the gateway included (default: %(default)s)",
    )
    parser.add_argument(
        "--restarts",
        type=int,
        default=3,
        help="restarts of the launcher's gateway under each load and in each round; every other manager does one "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=3.0,
        help="how long CPU at rest is measured (default: %(default)g)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help=f"measure variants whose name begins so; can be given more than once ({', '.join(VARIANTS)})",
    )
    parser.add_argument(
        "--no-scale",
        action="store_true",
        help="leave out the backends of 10, 20 and 50 services",
    )
    parser.add_argument(
        "--update-docs",
        action="store_true",
        help="write the figures into the documentation",
    )
    options = parser.parse_args()
    if options.services < 2 or options.rounds < 1 or options.restarts < 1:
        parser.error("at least 1 round, 1 restart and 2 services are needed")
    if unknown := [name for name in options.only if not any(_wanted(known, [name]) for known in VARIANTS)]:
        parser.error(f"there is no variant {unknown[0]}; there are {', '.join(VARIANTS)}")
    return options


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(name.startswith(prefix) for prefix in only)


def _leave(signum: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signum)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _rounds(
    bench: Bench,
    variants: Sequence[Variant],
    rounds: int,
    problems: list[str],
    *,
    scale: bool,
) -> list[dict[str, Figures]]:
    """Measure every variant in each round; what goes wrong is written down, and the others go on."""
    _warm_up(bench, variants)
    found: list[dict[str, Figures]] = []
    order = list(variants)
    for number in range(rounds):
        figures: dict[str, Figures] = {}
        for variant in order:
            if variant.scope is Scope.GATEWAY and number >= FIRST_ROUNDS:
                continue
            begun = time.monotonic()
            own = figures[variant.name] = {}
            leftovers = number == 0 or (variant.scope is Scope.US and number < FIRST_ROUNDS)
            try:
                _one_round(bench, variant, own, leftovers=leftovers)
            except (TimeoutError, ChildProcessError) as problem:
                problems.append(f"round {number + 1}, {variant.name}: {problem}")
                _say(problems[-1])
            took = time.monotonic() - begun
            _say(f"{number + 1}/{rounds} {variant.name}: {took:.0f} s, {_in_short(own)}")
        if scale and number < FIRST_ROUNDS and VARIANTS[SCALED] in variants:
            figures |= _scaled(bench, problems)
        found.append(figures)
        order = [*order[1:], order[0]]
    return found


def _warm_up(bench: Bench, variants: Sequence[Variant]) -> None:
    """Let the launcher start once in its place: what everybody imports is in memory afterwards, and what it learns it has learnt."""
    for variant in variants:
        if variant.scope is Scope.US:
            with living(variant, bench.place(variant, bench.services)) as life:
                life.all_ready()
                life.stop()


def _one_round(bench: Bench, variant: Variant, figures: Figures, *, leftovers: bool) -> None:
    """Measure one variant; what is found goes into `figures` at once, so that a later failure does not lose it."""
    with living(variant, bench.place(variant, bench.services)) as life:
        figures["ready_seconds"] = life.all_ready()
        time.sleep(SETTLE)  # part of the measurement: what the start left to do is done
        # Where the gateway has to be up for a while anyway, that time is used to look longer.
        figures |= at_rest(life, max(bench.idle_seconds, variant.calm - SETTLE))
        ours = variant.scope is Scope.US
        figures |= shown(life, 5 if ours else 1)
        _disturbed(life, figures, bench.restarts if ours else 1)
        figures["stop_seconds"] = life.stop()
    if leftovers:
        _left(bench, variant, figures)


def _disturbed(life: Life, figures: Figures, times: int) -> None:
    """Kill and restart the gateway, as far as the variant does something about it."""
    restarted = life.variant.on_crash is OnCrash.RESTARTS
    if restarted:
        figures |= crash(life, 200)
    if life.variant.restart(life.place, life.root) is not None:
        for rate in (200, 2000):
            for keep_alive in (False, True):
                figures |= restarts(life, rate, times, keep_alive=keep_alive)
    if restarted:
        figures |= crash(life, 2000)


def _left(bench: Bench, variant: Variant, figures: Figures) -> None:
    """Kill each process of the manager, one life each."""
    for role in variant.victims():
        with living(variant, bench.place(variant, bench.services)) as life:
            life.all_ready()
            figures |= left_after(life, role)
    if variant.name == SCALED:
        with living(variant, bench.place(variant, bench.services)) as life:
            life.all_ready()
            figures |= left_after_parts(life)
    figures["left"] = max(value for name, value in figures.items() if name.startswith("left after "))


def _scaled(bench: Bench, problems: list[str]) -> dict[str, Figures]:
    """Start backends of different sizes."""
    variant = VARIANTS[SCALED]
    found: dict[str, Figures] = {}
    for services in SCALE:
        name = f"{SCALED}, {services} services"
        try:
            with living(variant, bench.place(variant, services)) as life:
                ready = life.all_ready()
                time.sleep(SETTLE)  # as above
                found[name] = {"ready_seconds": ready} | at_rest(life, SETTLE) | shown(life, 5)
                life.stop()
        except (TimeoutError, ChildProcessError) as problem:
            problems.append(f"{name}: {problem}")
        _say(f"{name}: {_in_short(found.get(name, {}))}")
    return found


def _in_short(figures: Figures) -> str:
    names = (
        "ready_seconds",
        "pss_mib",
        "crash200_serving_ms",
        "crash200_failed",
        "restart200_new_failed",
        "stop_seconds",
        "left",
    )
    return ", ".join(f"{name} {figures[name]:.4g}" for name in names if name in figures)


if __name__ == "__main__":
    sys.exit(main())
