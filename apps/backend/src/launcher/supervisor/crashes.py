"""Writes a report of every crash, while what there is to know of it is still at hand."""

from __future__ import annotations

import logging
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.config.secrets import redacted
from launcher.core.crash import crashed
from launcher.core.plan import MAIN
from launcher.hosts.spawn import spent
from launcher.model.logs import clipped
from launcher.model.state import Phase, Role
from launcher.observe import crashes
from launcher.observe.read import Filter, last

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.core.view import View
    from launcher.model.events import Transition
    from launcher.model.logs import LogLine
    from launcher.model.state import Exit
    from launcher.supervisor.journal import Entry

SCHEMA = 1
"""Version of the report; a field may be added under the same number, but none may change its meaning or vanish."""

SEARCHED = 300
"""Latest lines of a component among which those of the incarnation are looked for: another one may write beside it."""

BEFORE = 60.0
"""Seconds of output that are looked at when it is not known when the incarnation began."""

logger = logging.getLogger(__name__)


class CrashReporter:
    """A reader of the journal.

    Args:
        view: the picture of the present, for what a transition does not say.
    """

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._began: dict[tuple[str, int], float] = {}
        self._failing = False

    def on_entry(self, entry: Entry) -> None:
        """Take note of when an incarnation began, and write a report when it ends badly."""
        change = entry.transition
        life = (change.component, change.incarnation)
        if change.exit is None:
            if change.role is Role.SUCCESSOR or change.after is Phase.STARTING:
                self._began.setdefault(life, change.at)
            return
        began = self._began.pop(life, None)
        if not crashed(change):
            return
        document = self._document(entry, None if began is None else change.at - began)
        try:
            crashes.write(crashes.crash_dir(self._view().plan.spec.run_dir), document)
        except OSError as error:
            if not self._failing:
                logger.warning("cannot write a crash report: %s", error.strerror or error)
            self._failing = True
        else:
            self._failing = False

    def _document(self, entry: Entry, uptime: float | None) -> dict[str, Any]:
        change = entry.transition
        view = self._view()
        state = view.fleet.components.get(change.component)
        inside = view.plan.placement.get(change.component) == MAIN
        ended = change.exit
        assert ended is not None  # noqa: S101 (or it is no crash)
        lines = _last_lines(
            view.plan.spec.log_dir, change, entry.time - (BEFORE if uptime is None else uptime)
        )
        return {
            "schema": SCHEMA,
            "component": change.component,
            "incarnation": change.incarnation,
            "time": datetime.fromtimestamp(entry.time, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "pid": change.pid,
            "placement": "main" if inside else "process",
            "role": str(change.role),
            "before": str(change.before),
            "after": str(change.after),
            "reason": redacted(change.reason),
            "exit": {
                "kind": str(ended.kind),
                "message": redacted(ended.message),
                "hint": redacted(ended.hint),
                "code": ended.code,
                "signal": ended.signal,
                "killed": ended.killed,
            },
            "uptime": None if uptime is None else round(max(0.0, uptime), 3),
            "restarts": 0 if state is None else state.total_restarts,
            "resources": _resources(ended, inside=inside),
            "traceback": redacted(ended.traceback),
            "lines": [_line(line) for line in lines],
        }


def _resources(ended: Exit, *, inside: bool) -> dict[str, Any] | None:
    """Return what was used by the incarnation's own process, or by the process that it shared; nothing when that is not known."""
    used = ended.spent
    if used is None:
        if not inside:
            return None
        used = spent(resource.getrusage(resource.RUSAGE_SELF))
    return {
        "of": "launcher" if ended.spent is None else "process",
        "user_seconds": round(used.user, 3),
        "system_seconds": round(used.system, 3),
        "peak_memory_bytes": used.peak_memory,
        "minor_faults": used.minor_faults,
        "major_faults": used.major_faults,
    }


def _last_lines(log_dir: str, change: Transition, since: float) -> list[LogLine]:
    found = last(Path(log_dir), [change.component], SEARCHED, Filter(since=since)).lines
    return [line for line in found if line.incarnation == change.incarnation][-crashes.LINES :]


def _line(line: LogLine) -> dict[str, Any]:
    told = {"time": round(line.time, 6), "stream": str(line.stream), "level": line.level}
    return {**told, "message": redacted(clipped(line.message, crashes.LONGEST_LINE))}
