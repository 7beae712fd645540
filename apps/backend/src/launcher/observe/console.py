"""What ``launcher up`` shows: how the start goes, one summary, the lines of the components, and how the stop goes.

Lines of components go to standard output, everything that the launcher says to standard error. The console only reads: it is told of
transitions and lines, and shown a view from time to time.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from launcher.core.crash import crashed
from launcher.core.replicas import declared_name
from launcher.model.logs import LogLine, Stream
from launcher.model.state import Desired, Phase, Role
from launcher.observe.logs import UNATTRIBUTED
from launcher.observe.places import address, log_path, relative
from launcher.observe.shown import shown
from launcher.observe.stopping import Patience
from launcher.observe.summary import summary
from launcher.observe.terminal import Terminal
from launcher.observe.text import PALETTE, coloured, duration, pad, safe, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.core.plan import Plan
    from launcher.core.view import View
    from launcher.model.effects import Finish
    from launcher.model.events import Transition
    from launcher.model.spec import ComponentSpec

TAIL = 8
"""Lines of output shown with a failure."""

STILL_WAITING = 10.0
"""Seconds between two lines about what is still being waited for, where no line can be redrawn."""

LOUD = frozenset({"ERROR", "CRITICAL"})
"""Levels that are shown even of components that are kept off the console."""

LEVEL_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}

MARKS = {
    Phase.READY: ("✓", "32"),
    Phase.COMPLETED: ("✓", "32"),
    Phase.UNREADY: ("!", "33"),
    Phase.BACKOFF: ("!", "33"),
    Phase.WAITING: ("!", "33"),
    Phase.FAILED: ("✗", "31"),
    Phase.STOPPED: ("■", ""),
    Phase.STARTING: ("·", ""),
}


class Entry(Protocol):
    """One transition in the journal."""

    @property
    def transition(self) -> Transition:
        """What changed."""
        ...


class Screen(Protocol):
    """Where the console writes; ``Terminal`` in real life."""

    @property
    def redraws(self) -> bool:
        """Whether the last line can be drawn again."""
        ...

    def write(self, text: str, *, error: bool = False, droppable: bool = False) -> None:
        """Write whole lines."""
        ...

    def status(self, text: str) -> None:
        """Show a last line."""
        ...

    def close(self, timeout: float = 1.0) -> None:
        """Write what is left."""
        ...


@dataclass(slots=True)
class _Seen:
    """What the console remembers of one component."""

    spec: ComponentSpec
    colour: str
    incarnation: int = 0
    started_at: float | None = None
    stopping_at: float | None = None
    tail: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=TAIL))


class Console:
    """Renders one run; every method may be called from any thread, and none raises or blocks."""

    def __init__(
        self,
        plan: Plan,
        *,
        color: bool = False,
        quiet: bool = False,
        notes: Sequence[str] = (),
        screen: Screen | None = None,
    ) -> None:
        """Show the notes and get ready.

        Args:
            plan: with every port known.
            color: use colour.
            quiet: leave out the lines of components and the progress; failures and the summary stay.
            notes: said once, before the start.
            screen: where to write; standard output and standard error by default.
        """
        self._plan = plan
        self._color = color
        self._quiet = quiet
        self._screen = screen if screen is not None else Terminal()
        # Reentrant: the collector may run while it is held, and what it collects may print or log, which comes here again.
        self._lock = threading.RLock()
        self._seen = {
            name: _Seen(spec, PALETTE[index % len(PALETTE)])
            for index, (name, spec) in enumerate(plan.components.items())
        }
        self._width = max((width(name) for name in (*self._seen, UNATTRIBUTED)), default=0)
        self._address_width = max((width(address(spec)) for spec in plan.components.values()), default=0)
        self._summarised = False
        self._stop_said: float | None = None
        self._last_wait = 0.0
        self._patience = Patience()
        for note in notes:
            self._say(f"note: {note}")

    # -- what the console is told --

    def on_entry(self, entry: Entry) -> None:
        """Take note of a transition and show it if it matters to people."""
        with contextlib.suppress(Exception), self._lock:
            change = entry.transition
            seen = self._seen_of(change.component)
            if change.role is not Role.CURRENT:
                self._show_beside(seen, change)
            elif change.after is not change.before or change.incarnation != seen.incarnation:
                self._show_change(seen, change)
            if change.role is Role.CURRENT:
                seen.incarnation = change.incarnation

    def on_line(self, line: LogLine) -> None:
        """Show a line of a component, unless the component is kept off the console and the line is not an error."""
        with contextlib.suppress(Exception), self._lock:
            seen = self._seen.get(line.component)
            if line.stream is not Stream.LAUNCHER and seen is not None:
                seen.tail.append((line.incarnation, line.message))
            if self._quiet or line.stream is Stream.LAUNCHER:
                return
            if seen is not None and not seen.spec.console and line.level not in LOUD:
                return
            self._screen.write(self._prefixed(line, seen), droppable=True)

    def tick(self, view: View) -> None:
        """Show what takes long, and the summary once the start is over."""
        with contextlib.suppress(Exception), self._lock:
            if view.fleet.draining:
                self._show_draining(view)
            elif view.fleet.settled:
                self._screen.status("")
                self._summarise(view)
            else:
                self._show_starting(view)
            if slow := self._patience.remind(view):
                self._say(f"still waiting for: {', '.join(slow)}")

    def finished(self, view: View, finish: Finish) -> None:
        """Say how it ended, write what is left and stop."""
        with contextlib.suppress(Exception), self._lock:
            self._screen.status("")
            killed = [
                name
                for name, state in view.fleet.components.items()
                if self._stop_said is not None and state.last_exit is not None and state.last_exit.killed
            ]
            took = "" if self._stop_said is None else f" after {duration(view.now - self._stop_said)}"
            ending = f"{self._plan.spec.name} has stopped{took}"
            if finish.reason and finish.exit_code:
                ending += f": {finish.reason}"
            if killed:
                ending += f" (had to be killed: {', '.join(killed)})"
            self._say(ending)
        with contextlib.suppress(Exception):
            self._screen.close()

    # -- transitions --

    def _seen_of(self, name: str) -> _Seen:
        """Return what is remembered of a component; a replica that has come since the start is like the first one."""
        if name not in self._seen:
            first = self._seen[declared_name(name, self._seen)]
            self._seen[name] = _Seen(first.spec, PALETTE[len(self._seen) % len(PALETTE)])
            self._width = max(self._width, width(name))
        return self._seen[name]

    def _show_change(self, seen: _Seen, change: Transition) -> None:
        match change.after:
            case Phase.STARTING if change.exit is not None:
                self._mark(change, f"{self._why(change)}; its successor is starting already")
                self._hint(change)
            case Phase.STARTING:
                self._show_start(seen, change)
            case Phase.READY | Phase.COMPLETED:
                self._show_success(seen, change)
            case Phase.UNREADY:
                self._mark(change, f"is not ready any more: {change.reason}")
            case Phase.BACKOFF | Phase.WAITING:
                self._show_another_try(change)
            case Phase.STOPPING:
                seen.stopping_at = change.at
                if change.desired is Desired.UP:
                    self._mark(change, f"is being stopped: {change.reason}")
            case Phase.STOPPED:
                self._show_stopped(seen, change)
            case Phase.FAILED:
                self._show_failure(seen, change)

    def _show_start(self, seen: _Seen, change: Transition) -> None:
        seen.started_at = change.at
        if not self._quiet and not self._screen.redraws:
            again = f" again (incarnation {change.incarnation})" if change.incarnation > 1 else ""
            self._mark(change, f"is starting{again}")

    def _show_beside(self, seen: _Seen, change: Transition) -> None:
        """Tell of a successor, and of a life that did not end when it was asked to."""
        if change.role is Role.RETIRING:
            if change.exit is not None and change.exit.killed:
                self._say_mark("!", "33", change, f"incarnation {change.incarnation} had to be killed")
        elif change.exit is not None:
            self._say_mark("✗", "31", change, f"the restart failed: {change.reason}; it goes on as it was")
            self._hint(change)
            self._show_tail(seen, change)
        else:
            seen.started_at = change.at
            if not self._quiet and not self._screen.redraws:
                text = f"is being restarted: incarnation {change.incarnation} is starting"
                self._say_mark("·", "", change, text)

    def _show_another_try(self, change: Transition) -> None:
        """An incarnation ended and another one follows; that somebody asked for it needs no word."""
        if change.exit is not None and change.before is not Phase.STOPPING:
            self._mark(change, f"{self._why(change)}; it is started again")
            self._hint(change)

    def _show_stopped(self, seen: _Seen, change: Transition) -> None:
        if self._quiet or change.before is not Phase.STOPPING:
            return
        took = "" if seen.stopping_at is None else f" after {duration(change.at - seen.stopping_at)}"
        killed = " (killed)" if change.exit is not None and change.exit.killed else ""
        self._mark(change, f"stopped{took}{killed}")

    def _show_success(self, seen: _Seen, change: Transition) -> None:
        if self._quiet:
            return
        word = "is ready again" if change.before is Phase.UNREADY else str(change.after)
        took = (
            ""
            if seen.started_at is None or change.before is Phase.UNREADY
            else duration(change.at - seen.started_at)
        )
        how = pad(f"{word} {took}".rstrip(), len("completed 1.0 s"))
        url = address(seen.spec)
        where = f"{pad(url, self._address_width)}  " if url else ""
        log = coloured(f"log {self._log_path(change.component)}", "2" if self._color else "")
        self._mark(change, f"{how}  {where}{log}")

    def _show_failure(self, seen: _Seen, change: Transition) -> None:
        self._mark(change, f"failed: {change.reason or self._why(change)}")
        self._hint(change)
        self._show_tail(seen, change)

    def _show_tail(self, seen: _Seen, change: Transition) -> None:
        """Show the last lines, and of a successor only its own: the one that it was to replace writes on."""
        for incarnation, text in seen.tail:
            if change.role is Role.SUCCESSOR and incarnation != change.incarnation:
                continue
            self._say(f"    | {safe(text, color=self._color)}")
        report = f", report: launcher crash {change.component}" if crashed(change) else ""
        self._say(f"    log: {self._log_path(change.component)}{report}")

    def _why(self, change: Transition) -> str:
        return change.reason or (change.exit.message if change.exit is not None else "") or "ended"

    def _hint(self, change: Transition) -> None:
        if change.exit is not None and change.exit.hint:
            self._say(f"    hint: {change.exit.hint}")

    # -- progress --

    def _show_starting(self, view: View) -> None:
        busy = [
            f"{name} {duration(view.now - state.since)}"
            for name, state in view.fleet.components.items()
            if state.phase in (Phase.STARTING, Phase.BACKOFF) and state.desired is Desired.UP
        ]
        outside = {
            wait.name: f"{wait.name} {duration(view.now - wait.since)}"
            for name in view.fleet.components
            for wait in view.waits_for(name)
            if wait.name in view.fleet.dependencies
        }
        waiting = [*outside.values(), *busy]
        if self._quiet or not waiting:
            self._screen.status("")
        elif self._screen.redraws:
            self._screen.status("waiting for " + " · ".join(waiting))
        else:
            since_start = view.wall - view.started_at
            if since_start - self._last_wait >= STILL_WAITING:
                self._last_wait = since_start
                self._say(f"still waiting for: {', '.join(waiting)}")

    def _show_draining(self, view: View) -> None:
        if self._stop_said is None:
            self._stop_said = view.now
            # A terminal shows a typed Ctrl-C as ^C; what follows is to begin at the left.
            begin = "\r\x1b[K" if self._screen.redraws else ""
            self._say(f"{begin}stopping {self._plan.spec.name}: {view.fleet.drain_reason}")
        stopping = ", ".join(view.stopping())
        self._screen.status(f"stopping: {stopping}" if stopping and not self._quiet else "")

    # -- the summary --

    def _summarise(self, view: View) -> None:
        if self._summarised:
            return
        self._summarised = True
        spec = self._plan.spec
        failed = [name for name, state in view.fleet.components.items() if state.phase is Phase.FAILED]
        took = duration(view.wall - view.started_at)
        state = (
            f"is up after {took}"
            if not failed
            else f"is up in part after {took}; failed: {', '.join(failed)}"
        )
        self._say("")
        self._say(coloured(f"{spec.name} {state}", "1" if self._color else ""))
        rows = summary(self._plan)
        columns = max(width(name) for name, _ in rows)
        for name, value in rows:
            self._say(f"  {pad(name, columns)}  {value}")

    # -- writing --

    def _mark(self, change: Transition, text: str) -> None:
        self._say_mark(*MARKS.get(change.after, ("·", "")), change, text)

    def _say_mark(self, mark: str, code: str, change: Transition, text: str) -> None:
        shown = coloured(mark, code if self._color else "")
        self._say(f"{shown} {pad(change.component, self._width)}  {safe(text, color=self._color)}")

    def _say(self, text: str) -> None:
        self._screen.write(f"{text}\n", error=True)

    def _log_path(self, component: str) -> str:
        return relative(log_path(self._plan.spec.log_dir, component))

    def _prefixed(self, line: LogLine, seen: _Seen | None) -> str:
        name = pad(line.component or UNATTRIBUTED, self._width)
        colour = (seen.colour if seen is not None else "2") if self._color else ""
        front = f"  {coloured(f'{name} |', colour)}"  # below the names that have a mark before them
        level = (
            f"{coloured(line.level, LEVEL_COLOURS.get(line.level, '') if self._color else '')} "
            if line.level
            else ""
        )
        first, *others = (safe(part, color=self._color) for part in shown(line))
        return "\n".join([f"{front} {level}{first}", *(f"{front} {other}" for other in others)]) + "\n"
