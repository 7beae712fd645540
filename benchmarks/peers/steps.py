"""What is measured in a life: at rest, a crash, restarts, what is left of it. Each step returns figures by name (`figures.py` has them all)."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

import psutil

from benchmarks.peers.life import Life, alive
from benchmarks.support.load import Load, Tally, first_answer
from benchmarks.support.measure import cpu_seconds, memory, until

Figures = dict[str, float]

BEFORE = 0.3
"""Seconds of load before something happens to the gateway, and after it is over."""

KEPT = 50
"""Connections of a load that keeps its connections."""

PATIENCE = 60.0
"""Seconds within which a gateway that is restarted at all serves again."""

TIMED = 200
"""The rate at which it is of interest how long a crash lasts: at the other one only what becomes of the requests."""

LONGEST = {200: 20.0, 2000: 2.5}
"""How long a load may last, in seconds, by its rate: the fast one also takes its share of the machine from what is measured."""

RESTARTED = 0.0005
"""Seconds between two looks at whether a dead process has been reaped: the resolution of when its death was noticed."""

LEFT_AFTER = 2.0
"""Seconds after the death of its manager within which everything should be gone."""

ORDERLY = 15.0
"""The same where the death of one process makes another one stop everything in order."""


def at_rest(life: Life, seconds: float) -> Figures:
    """Memory and CPU of all processes, and of those that only manage."""
    managers = life.managers()
    members = life.members()
    before = {pid: _cpu(pid) for pid in members}
    started = time.monotonic()
    time.sleep(seconds)  # the measurement itself: nothing is to happen meanwhile
    percent = 100 / (time.monotonic() - started)
    used = {pid: percent * (_cpu(pid) - seconds_before) for pid, seconds_before in before.items()}
    sizes = {pid: _pss(pid) for pid in members}
    figures = {
        "pss_mib": sum(sizes.values()),
        "idle_percent": sum(used.values()),
        "processes": float(len(members)),
        "manager_pss_mib": 0.0,
        "manager_idle_percent": 0.0,
    }
    for name, pids in managers.items():
        size, share = (
            sum(sizes.get(pid, 0.0) for pid in pids),
            sum(used.get(pid, 0.0) for pid in pids),
        )
        figures["manager_pss_mib"] += size
        figures["manager_idle_percent"] += share
        figures[f"pss_mib of {name}"] = size
        figures[f"idle_percent of {name}"] = share
    return figures


def crash(life: Life, rate: int) -> Figures:
    """Kill the gateway under load; return when that was noticed, when it served again, and what became of the requests."""
    if rate == TIMED:
        life.calm()
    killed = life.place.gateway_pid()
    if killed is None:
        raise ChildProcessError("there is no gateway to kill")
    with Load(life.place.port, rate, seconds=LONGEST[rate]) as load:
        time.sleep(BEFORE)  # part of the measurement: requests are under way
        descriptor = os.pidfd_open(killed)
        time_of_day = time.time()
        os.kill(killed, signal.SIGKILL)
        killed_at = time.monotonic()
        select.select([descriptor], [], [])
        dead_at = time.monotonic()
        os.close(descriptor)
        noticed_at = until(lambda: not _exists(killed), "somebody to reap it", PATIENCE, RESTARTED)
        served_at = until(
            lambda: life.place.gateway_pid(1.0) not in {None, killed},
            "the gateway",
            PATIENCE,
            0.02,
        )
        time.sleep(BEFORE)
        exchanges = load.stop()
    told_at = life.variant.noticed(life.place, time_of_day)
    if told_at is not None:
        noticed_at = told_at - (time.time() - time.monotonic())
    answered_at = first_answer(exchanges, killed_at, {killed})
    tally = Tally.of(exchanges, killed_at)
    life.served_from(min(served_at, answered_at or served_at))
    return {
        f"crash{rate}_noticed_ms": 1000 * max(0.0, noticed_at - dead_at),
        f"crash{rate}_serving_ms": 1000 * (min(served_at, answered_at or served_at) - killed_at),
        f"crash{rate}_failed": tally.failed,
        f"crash{rate}_refused": tally.refused,
        f"crash{rate}_inside": tally.inside,
        f"crash{rate}_avoidable": tally.failed - tally.inside,
        **_load(f"crash{rate}", tally),
    }


def restarts(life: Life, rate: int, times: int, *, keep_alive: bool) -> Figures:
    """Restart the gateway some times under load by the manager's own command; return how long that took and what became of the requests."""
    kind = f"restart{rate}_{'kept' if keep_alive else 'new'}"
    took: list[float] = []
    with Load(
        life.place.port,
        rate,
        seconds=LONGEST[rate] * max(1, times),
        keep_alive=KEPT * keep_alive,
    ) as load:
        for _ in range(times):
            time.sleep(BEFORE)  # part of the measurement: requests are under way
            took.append(_restarted(life))
        time.sleep(BEFORE)
        exchanges = load.stop()
    life.served_from(time.monotonic() - BEFORE)
    tally = Tally.of(exchanges)
    return {
        f"{kind}_seconds": sorted(took)[len(took) // 2],
        f"{kind}_failed": tally.failed / times,
        f"{kind}_refused": tally.refused / times,
        **_load(kind, tally),
    }


def _restarted(life: Life) -> float:
    """Restart once; return the seconds until the command had ended, and only new processes serve."""
    command = life.variant.restart(life.place, life.root)
    assert command is not None
    before = set() if life.variant.same_process else life.gateways()
    begun = time.monotonic()
    life.ask(command)
    until(
        lambda: not life.gateways() & before and life.place.gateway_pid(1.0) is not None,
        "a new gateway",
        PATIENCE,
    )
    return time.monotonic() - begun


def shown(life: Life, times: int) -> Figures:
    """How long the command takes that shows the state."""
    command = life.variant.status(life.place)
    if command is None:
        return {}
    took = sorted(life.ask(command) for _ in range(times))
    return {"status_ms": 1000 * took[times // 2]}


def left_after(life: Life, role: str) -> Figures:
    """Kill one of the manager's processes and return how many processes of the backend are left."""
    pid = life.variant.managers(life.place, life.root)[role]
    everyone = life.members()
    os.kill(pid, signal.SIGKILL)
    left = life.gone(everyone, ORDERLY if role == "guard" else LEFT_AFTER)
    return {f"left after {role}": len(left)}


def left_after_parts(life: Life) -> Figures:
    """Kill a host and the zygote, if there is one, then stop in order; return how many processes are left after all."""
    figures: Figures = {}
    managers = life.variant.managers(life.place, life.root)
    victims = {"host": life.place.marked()[life.place.agents[-1]]}
    if "zygote" in managers:
        victims["zygote"] = managers["zygote"]
    everyone = life.members()
    for role, pid in victims.items():
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: not alive(pid), f"the end of the {role}", PATIENCE)  # type: ignore[misc]
        until(lambda: life.place.gateway_pid() is not None, "the gateway", PATIENCE)
        everyone |= life.members()
    command = life.variant.stop(life.place, life.root)
    life.ask(command)
    left = life.gone(everyone, LEFT_AFTER)
    for role in victims:
        figures[f"left after {role}"] = len(left)
    return figures


def _load(kind: str, tally: Tally) -> Figures:
    return {
        f"{kind}_requests": tally.requests,
        f"{kind}_unsent": tally.unsent,
        f"{kind}_slowest_ms": tally.slowest_ms,
    }


def _exists(pid: int) -> bool:
    """Whether anything of a process is left, the entry that its parent has not yet collected included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _cpu(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        return cpu_seconds([psutil.Process(pid)])
    return 0.0


def _pss(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        return memory([psutil.Process(pid)])
    return 0.0
