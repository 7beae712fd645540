"""The loop around a check: asks again and again, and turns answers into events."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from launcher.core.health import Health, observe
from launcher.model.answers import Answer
from launcher.model.events import (
    BecameReady,
    BecameUnready,
    Checked,
    DependencyChecked,
    LivenessBack,
    LivenessLost,
)
from launcher.model.spec import ProbeKind
from launcher.probes import checks
from launcher.probes.checks.result import CheckResult, FailureCause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from launcher.model.events import Event
    from launcher.model.spec import Bind, ComponentSpec, DependencySpec, LauncherSpec, Probe

logger = logging.getLogger(__name__)

URL_TIMEOUT = 1.0
"""Longest duration of one check of an external service, in seconds."""

OVERDUE = 4.0
"""Seconds after its own deadline when a check that has not answered is given up: nobody is to wait for ever because a check does."""

IN_DOUBT = 1.0
"""Seconds between two checks of what was ready and failed the last one; at rest the pause is far longer."""

BUSY = 1.0
"""Seconds beyond its timeout that a function of a component has to be answered for, since its loop may be about to do something else."""

BEATS = 3
"""How often a sign of life is asked for within the time in which there must be one."""

EARLY = 0.001
"""Seconds by which a sleep may end too early, as far as a beat is concerned; the clock of a loop is far finer."""

TOLD = frozenset({ProbeKind.LOG, ProbeKind.NOTIFY})
"""Readiness that is told by the component and seen by its host; there is nothing to ask."""


class Inside(Protocol):
    """What can be asked of the process that runs a component."""

    def check(self, component: str, incarnation: int, timeout: float) -> Awaitable[Answer]:
        """Have the component's own code say whether it is ready."""

    def ping(self, component: str, incarnation: int) -> asyncio.Future[None]:
        """Return what is done as soon as the event loop of the component turns."""

    def blocking(self, component: str) -> str:
        """Return who keeps the loop from turning, and where; empty when that is not known."""


