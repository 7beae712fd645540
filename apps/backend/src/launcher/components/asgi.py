"""An ASGI application on a uvicorn server that shares its process with others.

Requests are answered exactly as ``uvicorn module:app`` answers them. What differs is what a shared process needs: signals stay with the
launcher, a failed start is an exception and not the end of the process, nothing wakes up while nothing happens, and a stop loses no request
that was accepted (`drain`).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from typing import Any

from uvicorn import Config, Server
from uvicorn.server import ServerState

from launcher.components.accept import Acceptor, duplicate
from launcher.components.blame import told
from launcher.components.context import RunContext
from launcher.components.drain import App, Drain, Message, Receive, Send
from launcher.components.identity import IN_REQUEST
from launcher.components.resolve import ResolveError, accepts, called, kind_of
from launcher.model.spec import TaskDeath

DRAIN_SHARE = 0.7
"""Part of ``stop_grace`` in which accepted requests are answered; the rest is for the lifespan's shutdown."""

PROBE_AGENT = b"launcher-probe/1.0"
"""``User-Agent`` of the launcher's own readiness checks."""

CANCEL_GRACE = 1.0
"""Seconds in which requests that were cancelled after that time may end, before the lifespan takes away what they work with."""

logger = logging.getLogger("uvicorn.error")


class LifespanError(Exception):
    """The application said that its startup or shutdown failed, without an exception we could see."""


def warm_up() -> None:
    """Import what uvicorn would import with its first server, so that it happens while other imports do."""
    for module in ("uvicorn.lifespan.on", "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto"):
        importlib.import_module(module)


def require_asgi(target: str, app: object) -> App:
    """Return ``app`` if it can be called as an ASGI application.

    Raises:
        ResolveError: it cannot.
    """
    if callable(app):
        if accepts(app, 3) or (accepts(app, 1) and not accepts(app, 0)):  # ASGI 3; the older double callable
            return app
        if accepts(app, 0):
            raise ResolveError(
                f"{target} is not an ASGI application but {kind_of(app)} without arguments",
                hint="if it returns the application, set `factory = true`",
            )
    raise ResolveError(
        f"{target} is not an ASGI application but {kind_of(app)}",
        hint="name the application object, such as the FastAPI() instance",
    )


async def serve(context: RunContext, target: str, app: object) -> None:
    """Serve an application on the sockets of the context until it is asked to stop.

    Raises:
        ResolveError: a factory returned something else than an application.
        LifespanError: startup or shutdown failed without an exception. Exceptions of the lifespan are raised themselves.
    """
    if not context.sockets:
        raise ResolveError(f"{context.spec.name} has no port", hint="set `port`")
    if context.spec.factory:
        app = called(target, app)
    lifespan = _Lifespan(context)
    server = _ComponentServer(_configured(context, require_asgi(target, app)), context, lifespan)
    listeners = [duplicate(listener) for listener in context.sockets]
    try:
        await server.live(listeners)
    except LifespanError:
        lifespan.conclude()
        raise
    finally:
        server.abort(listeners)
    lifespan.conclude()


def _configured(context: RunContext, app: App) -> Config:
    spec = context.spec
    config = Config(
        app,
        loop="none",
        log_config=None,
        workers=1,
        root_path=spec.root_path,
    )
    config.load()
    if not spec.access_log:
        config.http_protocol_class = _without_access_log(config.http_protocol_class)
    return config


def _without_access_log(protocol: Any) -> Any:
    """Return the protocol with its access log off; uvicorn's own switch silences every server of the process."""

    class Quiet(protocol):  # type: ignore[misc]  # the base is chosen at run time
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.access_log = False

    return Quiet


