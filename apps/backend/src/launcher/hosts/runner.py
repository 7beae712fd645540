"""Runs the lives of components on one loop, and tells how each of them ended.

Isolation within a process is a promise about endings: whatever a component does, it ends as one component, exactly once, and only when no
task of it is left.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from functools import partial
from socket import socket

from launcher.components.blame import told
from launcher.components.context import RunContext
from launcher.components.identity import CURRENT, Identity
from launcher.components.load import Loader
from launcher.components.output import Capture
from launcher.components.scope import ComponentTask, Death, Scope, Scopes, described
from launcher.hosts.base import Report
from launcher.hosts.ends import of_death, of_error
from launcher.model.answers import Answer
from launcher.model.events import Exited, Launched, Started
from launcher.model.spec import ComponentSpec, TaskDeath
from launcher.model.state import Exit, ExitKind

CANCEL_AGAIN = 1.0
"""Seconds after which tasks that ignored a cancellation are named and cancelled once more."""


@dataclass(slots=True, eq=False)
class Life:
    """One incarnation while it lasts."""

    spec: ComponentSpec
    identity: Identity
    scope: Scope
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    main: asyncio.Task[None] | None = None
    death: Death | None = None
    killed: bool = False
    ended: Exit | None = None
    context: Context | None = None
    asked: set[asyncio.Task[Answer]] = field(default_factory=set)


class ComponentRunner:
    """Runs components on a loop. All methods are to be called on that loop's thread.

    Args:
        base: the context that the user's modules were imported in; each life gets a copy.
        sockets: listening sockets by component.
        on_stuck: called when tasks of a life that ended of itself still ignore cancellation after ``stop_grace``. Nothing more can be done
            about them in this process: ``Exited`` is not reported while they live.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        loader: Loader,
        capture: Capture,
        report: Report,
        sockets: Mapping[str, Sequence[socket]],
        base: Context,
        on_stuck: Callable[[Identity, Exit], None] | None = None,
    ) -> None:
        self._loop = loop
        self._loader = loader
        self._capture = capture
        self._report = report
        self._sockets = sockets
        self._base = base
        self._on_stuck = on_stuck
        self._scopes = Scopes()
        self._scopes.install(loop)
        self._lives: dict[Identity, Life] = {}
        self._at_rest: list[Callable[[], None]] = []

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        """Begin a life."""
        identity = Identity(spec.name, incarnation)
        scope = Scope(self._loop, lambda death: self._on_death(life, death))
        life = Life(spec, identity, scope)
        self._lives[identity] = life
        self._scopes.open(identity, scope)
        context = self._base.copy()
        context.run(CURRENT.set, identity)
        life.context = context.copy()
        context.run(self._begin, life)

    def request_stop(self, component: str, incarnation: int) -> None:
        """Ask a life to end."""
        life = self._lives.get(Identity(component, incarnation))
        if life is not None:
            life.stopping.set()

    def check(
        self, component: str, incarnation: int, timeout: float, answered: Callable[[Answer], None]
    ) -> None:
        """Have the component's own code say whether it is ready; ``answered`` is called once, on this thread."""
        life = self._lives.get(Identity(component, incarnation))
        question = None if life is None else self._loader.question(life.spec)
        if life is None or question is None or life.ended is not None:
            answered(Answer(False, 0.0, "it is not running"))
            return

        def done(task: asyncio.Task[Answer]) -> None:
            asked.discard(task)
            answered(Answer(False, 0.0, "it has ended") if task.cancelled() else task.result())

        asked = life.asked
        task = self._loop.create_task(
            question.ask(timeout), name=f"check of {component}", context=life.context
        )
        asked.add(task)
        task.add_done_callback(done)

    def request_stop_of_all(self) -> None:
        """Ask every life to end."""
        for life in self._lives.values():
            life.stopping.set()

    def kill(self, component: str, incarnation: int) -> None:
        """Cancel everything of a life, again and again until it is over."""
        life = self._lives.get(Identity(component, incarnation))
        if life is not None and not life.killed:
            life.killed = True
            life.stopping.set()
            self._insist(life)

    def when_at_rest(self, callback: Callable[[], None]) -> None:
        """Kill what runs and call back once when no life is left."""
        self._at_rest.append(callback)
        for identity in list(self._lives):
            self.kill(*identity)
        self._look_for_rest()

    def left(self) -> dict[str, list[str]]:
        """Return the tasks that are not done of each life that is to end, described for people, by component."""
        stopping = [life for life in self._lives.values() if life.stopping.is_set() or life.ended is not None]
        return {
            life.identity.component: [described(task) for task in life.scope.pending()] for life in stopping
        }

    def raised(self, error: BaseException) -> bool:
        """Whether a task of a component ended with just this exception; that component ends with it."""
        return self._scopes.raised(error)

    def owner_of(self, source: object) -> Identity | None:
        """Return the life that a task belongs to, or nothing."""
        return source.identity if isinstance(source, ComponentTask) else None

    # -- one life --

    def _begin(self, life: Life) -> None:
        self._report(Launched(*life.identity, os.getpid()))
        life.main = self._loop.create_task(self._main(life), name=f"{life.spec.name}")
        life.main.add_done_callback(lambda _task: self._loop.call_soon(self._conclude, life))

    async def _main(self, life: Life) -> None:
        """Run the component. Nothing is handled here but what must not leave a task: that would leave the loop, too."""
        context = RunContext(
            spec=life.spec,
            incarnation=life.identity.incarnation,
            sockets=self._sockets.get(life.spec.name, ()),
            ready=partial(self._started, life),
            stopping=life.stopping,
            scope=life.scope,
        )
        try:
            run = self._loader.get(life.spec)
            await run(context)
        except (SystemExit, KeyboardInterrupt) as error:
            life.death = life.death or Death(told(error), error, vital=True)

    def _started(self, life: Life) -> None:
        if life.identity in self._lives and not life.stopping.is_set():
            self._report(Started(*life.identity))

    def _on_death(self, life: Life, death: Death) -> None:
        """Decide what follows when a task died that nobody waits for."""
        ending = life.death is not None or life.ended is not None
        if ending or (life.spec.on_task_death is TaskDeath.LOG and not death.vital):
            self._capture.say(life.identity, death.what, "ERROR")
            return
        life.death = death
        life.stopping.set()
        if life.main is not None:
            self._loop.call_later(life.spec.stop_grace, life.main.cancel)

    def _conclude(self, life: Life) -> None:
        """The component's own run is over; see that nothing of it stays."""
        life.ended = self._exit_of(life)
        for task in life.asked:
            task.cancel()
        leaked = [task for task in life.scope.pending() if not task.cancelling()]
        if leaked and not life.killed:
            names = ", ".join(described(task) for task in leaked)
            self._capture.say(life.identity, f"left behind, now cancelled: {names}")
        self._insist(life)

    def _exit_of(self, life: Life) -> Exit:
        main = life.main
        cancelled = main is None or main.cancelled()
        error = None if main is None or cancelled else main.exception()
        if life.death is not None:
            ended = of_death(life.death)
        elif error is not None:
            ended = of_error(error)
        elif life.stopping.is_set():
            ended = Exit(ExitKind.RETURNED, "was killed" if life.killed else "stopped")
        elif cancelled:
            ended = of_error(asyncio.CancelledError())
        else:
            ended = Exit(ExitKind.RETURNED, "returned")
        return replace(ended, killed=life.killed)

    def _insist(self, life: Life, waited: float = 0.0) -> None:
        """Cancel what is left of a life until nothing is.

        These are callbacks and not a task, so that no code of the user can cancel them.
        """
        if life.identity not in self._lives:
            return
        left = life.scope.pending()
        if life.ended is not None and not left:
            self._end(life, life.ended)
            return
        if waited == CANCEL_AGAIN:
            names = ", ".join(described(task) for task in left)
            self._capture.say(life.identity, f"still running, ignoring cancellation: {names}", "ERROR")
        if waited >= life.spec.stop_grace and life.ended is not None and self._on_stuck is not None:
            self._on_stuck(life.identity, life.ended)
        for task in left:
            task.cancel()
            task.watch(lambda _task: self._loop.call_soon(self._look_at, life))
        self._loop.call_later(CANCEL_AGAIN, self._insist, life, waited + CANCEL_AGAIN)

    def _look_at(self, life: Life) -> None:
        if life.identity in self._lives and life.ended is not None and not life.scope.pending():
            self._end(life, life.ended)

    def _end(self, life: Life, ended: Exit) -> None:
        self._scopes.close(life.identity)
        del self._lives[life.identity]
        self._capture.end(life.identity)
        self._report(Exited(*life.identity, ended))
        self._look_for_rest()

    def _look_for_rest(self) -> None:
        if not self._lives:
            callbacks, self._at_rest = self._at_rest, []
            for callback in callbacks:
                callback()
