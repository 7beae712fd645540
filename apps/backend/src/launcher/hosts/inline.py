"""Runs components on the main thread of this process, all on one event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from socket import socket
from typing import Any

from launcher.components.blame import place
from launcher.components.context import ContextExecutor
from launcher.components.identity import CURRENT, NOBODY, Identity
from launcher.components.load import Loader
from launcher.components.output import Capture
from launcher.components.stacks import all_stacks, place_of, whose_turn
from launcher.hosts.base import Log, Report
from launcher.hosts.lookout import Lookout
from launcher.hosts.pulse import Left
from launcher.hosts.resource import claim
from launcher.hosts.runner import ComponentRunner
from launcher.hosts.signals import KeptSignals
from launcher.model.answers import Answer
from launcher.model.events import Event, Exited, Started
from launcher.model.spec import ComponentSpec, LauncherSpec
from launcher.model.state import Exit, ExitKind

logger = logging.getLogger(__name__)


class _ImportInterrupted(BaseException):
    """Raised out of an import, so that a stop does not have to wait for it."""


class InlineHost:
    """Runs components in this process; `run` has the main thread, every other method may be called from any thread.

    What cannot be done in one process is not pretended: a component that blocks the loop or ignores cancellation cannot be killed. `kill` cancels
    it and says who is in the way, no ``Exited`` is made up, and the supervisor's total deadline ends the process.

    Args:
        components: what may be launched here; imported before the loop runs, in this order.
        sockets: listening sockets by component; the host uses duplicates.
        fallback: whose output it is when nobody knows.
        on_loop: called once on the loop when it runs.
        on_stuck: see `ComponentRunner`.
    """

    def __init__(
        self,
        spec: LauncherSpec,
        components: Sequence[ComponentSpec],
        sockets: Mapping[str, Sequence[socket]],
        report: Report,
        log: Log,
        *,
        fallback: Identity = NOBODY,
        on_loop: Callable[[asyncio.AbstractEventLoop], None] | None = None,
        on_stuck: Callable[[Identity, Exit], None] | None = None,
    ) -> None:
        self._spec = spec
        self._components = components
        self._sockets = sockets
        self._lookout = Lookout(report, log)
        self._capture = Capture(self._lookout.line, spec.log_level, fallback)
        self._signals = KeptSignals(self._capture.say)
        report = self._lookout.report
        self._report = self._reclaiming(report) if fallback == NOBODY else report
        self._on_loop = on_loop
        self._on_stuck = on_stuck
        self._loader = Loader()
        self._executor = ContextExecutor(thread_name_prefix="component")
        self._runner: ComponentRunner | None = None
        self._importing = False
        self._interrupted = False
        # Guards the fields below: who posts, and when nobody will look any more.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._posted: list[Callable[[], None]] = []
        self._pinged: Future[None] | None = None
        self._shown: Future[None] | None = None
        self._thread = 0
        self._over: Future[None] | None = None
        self._closed = False

    # -- from any thread --

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        """Begin to start an incarnation; before `run` it is kept until the loop runs."""
        self._lookout.expect(spec, incarnation)
        if not self._post(partial(self._launch, spec, incarnation)):
            ended = Exit(ExitKind.UNSTARTABLE, "the host has ended")
            self._report(Exited(spec.name, incarnation, ended))

    def request_stop(self, component: str, incarnation: int) -> None:
        """Ask an incarnation to end."""
        self._post(lambda: self._running().request_stop(component, incarnation))

    def check(self, component: str, incarnation: int, timeout: float) -> Future[Answer]:
        """Have the component's own code say whether it is ready; as long as the loop is blocked there is no answer."""
        answer: Future[Answer] = Future()

        def answered(told: Answer) -> None:
            with suppress(InvalidStateError):  # nobody waits any more
                answer.set_result(told)

        if not self._post(lambda: self._running().check(component, incarnation, timeout, answered)):
            answered(Answer(False, 0.0, "the host has ended"))
        return answer

    def ping(self) -> Future[None]:
        """Return what is done as soon as the loop turns; all who ask meanwhile get the same."""
        with self._lock:
            if self._pinged is None or self._pinged.done():
                pinged: Future[None] = Future()
                self._pinged = pinged
                self._post(partial(_turned, pinged))
            return self._pinged

    def blocking(self) -> str:
        """Return which component keeps the loop from turning, and where: ``worker at jobs.py:7 (run)``; empty when that is not known."""
        where, who = self.standing()
        return f"{who or 'somebody'} at {where}" if where else who

    def show_stacks(self, component: str, incarnation: int) -> None:
        """Write where every thread of this process stands into the log, once for as long as the loop does not turn."""
        with self._lock:
            shown, self._shown = self._shown, self._pinged
        if shown is not None and shown is self._shown:
            return
        loop = self._loop
        blamed = NOBODY if loop is None else whose_turn(loop)
        owner = Identity(component, incarnation) if blamed == NOBODY else blamed
        for line in ("the event loop does not turn; the stack of each thread:", *all_stacks().splitlines()):
            self._capture.say(owner, line, "ERROR")

    def request_stop_of_all(self) -> None:
        """Ask every incarnation to end."""
        self._post(lambda: self._running().request_stop_of_all())

    def kill(self, component: str, incarnation: int) -> None:
        """Cancel all tasks of an incarnation, and again until they end; nothing stronger exists within a process."""
        self._post(lambda: self._running().kill(component, incarnation))

    def end(self) -> None:
        """Kill what runs, and let `run` return when nothing is left."""
        self._post(lambda: self._running().when_at_rest(self._stop_loop))

    def knock(self, answer: Callable[[float, Left], None]) -> bool:
        """Have the loop tell when it has come to this, on the monotonic clock, and what keeps those that stop; false while no loop runs."""
        with self._lock:
            if self._loop is None:
                return False
            self._loop.call_soon_threadsafe(lambda: answer(time.monotonic(), self._running().left()))
            return True

    def standing(self) -> tuple[str, str]:
        """Return the line of the user's own code that keeps the loop, and the component whose task that is.

        Either may be empty: nothing stops the loop's thread meanwhile, and not everything on a loop is a task.
        """
        loop = self._loop
        return ("", "") if loop is None else (place_of(self._thread), whose_turn(loop).component)

    async def close(self) -> None:
        """End what is left and wait until `run` has returned; that is never when a component blocks the loop."""
        self.end()
        with self._lock:
            over = self._over
        if over is not None:
            await asyncio.wrap_future(over)

    def interrupt(self) -> None:
        """Abort the import of modules, if it is going on; to be called on the main thread only, from signal handlers too.

        What was not imported by then is reported as exited when it is launched.
        """
        self._interrupted = True
        if self._importing:
            self._importing = False
            raise _ImportInterrupted

    # -- on the main thread --

    def run(self) -> None:
        """Import all components, then run the loop until `end` or `close`."""
        over: Future[None] = Future()
        self._thread = threading.get_ident()
        with self._lock:
            self._over = over
        loop = new_event_loop()
        try:
            self._capture.install()
            self._settle_in()
            self._signals.keep()
            asyncio.set_event_loop(loop)
            base = self._import_all()
            self._drive(loop, base)
        finally:
            with self._lock:
                self._loop, self._posted = None, []
                self._closed = True
            self._executor.shutdown(
                wait=False, cancel_futures=True
            )  # a thread that does not end is not waited for
            _wind_up(loop)
            self._capture.remove()
            over.set_result(None)

    def _reclaiming(self, report: Report) -> Report:
        """Report, and after a component has started or ended, see that it has not kept the signals that stop the backend."""

        def tell(event: Event) -> None:
            report(event)
            if isinstance(event, (Started, Exited)):
                self._signals.reclaim(Identity(event.component, event.incarnation))

        return tell

    def _settle_in(self) -> None:
        """Make the process what the declaration says: variables, module path, working directory."""
        os.environ.update(self._spec.environment)
        for component in self._components:
            os.environ.update(component.environment)
        if len(self._components) == 1:
            claim(self._spec, self._components[0])
        os.chdir(self._spec.root)
        for directory in reversed(self._spec.pythonpath):
            if directory in sys.path:
                sys.path.remove(directory)
            sys.path.insert(0, directory)

    def _import_all(self) -> Context:
        """Import every component; return the context that this left behind.

        The collector rests meanwhile: it would go through the same new objects again and again, which takes a fifth of the time of large
        imports. Afterwards they are frozen: they live as long as the process.
        """
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._importing = not self._interrupted
            for component in self._components:
                if self._interrupted:
                    break
                self._loader.preload(component)
            self._importing = False
        except _ImportInterrupted:
            CURRENT.set(NOBODY)
        finally:
            gc.freeze()
            if collecting:
                gc.enable()
        return copy_context()

    def _drive(self, loop: asyncio.AbstractEventLoop, base: Context) -> None:
        loop.set_exception_handler(self._on_loop_error)
        loop.set_default_executor(self._executor)
        self._runner = ComponentRunner(
            loop, self._loader, self._capture, self._report, self._sockets, base, self._on_stuck
        )
        if self._on_loop is not None:
            loop.call_soon(self._on_loop, loop)
        with self._lock:
            self._loop = loop
            for command in self._posted:
                loop.call_soon(command)
            self._posted = []
        while True:
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # asyncio lets these out of the loop, which is intact. If a task raised it, that component is ending already.
                if not self._runner.raised(error):
                    self._blame(error)
            else:
                return

    def _post(self, command: Callable[[], None]) -> bool:
        """Have the loop's thread do something, now or when the loop runs; return false when it never will."""
        with self._lock:
            if self._closed:
                return False
            if self._loop is None:
                self._posted.append(command)
            else:
                self._loop.call_soon_threadsafe(command)
            return True

    def _running(self) -> ComponentRunner:
        if self._runner is None:
            raise RuntimeError("commands are done by the loop, which runs only after the runner was made")
        return self._runner

    def _launch(self, spec: ComponentSpec, incarnation: int) -> None:
        if self._interrupted and not self._loader.has(spec):
            ended = Exit(ExitKind.RETURNED, "its import was interrupted")
            self._report(Exited(spec.name, incarnation, ended))
            return
        self._running().launch(spec, incarnation)

    def _stop_loop(self) -> None:
        if self._loop is not None:
            self._loop.stop()

    def _blame(self, error: BaseException) -> None:
        """Say who asked for the end of the process from outside of a task, as far as that can be known."""
        where = place(error)
        self._capture.say(
            _identity_of(error),
            f"ignored {type(error).__name__}{f' raised at {where}' if where else ''}: only a task can end its component",
            "ERROR",
        )

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what the loop complains about under the name of whom it concerns, who is rarely the one running now."""
        source = context.get("task") or context.get("future") or context.get("handle")
        identity = self._running().owner_of(source)
        token = CURRENT.set(identity) if identity is not None else None
        try:
            loop.default_exception_handler(context)
        finally:
            if token is not None:
                CURRENT.reset(token)


def _turned(pinged: Future[None]) -> None:
    with suppress(InvalidStateError):  # nobody waits any more
        pinged.set_result(None)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop loop where uvloop is installed, else one of asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _identity_of(error: BaseException) -> Identity:
    """Return the component whose callback raised this; only asyncio's own loop leaves a trace of that."""
    trace = error.__traceback__
    while trace is not None:
        handle = trace.tb_frame.f_locals.get("self")
        if isinstance(handle, asyncio.Handle):
            context: Context | None = getattr(handle, "_context", None)
            return context.get(CURRENT, NOBODY) if context is not None else NOBODY
        trace = trace.tb_next
    return NOBODY


def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop that no component runs on any more."""
    with suppress(BaseException):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()
