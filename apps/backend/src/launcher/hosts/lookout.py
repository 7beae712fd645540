"""Looks out for the line of output that says that a component is ready."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from launcher.components.identity import Identity
from launcher.model.events import BecameReady, Exited, Started
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import ProbeKind

if TYPE_CHECKING:
    from launcher.hosts.base import Log, Report
    from launcher.model.events import Event
    from launcher.model.spec import ComponentSpec


class Lookout:
    """Stands between a host and those it tells; any thread may pass.

    A component is ready when it has started and the line was seen, in whatever order. Every line since its launch counts, but for what the
    launcher says about it.
    """

    def __init__(self, report: Report, log: Log) -> None:
        self._report = report
        self._log = log
        self._lock = threading.Lock()
        self._patterns: dict[Identity, re.Pattern[str]] = {}
        self._missing: dict[Identity, set[str]] = {}

    def expect(self, spec: ComponentSpec, incarnation: int) -> None:
        """Look out for the line of an incarnation that is about to be launched, if its readiness is told by one."""
        if spec.ready is not None and spec.ready.kind is ProbeKind.LOG:
            identity = Identity(spec.name, incarnation)
            with self._lock:
                self._patterns[identity] = re.compile(spec.ready.target)
                self._missing[identity] = {"start", "line"}

    def line(self, line: LogLine) -> None:
        """Hand a line on, and look at it."""
        self._log(line)
        if not self._patterns or line.stream is Stream.LAUNCHER:
            return
        identity = Identity(line.component, line.incarnation)
        pattern = self._patterns.get(identity)
        if pattern is not None and pattern.search(line.message):
            self._seen(identity, "line")

    def report(self, event: Event) -> None:
        """Hand an event on, and look at it."""
        self._report(event)
        if isinstance(event, Started):
            self._seen(Identity(event.component, event.incarnation), "start")
        elif isinstance(event, Exited):
            self._forget(Identity(event.component, event.incarnation))

    def _seen(self, identity: Identity, what: str) -> None:
        with self._lock:
            missing = self._missing.get(identity)
            if not missing or what not in missing:
                return
            missing.discard(what)
            if what == "line":
                del self._patterns[identity]
            ready = not missing
        if ready:
            self._report(BecameReady(*identity))

    def _forget(self, identity: Identity) -> None:
        with self._lock:
            self._patterns.pop(identity, None)
            self._missing.pop(identity, None)