class Probes:
    """Readiness probes of incarnations and watches of dependencies, one task for each, on the supervisor's loop."""

    def __init__(
        self,
        report: Callable[[Event], None],
        door: Callable[[str, int], Bind | None] = lambda _name, _life: None,
        inside: Inside | None = None,
        launcher: LauncherSpec | None = None,
    ) -> None:
        """Prepare to ask.

        Args:
            report: takes the answers.
            door: returns where an incarnation alone answers, where it has such a place.
            inside: takes questions to components, where they can be asked.
            launcher: what commands that check have in common with the components: variables and working directory.
        """
        self._report = report
        self._door = door
        self._inside = inside
        self._launcher = launcher
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, spec: ComponentSpec, incarnation: int) -> None:
        """Ask whether an incarnation is ready: often until it is, now and then afterwards."""
        probe = spec.ready
        if probe is None or probe.kind in TOLD:
            return
        self._run(f"incarnation {incarnation} of {spec.name}", self._ask_component(spec, probe, incarnation))

    def listen(self, spec: ComponentSpec, incarnation: int) -> None:
        """Watch whether the event loop of an incarnation turns."""
        if self._inside is not None:
            self._run(
                f"heartbeat {incarnation} of {spec.name}", self._listen(spec, incarnation, self._inside)
            )

    def stop(self, name: str, incarnation: int) -> None:
        """Stop asking about an incarnation, and watching it."""
        self._cancel(f"incarnation {incarnation} of {name}")
        self._cancel(f"heartbeat {incarnation} of {name}")

    def watch(self, spec: DependencySpec) -> None:
        """Ask whether an external service is up: often until it is, now and then afterwards."""
        self._run(f"dependency {spec.name}", self._ask_dependency(spec))

    async def close(self) -> None:
        """Stop asking about everything."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _run(self, key: str, asking: asyncio._CoroutineLike[None]) -> None:
        self._cancel(key)
        self._tasks[key] = asyncio.get_running_loop().create_task(asking, name=f"probe of {key}")

    def _cancel(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def _ask_component(self, spec: ComponentSpec, probe: Probe, incarnation: int) -> None:
        if probe.kind is ProbeKind.ALIVE:
            await asyncio.sleep(probe.seconds)
            self._report(BecameReady(spec.name, incarnation))
            return
        health = Health()
        told = ""
        door = self._door(spec.name, incarnation)
        while True:
            result = await answered(self._asked(spec, probe, incarnation, door), probe.timeout)
            self._report(Checked(spec.name, incarnation, Answer(result.ok, result.latency, result.reason)))
            if health.ready is None and not result.ok and result.reason != told:
                told = result.reason
                self._report(BecameUnready(spec.name, incarnation, told))
            health, verdict = observe(health, ok=result.ok, threshold=probe.failures)
            if verdict is True:
                self._report(BecameReady(spec.name, incarnation))
            elif verdict is False:
                self._report(BecameUnready(spec.name, incarnation, result.reason))
            if health.ready is None:
                await asyncio.sleep(probe.interval)
            elif health.failures:
                await asyncio.sleep(IN_DOUBT)
            else:
                await _next_beat(probe.period)

    async def _asked(
        self, spec: ComponentSpec, probe: Probe, incarnation: int, door: Bind | None
    ) -> CheckResult:
        if probe.kind is ProbeKind.CALL and self._inside is not None:
            return await _call(self._inside.check(spec.name, incarnation, probe.timeout), probe.timeout)
        return await check(spec, probe, door, self._launcher)

    async def _listen(self, spec: ComponentSpec, incarnation: int, inside: Inside) -> None:
        """Ask for a sign of life three times within the time that it may take, and count what stays without one.

        Beats of this loop are counted and not seconds: when the whole machine stood still, or this loop did, one beat has passed.
        """
        pause = spec.heartbeat / BEATS
        await _next_beat(pause)
        pinged = inside.ping(spec.name, incarnation)
        missed = 0
        while True:
            await _next_beat(pause)
            missed = 0 if pinged.done() else missed + 1
            if missed == BEATS:
                who = inside.blocking(spec.name)
                reason = f"its event loop has not turned for {spec.heartbeat:g} s{f': blocked by {who}' if who else ''}"
                self._report(LivenessLost(spec.name, incarnation, reason))
                await asyncio.wait((pinged,))
                self._report(LivenessBack(spec.name, incarnation))
            if pinged.done():
                pinged, missed = inside.ping(spec.name, incarnation), 0

    async def _ask_dependency(self, spec: DependencySpec) -> None:
        was_up = False  # as long as it was not, somebody waits for it
        while True:
            result = await answered(checks.check_url(spec.url, URL_TIMEOUT), URL_TIMEOUT)
            self._report(DependencyChecked(spec.name, result.ok, result.latency, result.reason, result.hint))
            was_up = was_up or result.ok
            if result.ok:
                await _next_beat(spec.period)
            else:
                await asyncio.sleep(IN_DOUBT if was_up else spec.interval)


async def answered(question: Coroutine[Any, Any, CheckResult], timeout: float) -> CheckResult:
    """Return what a check answers; an answer in its place when it fails, or does not end although its own deadline is over.

    A check keeps its deadline and never raises. This is for the one that does not: it costs one answer, not the whole watch, and says where it
    was.
    """
    asking = asyncio.get_running_loop().create_task(question)
    try:
        await asyncio.wait((asking,), timeout=timeout + OVERDUE)
        if not asking.done():
            logger.error("a check does not end: %s", asking.get_stack())
            return CheckResult(
                False, timeout + OVERDUE, f"its check did not end within {timeout + OVERDUE:g} s"
            )
        return asking.result()
    except Exception as error:
        logger.exception("a check failed")
        return CheckResult(False, 0.0, f"its check failed with {type(error).__name__}")
    finally:
        asking.cancel()


async def _next_beat(period: float) -> None:
    """Wait until the clock shows the next multiple of ``period``.

    So all checks of a backend at rest come together and wake the machine once. A check by itself takes four times the processor time of one
    among others, for it finds every cache cold.
    """
    left = period - asyncio.get_running_loop().time() % period
    # A sleep may end a little early; the beat that it was meant for is not to be counted twice.
    await asyncio.sleep(left if left > EARLY else left + period)


async def _call(asking: Awaitable[Answer], timeout: float) -> CheckResult:
    """Return what the component's own code says. It keeps the time itself, unless the loop that it is to be called on does not turn."""
    patience = timeout + BUSY
    try:
        answer = await asyncio.wait_for(asking, patience)
    except TimeoutError:
        reason = f"its event loop has not answered within {patience:g} s"
        return CheckResult(False, patience, reason, FailureCause.TIMEOUT)
    return CheckResult(
        answer.ok, answer.latency, answer.reason, None if answer.ok else FailureCause.NOT_READY
    )


async def check(
    spec: ComponentSpec, probe: Probe, door: Bind | None = None, launcher: LauncherSpec | None = None
) -> CheckResult:
    """Ask a component once; a path is asked on the component's own bind, through the door of one incarnation if there is one.

    A command runs as the component does: with its variables, in its directory.
    """
    match probe.kind:
        case ProbeKind.HTTP:
            if "://" in probe.target or spec.bind is None:
                return await checks.check_http(probe.target, timeout=probe.timeout)
            return await _check_path(spec.bind, probe, door)
        case ProbeKind.TCP:
            address, _, port = probe.target.rpartition(":")
            return await checks.check_tcp(address.strip("[]"), int(port), probe.timeout)
        case ProbeKind.URL:
            return await checks.check_url(probe.target, probe.timeout)
        case _:
            environment = {**(launcher.environment if launcher else {}), **spec.environment}
            directory = spec.directory or (launcher.root if launcher else "")
            return await checks.check_exec(
                probe.argv, timeout=probe.timeout, env=environment, cwd=directory or None
            )


async def _check_path(bind: Bind, probe: Probe, door: Bind | None) -> CheckResult:
    """Ask for a path as a client of the bind would; whoever reads of the answer does not know of the door."""
    if door is None:
        return await checks.check_http(bind.url + probe.target, timeout=probe.timeout)
    public = bind.url.partition("://")[2]
    result = await checks.check_http(door.url + probe.target, timeout=probe.timeout, headers={"Host": public})
    return replace(result, reason=result.reason.replace(door.url.partition("://")[2], public))
