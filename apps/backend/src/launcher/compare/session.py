"""The whole course of a comparison: start, work, rest, look, stop, for each mode in turns."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.client import Client
from launcher.compare.blast import blows
from launcher.compare.boot import Backend, ComparisonFailed, Launch, booted
from launcher.compare.figures import BY_KEY, percentile
from launcher.compare.findings import Findings
from launcher.compare.load import ask, run_load
from launcher.compare.measure import clock, memory, spent
from launcher.compare.plan import spread_over, targets
from launcher.compare.report import Report, blow_text, killed_text, report
from launcher.config.load import load
from launcher.config.locate import MAX_SOCKET_PATH, SOCKET
from launcher.core.plan import build
from launcher.errors import BindFailed, LauncherError, UsageError
from launcher.model.spec import Kind
from launcher.supervisor.sockets import bind_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from launcher.compare.plan import Comparison
    from launcher.config.load import Request
    from launcher.core.plan import Plan

RESTARTS = 4
"""Components that are restarted in each run at most; every run of every mode restarts the same."""

PREFIX = "launcher-compare-"
"""How the directory is called that everything is written to meanwhile."""

IN_SHORT = ("ready", "memory", "cpu", "p50", "restart", "stop")
"""Figures that are told while the comparison goes on."""


def refuse_taken_ports(plan: Plan, *, launcher_runs: bool) -> None:
    """See that every port of the plan is free.

    Args:
        plan: of the backend; the ports are the same in every mode.
        launcher_runs: a launcher is running for the project, so that it is the likely holder.

    Raises:
        BindFailed: a port is not; says by whom it is held and what to do.
    """
    try:
        bind_all(plan).close()
    except BindFailed as error:
        hint = "a launcher is running for this project; stop it with: launcher down"
        raise BindFailed(
            error.message.replace("cannot start", "cannot compare", 1),
            hint=hint if launcher_runs else error.hint,
        ) from error


def _runs(control: Path) -> bool:
    try:
        Client(control).status()
    except LauncherError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Session:
    """One comparison.

    Attributes:
        comparison: what is asked for.
        launch: how the backend is started.
        plan: of the backend in any of the modes.
        place: a directory of its own for everything that is written meanwhile.
        say: called with how it goes.
    """

    comparison: Comparison
    launch: Launch
    plan: Plan
    place: Path
    say: Callable[[str], None]

    def run(self) -> Findings:
        """Measure everything.

        Raises:
            LauncherError: the backend cannot be started or stopped in one of the modes.
        """
        findings = Findings({mode: [] for mode in self.comparison.modes})
        for turn, mode in self.comparison.turns():
            with booted(self.launch, mode, self.place / f"{mode}-{turn}") as backend:
                if not turn:
                    self._first(backend, findings)
                    continue
                values = self._measured(backend, findings)
            findings.runs[mode].append(values)
            self.say(f"{mode} {turn}/{self.comparison.runs}: {_in_short(values)}")
        return findings

    def _first(self, backend: Backend, findings: Findings) -> None:
        """Use the run that does not count, because it may still compile modules, to see who notices what."""
        self.say(f"{backend.mode}: ready after {backend.ready_seconds:.2f} s; this run does not count")
        if not self.comparison.blast:
            return
        commands = [
            name
            for wave in reversed(self.plan.waves)
            for name in wave
            if self.plan.components[name].kind is Kind.COMMAND
        ]
        found = findings.blows.setdefault(backend.mode, [])
        for blow in blows(backend, commands):
            found.append(blow)
            ended, noticed, again = blow_text(blow)
            self.say(
                f"{backend.mode}: killed {killed_text(blow)}; ended: {ended}; noticed: {noticed}; all ready again: {again}"
            )
            if blow.left:
                findings.note(f"{backend.mode}: {blow.left} processes outlived the launcher")

    def _measured(self, backend: Backend, findings: Findings) -> dict[str, float]:
        """Take all figures of one run; work comes before rest, since a backend that never worked shows less than it takes."""
        values = {"ready": backend.ready_seconds}
        values |= self._requests(backend, findings)
        values |= self._load(backend, findings)
        time.sleep(self.comparison.settle)  # part of the measurement: what the work left to do is done
        values |= self._at_rest(backend)
        values |= self._restarts(backend, findings)
        values["stop"] = backend.stop()
        if code := backend.process.returncode:
            findings.note(f"{backend.mode}: the launcher ended with {code} instead of 0 when it was stopped")
        return values

    def _requests(self, backend: Backend, findings: Findings) -> dict[str, float]:
        wanted = targets(self.plan.components.values(), self.comparison.requests or {})
        shown = backend.components()
        urls = {name: f"{shown[name]['url']}{path}" for name, path in wanted.items() if shown[name]["url"]}
        if not urls:
            return {}
        processes = backend.own()
        before = clock(processes)
        answers = ask(urls)
        used = spent(before, clock(processes))
        for name, answer in answers.items():
            if trouble := answer.trouble():
                findings.note(
                    f"{backend.mode}: {name} answered GET {wanted[name]} {trouble}; --request {name}=/PATH asks another"
                )
        times = [value for answer in answers.values() for value in answer.milliseconds]
        if not times:
            return {}
        asked = sum(answer.statuses.total() for answer in answers.values())
        return {
            "p50": percentile(times, 0.50),
            "p99": percentile(times, 0.99),
            "request-cpu": 1000 * used / asked,
        }

    def _load(self, backend: Backend, findings: Findings) -> dict[str, float]:
        command = self.comparison.load
        if not command:
            return {}
        output = self.place / "load-output"
        before = clock(backend.own())
        done = run_load(command, self.launch.directory, backend.environment, output)
        used = spent(before, clock(backend.own()))
        if done.code == 0:
            return {"load": done.seconds, "load-cpu": used}
        how = f"was killed after {done.seconds:.0f} s" if done.code is None else f"ended with {done.code}"
        findings.note(f"{backend.mode}: the load {how}")
        return {}

    def _at_rest(self, backend: Backend) -> dict[str, float]:
        """Look at what the backend takes while nobody asks anything of it."""
        own, everyone = backend.own(), backend.everyone()
        values = {"memory": memory(own), "processes": float(len(own))}
        commands = len(everyone) > len(own)
        if commands:
            values["memory-all"] = memory(everyone)
        if not self.comparison.settle:
            return values
        before, began = clock(everyone), time.monotonic()
        time.sleep(self.comparison.settle)  # the measurement itself: nothing is to happen meanwhile
        after, passed = clock(backend.everyone()), time.monotonic() - began
        inside = {process.pid for process in own}
        values["cpu"] = 100 * spent(before, {key: after[key] for key in after if key[0] in inside}) / passed
        if commands:
            values["cpu-all"] = 100 * spent(before, after) / passed
        return values

    def _restarts(self, backend: Backend, findings: Findings) -> dict[str, float]:
        """Restart components one after the other, as ``launcher restart`` does."""
        inside = [
            name
            for name, item in backend.components().items()
            if item["kind"] != "command" and item["phase"] == "ready"
        ]
        times = []
        for name in spread_over(inside, RESTARTS):
            began = time.monotonic()
            try:
                backend.client.restart(name)
            except LauncherError as error:
                findings.note(f"{backend.mode}: the restart of {name} failed: {error.message}")
            else:
                times.append(time.monotonic() - began)
        return {"restart": statistics.median(times)} if times else {}


def _in_short(values: Mapping[str, float]) -> str:
    figures = [BY_KEY[key] for key in IN_SHORT if key in values]
    return ", ".join(f"{figure.key} {figure.shown(values[figure.key])} {figure.unit}" for figure in figures)


def surroundings() -> dict[str, object]:
    """Return what the figures were measured on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }


