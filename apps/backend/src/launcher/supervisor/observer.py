"""Looks at what runs while somebody asks: what it costs, and whether the loops turn.

Between two questions nothing is measured and nothing wakes up. The processes are read by a thread, since that takes some milliseconds and the
supervisor's loop waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from launcher.hosts.census import census
from launcher.hosts.pulse import Pulse
from launcher.hosts.tree import Family
from launcher.model.logs import LOST, Stream
from launcher.model.usage import Beat, FamilyUsage, Part, Usage
from launcher.observe.usage import Household, Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from launcher.components.identity import Identity
    from launcher.core.view import View
    from launcher.hosts.inline import InlineHost
    from launcher.hosts.pulse import Left
    from launcher.hosts.warm import Warm
    from launcher.model.logs import LogLine

logger = logging.getLogger(__name__)

FRESH = 2.0
"""Seconds for which a look is good enough for whoever asks next, unless other processes run by then."""

ANSWER = 0.03
"""Seconds that a look waits for loops to answer; one that turns does so within a few milliseconds. It leaves a command most of its 100 ms."""


class Population(Protocol):
    """A host whose incarnations are processes of their own."""

    def families(self) -> Mapping[Identity, Family]:
        """Return the processes of each incarnation."""
        ...


class Observer:
    """Answers what a running backend costs and does; to be used on the supervisor's loop.

    Args:
        view: returns the present picture.
        guard: PID of the guard, 0 for none.
        lost: returns the log lines that were lost since the start, by why.
    """

    def __init__(self, view: Callable[[], View], guard: int, lost: Callable[[], Mapping[str, int]]) -> None:
        self._view = view
        self._guard = guard
        self._lost = lost
        self._dropped = 0
        self._populations: tuple[Population, ...] = ()
        self._warm: Warm | None = None
        self._pulses: Callable[[], Mapping[Identity, Pulse]] = dict
        self._inline: InlineHost | None = None
        self._inline_pulse: Pulse | None = None
        self._meter = Meter()
        self._families: tuple[FamilyUsage, ...] = ()
        self._totals: Mapping[tuple[Part, str], float] = {}
        self._looked: float | None = None
        self._founders: frozenset[int] = frozenset()
        self._measuring: asyncio.Task[None] | None = None

    def attach(
        self,
        populations: Iterable[Population],
        pulses: Callable[[], Mapping[Identity, Pulse]],
        inline: InlineHost | None,
        warm: Warm | None,
    ) -> None:
        """Be told who runs what; before that there is nothing to see.

        Args:
            populations: the hosts of processes.
            pulses: returns how each incarnation in a process of its own is asked whether its loop turns.
            inline: the host in this process, if there is one.
            warm: the zygote's keeper, if there is one.
        """
        self._populations = tuple(populations)
        self._pulses = pulses
        self._inline, self._warm = inline, warm
        if inline is not None:
            loop = asyncio.get_running_loop()
            self._inline_pulse = Pulse(lambda number: inline.knock(partial(self._pass_on, loop, number)))

    def on_line(self, line: LogLine) -> None:
        """Count the lines that a host reports as lost; may be called from any thread."""
        if line.stream is Stream.LAUNCHER and LOST in line.extra:
            self._dropped += int(str(line.extra[LOST]))

    async def look(self, patience: float = ANSWER) -> View:
        """Return the present picture together with what is seen of it.

        Args:
            patience: seconds that a loop is given to answer, from the question that is open.
        """
        founders = frozenset(family.founder for family in self._present().values())
        stale = self._looked is None or time.monotonic() - self._looked >= FRESH or founders != self._founders
        every = stale or patience > ANSWER
        asked = (pulse.feel() for pulse in self._all_pulses() if every or not pulse.known)
        questions = [question for question in asked if question is not None]
        if stale:
            if self._measuring is None or self._measuring.done():
                self._measuring = asyncio.get_running_loop().create_task(self._measure())
            await asyncio.shield(self._measuring)
        # One that has been open for longer tells more by that than by another moment of waiting.
        left = max((each.asked for each in questions), default=0.0) + patience - time.monotonic()
        if questions and left > 0:
            await asyncio.wait([each.answered for each in questions], timeout=left)
        view = self._view()
        return replace(view, usage=self._usage(view))

    async def _measure(self) -> None:
        families = self._present()
        founders = frozenset(family.founder for family in families.values())
        zygote = None if self._warm is None else self._warm.family()
        plan = self._view().plan
        shared = tuple(name for name in plan.components if name in plan.shared)
        read = partial(_read, self._meter, families, zygote, self._guard, shared)
        try:
            self._families = await asyncio.to_thread(read)
            self._totals = self._meter.totals
        except Exception:  # what the system shows may be odd; the state can be told without it
            logger.exception("cannot read what the processes cost")
        self._looked, self._founders = time.monotonic(), founders

    def _present(self) -> dict[Identity, Family]:
        return {
            identity: family for host in self._populations for identity, family in host.families().items()
        }

    def _usage(self, view: View) -> Usage:
        return Usage(
            families=self._families,
            cpu_totals=self._totals,
            beats=self._beats(view),
            lost_lines={**self._lost(), "pipe": self._dropped},
        )

    def _all_pulses(self) -> list[Pulse]:
        inline = [] if self._inline_pulse is None else [self._inline_pulse]
        return [*self._pulses().values(), *inline]

    def _beats(self, view: View) -> dict[tuple[str, int], Beat]:
        now = time.monotonic()
        found: dict[tuple[str, int], Beat] = {}
        for identity, pulse in self._pulses().items():
            beat = pulse.beat(identity.component, now)
            if beat is not None:
                found[identity.component, identity.incarnation] = beat
        if self._inline is None or self._inline_pulse is None:
            return found
        where, blamed = "", ""
        for name in view.plan.shared:
            state = view.fleet.components[name]
            beat = self._inline_pulse.beat(name, now)
            if beat is None or not state.lives:
                continue
            if not beat.answered and not where:
                where, blamed = self._inline.standing()
            found[name, state.incarnation] = replace(beat, where=where, blamed=blamed)
        return found

    def _pass_on(self, loop: asyncio.AbstractEventLoop, number: int, at: float, left: Left) -> None:
        """Take an answer on the backend's thread to the loop of the supervisor, if that still runs."""
        if not loop.is_closed() and self._inline_pulse is not None:
            loop.call_soon_threadsafe(self._inline_pulse.answer, number, at, left)


def _read(
    meter: Meter,
    families: Mapping[Identity, Family],
    zygote: Family | None,
    guard: int,
    shared: tuple[str, ...],
) -> tuple[FamilyUsage, ...]:
    """Find all processes and read what they cost; by a thread."""
    home = os.getpid()
    found = census([*families.values(), *([] if zygote is None else [zygote])], home)
    households = [Household(Part.LAUNCHER, found.get(home, [home]), shared)]
    if guard:
        households.append(Household(Part.GUARD, [guard]))
    if zygote is not None and zygote.founder in found:
        households.append(Household(Part.ZYGOTE, found[zygote.founder]))
    households += [
        Household(Part.COMPONENT, found[family.founder], (identity.component,))
        for identity, family in families.items()
        if family.founder in found
    ]
    return meter.look(households)
