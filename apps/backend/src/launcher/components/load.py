"""From a declaration to something that runs: the import is done before, and apart from, the running."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from launcher.components.context import RunContext
from launcher.components.identity import CURRENT, Identity
from launcher.components.question import Question
from launcher.components.resolve import ResolveError, resolve
from launcher.model.spec import ComponentSpec, Kind, ProbeKind

Run = Callable[[RunContext], Awaitable[None]]
"""Runs one life; returns when it is over, raises what it failed with."""


def load(spec: ComponentSpec) -> Run:
    """Import what a component names and return how to run it; nothing of it runs yet but its import.

    Raises:
        ResolveError: it cannot be had, or is not what its kind needs.
    """
    found = resolve(spec.target)
    match spec.kind:
        case Kind.ASGI:
            from launcher.components import asgi

            asgi.warm_up()
            app = found if spec.factory else asgi.require_asgi(spec.target, found)
            return lambda context: asgi.serve(context, spec.target, app)
        case Kind.AGENT:
            from launcher.components import agent

            checked = agent.require_agent(spec.target, found, factory=spec.factory)
            return lambda context: agent.run(context, spec.target, checked)
        case Kind.AGENTS:
            from launcher.components import agents

            make = agents.require_launcher(spec.target, found)
            return lambda context: agents.run(context, spec.target, make)
        case Kind.COMMAND:
            raise ResolveError(f"{spec.name} is a command, which runs as a process of its own")


class Loader:
    """Imports components ahead of their first launch, and again after a failure: the user may have mended it."""

    def __init__(self) -> None:
        self._ready: dict[str, Run | ResolveError] = {}
        self._questions: dict[str, Question] = {}

    def preload(self, spec: ComponentSpec) -> None:
        """Import a component; a failure is kept for its launch."""
        with _named(spec.name), _loggers_kept():
            try:
                self._ready[spec.name] = self._load(spec)
            except ResolveError as error:
                self._ready[spec.name] = error

    def has(self, spec: ComponentSpec) -> bool:
        """Whether the import of a component was tried ahead."""
        return spec.name in self._ready

    def get(self, spec: ComponentSpec) -> Run:
        """Return how to run a component.

        Raises:
            ResolveError: it cannot be imported. The next call tries again.
        """
        found = self._ready.get(spec.name)
        if found is None or (isinstance(found, ResolveError) and _wants_loop(found)):
            importlib.invalidate_caches()
            found = self._ready[spec.name] = self._load(spec)
        if isinstance(found, ResolveError):
            del self._ready[spec.name]
            raise found
        return found

    def question(self, spec: ComponentSpec) -> Question | None:
        """Return what answers whether a component is ready, if its own code does; it was imported together with the component."""
        return self._questions.get(spec.name)

    def _load(self, spec: ComponentSpec) -> Run:
        run = load(spec)
        if spec.ready is not None and spec.ready.kind is ProbeKind.CALL:
            self._questions[spec.name] = Question(spec.ready.target)
        return run


@contextmanager
def _named(component: str) -> Iterator[None]:
    """Attribute what an import prints, without hiding context variables that it sets."""
    token = CURRENT.set(Identity(component, 1))
    try:
        yield
    finally:
        CURRENT.reset(token)


@contextmanager
def _loggers_kept() -> Iterator[None]:
    """Keep one component from silencing the others: ``dictConfig`` disables every logger that exists, unless told otherwise."""
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    enabled = [logger for logger in known if not logger.disabled]
    try:
        yield
    finally:
        for logger in enabled:
            logger.disabled = False


def _wants_loop(error: ResolveError) -> bool:
    """Whether a module needs a running loop to be imported, as it has under ``uvicorn module:app``."""
    return "no running event loop" in error.message