def _own_place() -> Path:
    """Make a directory in which every control socket has a path that the system allows."""
    base = Path(tempfile.gettempdir())
    longest = base / f"{PREFIX}12345678" / "single-1000" / SOCKET
    if len(os.fsencode(longest)) > MAX_SOCKET_PATH:
        base = Path("/tmp")  # noqa: S108 (a directory of its own below it)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))


def compare(
    request: Request,
    words: tuple[str, ...],
    comparison: Comparison,
    control: Path,
    say: Callable[[str], None],
) -> Report:
    """Measure a backend in each mode.

    Args:
        request: where its declaration comes from.
        words: the same, as arguments of ``launcher up``.
        comparison: what is asked for.
        control: the control socket of a launcher that may be running for the project; it is left alone.
        say: called with how it goes.

    Raises:
        LauncherError: the declaration or the load is wrong or cannot be run in a mode, a port is taken, or a start or stop failed.
    """
    plans = [build(load(replace(request, mode=mode)).spec) for mode in comparison.modes]
    plan = plans[0]
    targets(plan.components.values(), comparison.requests or {})
    beside = _runs(control)
    refuse_taken_ports(plan, launcher_runs=beside)
    launch = Launch(words, request.directory)
    if comparison.load and shutil.which(comparison.load[0], path=launch.path) is None:
        raise UsageError(
            f"--load: there is no program {comparison.load[0]}", hint="a script: --load 'python load.py'"
        )
    place = _own_place()
    session = Session(comparison, launch, plan, place, say)
    try:
        findings = session.run()
    except LauncherError as error:
        for line in error.said if isinstance(error, ComparisonFailed) else ():
            say(f"  {line}")
        say(f"logs and output are kept in {place}")
        raise
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    shutil.rmtree(place)
    if beside:
        findings.note("a launcher is running for this project; what it did meanwhile may be in the figures")
    return report(plan.spec.name, comparison, findings, surroundings(), time.time())