class _Lifespan:
    """What becomes of the application's lifespan, seen from outside of uvicorn, which only keeps a flag."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._error: BaseException | None = None
        self._failed = ""
        self._started = False
        self._task: asyncio.Task[Any] | None = None

    async def observe(self, app: App, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application's lifespan."""
        self._task = asyncio.current_task()

        async def observed(message: Message) -> None:
            kind = message["type"]
            self._started = self._started or kind == "lifespan.startup.complete"
            if kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
                what = "startup" if "startup" in kind else "shutdown"
                said = str(message.get("message") or "").strip()
                self._failed = f"lifespan {what} failed" + (f": {said.splitlines()[-1]}" if said else "")
            await send(message)

        try:
            await app(scope, receive, observed)
        except BaseException as error:
            self._note(error)
            raise

    def _note(self, error: BaseException) -> None:
        """Keep an error; one that comes while the application serves ends or worries the component."""
        if isinstance(error, asyncio.CancelledError) and not self._failed:
            return
        if not self._started and not self._failed:
            return  # the protocol is not supported, which is no error
        self._error = error
        if self._started and not self._context.stopping.is_set():
            self._context.scope.died(f"the lifespan ended: {told(error)}", error)
            if self._context.spec.on_task_death is TaskDeath.LOG:
                self._error = None

    def conclude(self) -> None:
        """Raise what the lifespan failed with, if it did."""
        if self._error is not None:
            raise self._error
        if self._failed:
            raise LifespanError(self._failed)

    async def abandon(self) -> None:
        """Cancel a startup that nobody waits for any more."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


class _Doorway:
    """The outermost application: watches the lifespan, marks requests, and lets the drain answer them."""

    def __init__(self, app: App, lifespan: _Lifespan, drain: Drain) -> None:
        self._app = app
        self._lifespan = lifespan
        self._drain = drain

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._lifespan.observe(self._app, scope, receive, send)
            return
        IN_REQUEST.set(True)
        if kind != "http":
            await self._app(scope, receive, send)
            return
        if _is_probe(scope):
            # `send` is a method of uvicorn's cycle of one request and response. Nobody wants a line for each of our own questions.
            send.__self__.access_log = False  # type: ignore[attr-defined]
        await self._drain.answer(self._app, scope, receive, send)


def _is_probe(scope: Any) -> bool:
    """Whether the launcher itself asks, to learn whether the application is ready."""
    return any(name == b"user-agent" and value == PROBE_AGENT for name, value in scope["headers"])


class _DatedState(ServerState):
    """Makes the ``date`` header when it is asked for, at most once per second, instead of by a timer."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._second = -1
        self._headers: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of every response, as uvicorn's own tick makes them."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            date = [(b"date", formatdate(now, usegmt=True).encode())] if self._config.date_header else []
            self._headers = date + self._config.encoded_headers
        return self._headers

    @default_headers.setter
    def default_headers(self, _headers: list[tuple[bytes, bytes]]) -> None:
        """Uvicorn clears them once, before anything was sent."""


class _ComponentServer(Server):
    """A uvicorn server that leaves the process alone."""

    def __init__(self, config: Config, context: RunContext, lifespan: _Lifespan) -> None:
        super().__init__(config)
        self.server_state = _DatedState(config)
        self._context = context
        self._observed = lifespan
        self._drain = Drain(self.server_state.connections)
        self._acceptor: Acceptor | None = None
        config.loaded_app = _Doorway(config.loaded_app, lifespan, self._drain)
        config.http_protocol_class = self._drain.watched(config.http_protocol_class)
        if config.ws_protocol_class is not None:
            config.ws_protocol_class = self._drain.watched(config.ws_protocol_class)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the launcher."""
        yield

    async def live(self, listeners: Sequence[socket.socket]) -> None:
        """Start, serve, and stop in order when asked to; a stop during the start gives the start up."""
        serving = asyncio.ensure_future(self.serve(list(listeners)))
        asked = asyncio.ensure_future(self._context.stopping.wait())
        try:
            await asyncio.wait((serving, asked), return_when=asyncio.FIRST_COMPLETED)
            if not self.started and not serving.done():
                serving.cancel()
                await self._observed.abandon()
            with (
                contextlib.suppress(asyncio.CancelledError) if not self.started else contextlib.nullcontext()
            ):
                await serving
        finally:
            asked.cancel()
            serving.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the lifespan's startup and accept; uvicorn leaves with SystemExit when that fails."""
        try:
            await super().startup(sockets=[])
        except SystemExit:
            # Not what the lifespan raised: this runs in a task of its own, and a SystemExit would leave it through the loop.
            raise LifespanError("the application could not be started") from None
        self._acceptor = Acceptor(sockets or (), self._protocol)
        self._acceptor.open()

    def _protocol(self) -> asyncio.Protocol:
        """Make the protocol of a new connection, as uvicorn's own startup does."""
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def main_loop(self) -> None:
        """Wait for the request to stop; stock uvicorn looks ten times a second."""
        self._context.ready()
        await self._context.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Stop accepting, answer what was accepted, then end the lifespan."""
        logger.info("Shutting down")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._context.spec.stop_grace * DRAIN_SHARE
        if self._acceptor is not None:
            await self._acceptor.close()
        await self._drain.run(deadline)
        await self._finish_tasks(deadline - loop.time())
        await self.lifespan.shutdown()
        await self._drain.settle()

    async def _finish_tasks(self, grace: float) -> None:
        """Wait for requests, and for what they do after their response; cancel them when the time is over."""
        tasks = self.server_state.tasks
        if tasks:
            await asyncio.wait(tasks, timeout=max(grace, 0.0))
        if tasks:
            logger.error("cancelled %d requests: not finished within 70 %% of stop_grace", len(tasks))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_GRACE)

    def abort(self, listeners: Sequence[socket.socket]) -> None:
        """Let go of every listener and connection, whatever state they are in."""
        if self._acceptor is not None:
            self._acceptor.stop()
        for listener in listeners:
            listener.close()
        self._drain.abort()
