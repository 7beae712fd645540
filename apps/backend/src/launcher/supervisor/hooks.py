"""Tells hooks of transitions, each on a thread of its own: whoever is told, and however slowly, the supervisor does not wait."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from launcher.config.secrets import destination, redacted
from launcher.core.hooks import Moment, notification, pause, variables, wanted
from launcher.hosts.spawn import environment_for
from launcher.supervisor.deliver import Invocation, Post, RunCommand, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from launcher.model.spec import HookSpec, LauncherSpec
    from launcher.supervisor.deliver import Attempt
    from launcher.supervisor.journal import Entry

WAITING = 100
"""Notifications that may wait for one hook; when there are more, the oldest are dropped, and counted."""

LAST = 2.0
"""Seconds that notifications which still wait are given at the end of the launcher."""


class Hooks:
    """A reader of the journal.

    Args:
        spec: what is declared.
        say: takes a message for the log of the launcher, and its level.
    """

    def __init__(self, spec: LauncherSpec, say: Callable[[str, str], None]) -> None:
        self._project = spec.name
        self._hooks = [_Hook(hook, spec, say) for hook in spec.hooks]

    def on_entry(self, entry: Entry) -> None:
        """Have everybody told who wants to know; does not wait for anything."""
        moment = Moment(
            entry.seq,
            datetime.fromtimestamp(entry.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        for hook in self._hooks:
            if wanted(hook.spec, entry.transition):
                hook.put(notification(hook.spec, self._project, moment, entry.transition, redacted))

    def close(self, patience: float = LAST) -> None:
        """Give what still waits one attempt each and a short time together; then end. Blocks no longer than ``patience`` seconds."""
        deadline = time.monotonic() + patience
        for hook in self._hooks:
            hook.no_more()
        for hook in self._hooks:
            hook.end(deadline)


class _Hook:
    """One hook: what waits for it, the thread that tells it, and whether it works."""

    def __init__(self, spec: HookSpec, launcher: LauncherSpec, say: Callable[[str, str], None]) -> None:
        self.spec = spec
        self._launcher = launcher
        self._say = say
        self._changed = threading.Condition()
        self._waiting: deque[dict[str, Any]] = deque()
        self._thread: threading.Thread | None = None
        self._attempt: Attempt | None = None
        self._closing = False
        self._over = False
        self._failing = False
        self._full = False
        self._lost = 0

    # -- on the supervisor's loop --

    def put(self, document: dict[str, Any]) -> None:
        """Have a notification told when its turn comes."""
        with self._changed:
            if self._closing:
                return
            overflow = len(self._waiting) >= WAITING
            if overflow:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(document)
            self._changed.notify()
            first, self._full = overflow and not self._full, self._full or overflow
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"hook {self.spec.name}", daemon=True)
                self._thread.start()
        if first:
            self._say(
                f"hook {self.spec.name} is too slow: {WAITING} notifications wait, older ones are dropped",
                "WARNING",
            )

    def no_more(self) -> None:
        """Take no further notifications, and make no further attempts of those there are."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def end(self, deadline: float) -> None:
        """Wait until everything was told, or for a moment of the monotonic clock; then give up what is left."""
        if self._thread is None:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._over = True
            attempt, left = self._attempt, len(self._waiting) + (self._attempt is not None)
            self._waiting.clear()
        if attempt is not None:
            attempt.cancel()
        if left:
            self._say(
                f"hook {self.spec.name} was not told in time; notifications lost at the end: {left}",
                "WARNING",
            )

    # -- on its own thread --

    def _run(self) -> None:
        while (document := self._next()) is not None:
            trouble = self._told(document)
            if self._over:
                return
            if trouble is None:
                self._works()
            else:
                self._fails(trouble)

    def _next(self) -> dict[str, Any] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.popleft() if self._waiting else None

    def _told(self, document: dict[str, Any]) -> Trouble | None:
        """Try until it works or there is no sense in it; return why the last attempt failed."""
        number = 1
        while True:
            attempt = self._new_attempt(document)
            with self._changed:
                if self._over:
                    return Trouble("the launcher has ended")
                self._attempt = attempt
            trouble = _made(attempt, self.spec.timeout)
            with self._changed:
                self._attempt = None
                last = trouble is None or not trouble.again or number >= self.spec.attempts
                if last or self._changed.wait_for(lambda: self._closing, pause(number)):
                    return trouble
            number += 1

    def _new_attempt(self, document: dict[str, Any]) -> Attempt:
        data = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")
        if self.spec.url:
            return Post(self.spec.url, data)
        environment = environment_for(self._launcher.environment, variables(document))
        return RunCommand(Invocation(self.spec.command, environment, self._launcher.root), data)

    def _works(self) -> None:
        with self._changed:
            if not (self._failing or (self._full and not self._waiting)):
                return
            self._failing = self._full = False
            lost, self._lost = self._lost, 0
        self._say(f"hook {self.spec.name} works again; notifications lost: {lost}", "INFO")

    def _fails(self, trouble: Trouble) -> None:
        with self._changed:
            self._lost += 1
            first, self._failing = not self._failing, True
        if first:
            where = destination(self.spec.url) if self.spec.url else self.spec.command[0]
            message = f"hook {self.spec.name} ({where}) failed: {redacted(trouble.reason)}"
            self._say(f"{message}; that is not said again until it works", "WARNING")


def _made(attempt: Attempt, timeout: float) -> Trouble | None:
    """Make an attempt; nothing that goes wrong in it, whatever it is, ends the thread that makes the next one."""
    try:
        return attempt.make(timeout)
    except Exception as error:  # noqa: BLE001 (said where others look for it)
        return Trouble(f"{type(error).__name__}: {error}")
