"""The supervisor: one inbox, one loop, one owner of the state.

``inbox → (state, effects) = fleet.advance(state, event) → effects performed → transitions published``. Only the loop changes state, so there
are no locks; whoever wants something submits an event, whoever wants to know takes a view.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from launcher import __version__
from launcher.core import fleet as fleets
from launcher.core.hold import unserved
from launcher.core.view import View
from launcher.model.effects import (
    CancelTimer,
    Effect,
    Finish,
    Kill,
    Launch,
    RequestStop,
    SetTimer,
    ShowStacks,
    StartHeartbeat,
    StartProbe,
    StopProbe,
    WatchDependency,
)
from launcher.model.events import Exited, StartAllRequested
from launcher.model.state import Exit, ExitKind, FleetState
from launcher.supervisor.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.core.plan import Plan
    from launcher.hosts.base import Host
    from launcher.model.events import Event
    from launcher.probes.runner import Probes
    from launcher.supervisor.journal import Journal

logger = logging.getLogger(__name__)


class Supervisor:
    """Runs a plan until it is over.

    Args:
        plan: what to run.
        journal: where every transition is published.
        connect: called once with the running loop; returns the host of a component and the probes. It is called late because hosts and
            probes belong to the loop that the supervisor runs on.
    """

    def __init__(
        self, plan: Plan, journal: Journal, connect: Callable[[], tuple[Callable[[str], Host], Probes]]
    ) -> None:
        self.journal = journal
        self.finish = Finish(0, "")
        self._connect = connect
        # One value, so that whoever takes a view from another thread gets the plan and the fleet of one moment.
        self._present = fleets.Step(plan, fleets.initial(plan, time.monotonic()))
        self._unserved = unserved(plan, self._present.fleet, {}, time.monotonic())
        self._followers: list[Callable[[View], None]] = []
        self._started_at = time.time()
        self._arrived: deque[Event] = deque()
        self._over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: asyncio.Queue[tuple[Event, asyncio.Future[None] | None]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._timers: Timers
        self._host_of: Callable[[str], Host]
        self._probes: Probes

    # -- for everybody, from any thread --

    @property
    def plan(self) -> Plan:
        """The present plan; it changes when replicas come or go."""
        return self._present.plan

    def submit(self, event: Event) -> None:
        """Put an event into the inbox; may be called from any thread and from signal handlers, and never blocks."""
        # First the event, then the look for the loop; `run` does it the other way round, so that no event falls in between.
        self._arrived.append(event)
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._take_arrived)
        except RuntimeError:  # the loop is closed: nobody is left to decide anything
            logger.debug("dropped after the end: %s", event)

    def view(self) -> View:
        """Return an immutable picture of this moment; may be called from any thread."""
        present = self._present
        return View(
            plan=present.plan,
            fleet=present.fleet,
            now=time.monotonic(),
            wall=time.time(),
            started_at=self._started_at,
            pid=os.getpid(),
            version=__version__,
            unserved=self._unserved,
        )

    def follow(self, reader: Callable[[View], None]) -> None:
        """Call ``reader`` after every event, on the supervisor's loop and before the consequences; what it raises goes no further."""
        self._followers.append(reader)

    # -- for the supervisor's own loop --

    async def apply(self, event: Event) -> None:
        """Put an event into the inbox and return when its consequences are decided; after the end there are none."""
        if self._over:
            return
        done = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait((event, done))
        await done

    async def until(self, reached: Callable[[FleetState], bool], timeout: float | None = None) -> bool:
        """Wait until the fleet satisfies ``reached``; false when it did not within ``timeout`` seconds, or when all is over."""
        try:
            async with asyncio.timeout(timeout):
                while not reached(self._fleet):
                    if self._over:
                        await asyncio.sleep(0)  # whoever asks in a loop can still be cancelled
                        return False
                    changed = self._changed
                    await changed.wait()
        except TimeoutError:
            return reached(self._fleet)
        return True

    async def run(self) -> int:
        """Start everything, supervise until the end, and return the exit code."""
        loop = asyncio.get_running_loop()
        self._timers = Timers(loop, self.submit)
        self._host_of, self._probes = self._connect()
        self._inbox.put_nowait((StartAllRequested(), None))
        self._loop = loop
        self._take_arrived()
        try:
            while not self._fleet.finished:
                event, done = await self._inbox.get()
                self._fold(event)
                if done is not None and not done.done():
                    done.set_result(None)
        finally:
            self._let_go()
            self._timers.close()
            await self._probes.close()
        return self.finish.exit_code

    @property
    def _fleet(self) -> FleetState:
        return self._present.fleet

    def _take_arrived(self) -> None:
        while self._arrived:
            self._inbox.put_nowait((self._arrived.popleft(), None))

    def _let_go(self) -> None:
        """Nothing is decided any more: whoever still waits is not to wait for ever."""
        self._over = True
        self._changed.set()
        while not self._inbox.empty():
            _, done = self._inbox.get_nowait()
            if done is not None and not done.done():
                done.set_result(None)

    def _fold(self, event: Event) -> None:
        now = time.monotonic()
        step = fleets.advance(self.plan, self._fleet, event, now)
        self._present = step
        self._unserved = unserved(step.plan, step.fleet, self._unserved, now)
        self._tell_followers()
        for transition in step.transitions:
            self.journal.publish(transition)
        for effect in step.effects:
            try:
                self._perform(effect)
            except Exception:
                # One host or probe that fails must not take the supervisor, and thereby all the others, with it.
                logger.exception("cannot perform %s", effect)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _tell_followers(self) -> None:
        view = self.view()
        for reader in self._followers:
            try:
                reader(view)
            except Exception:
                logger.exception("a follower of the supervisor failed")

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Launch(component=name, incarnation=incarnation):
                self._launch(name, incarnation)
            case RequestStop(component=name, incarnation=incarnation):
                self._host_of(name).request_stop(name, incarnation)
            case Kill(component=name, incarnation=incarnation):
                self._host_of(name).kill(name, incarnation)
            case SetTimer():
                self._timers.set(effect)
            case CancelTimer(timer=timer, name=name, incarnation=incarnation):
                self._timers.cancel(timer, name, incarnation)
            case ShowStacks(component=name, incarnation=incarnation):
                self._host_of(name).show_stacks(name, incarnation)
            case Finish():
                self.finish = effect
            case _:
                self._ask(effect)

    def _ask(self, effect: Effect) -> None:
        match effect:
            case StartProbe(component=name, incarnation=incarnation):
                self._probes.start(self.plan.components[name], incarnation)
            case StartHeartbeat(component=name, incarnation=incarnation):
                self._probes.listen(self.plan.components[name], incarnation)
            case StopProbe(component=name, incarnation=incarnation):
                self._probes.stop(name, incarnation)
            case WatchDependency(dependency=name):
                self._probes.watch(next(spec for spec in self.plan.spec.dependencies if spec.name == name))

    def _launch(self, name: str, incarnation: int) -> None:
        try:
            self._host_of(name).launch(self.plan.components[name], incarnation)
        except Exception as error:
            # A host that cannot even try (no file descriptors, no processes left) must not take the supervisor with it.
            logger.exception("cannot launch %s", name)
            ended = Exit(ExitKind.RAISED, f"cannot launch: {type(error).__name__}: {error}")
            self.submit(Exited(name, incarnation, ended))
