"""Who is told of a transition, and what."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.model.state import Phase, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.model.events import Transition
    from launcher.model.spec import HookSpec

SCHEMA = 1
"""Version of the document; a field may be added under the same number, but none may change its meaning or vanish."""

FIRST_PAUSE = 1.0
"""Seconds between the first attempt and the second; doubled with each further one."""

LONGEST_PAUSE = 30.0
"""Longest pause between two attempts, in seconds."""


class Moment(NamedTuple):
    """When something happened: its number in the journal, and wall clock as text (ISO 8601, UTC)."""

    seq: int
    time: str


def wanted(hook: HookSpec, change: Transition) -> bool:
    """Whether a hook is to be told: the component enters one of its phases.

    A successor that takes over is a component that becomes ready, although it never was anything else.
    """
    begins = change.before is not change.after or change.after is Phase.READY
    return (
        change.role is Role.CURRENT and begins and change.after in hook.on and _meant(hook, change.component)
    )


def _meant(hook: HookSpec, component: str) -> bool:
    return not hook.components or any(
        component == text or component.startswith(f"{text}.") or fnmatchcase(component, text)
        for text in hook.components
    )


def pause(attempt: int) -> float:
    """Return the seconds to wait after an attempt that failed, the first being 1."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)))


def notification(
    hook: HookSpec, project: str, moment: Moment, change: Transition, redacted: Callable[[str], str]
) -> dict[str, Any]:
    """Return what is told, as JSON knows it.

    Args:
        hook: who is told.
        project: name of the project.
        moment: when it happened.
        change: what happened.
        redacted: takes passwords out of a text.
    """
    ended = change.exit
    reason = redacted(change.reason)
    return {
        "schema": SCHEMA,
        "hook": hook.name,
        "project": project,
        "seq": moment.seq,
        "time": moment.time,
        "component": change.component,
        "incarnation": change.incarnation,
        "before": str(change.before),
        "phase": str(change.after),
        "desired": str(change.desired),
        "reason": reason,
        "exit": None
        if ended is None
        else {
            "kind": str(ended.kind),
            "message": redacted(ended.message),
            "hint": redacted(ended.hint),
            "code": ended.code,
            "signal": ended.signal,
            "killed": ended.killed,
        },
        # What chat services show of a message that is posted to them.
        "text": f"{project}: {change.component} is {change.after}" + (f": {reason}" if reason else ""),
    }


def variables(document: dict[str, Any]) -> dict[str, str]:
    """Return the environment variables that a command gets beside the document."""
    return {
        "LAUNCHER_HOOK": document["hook"],
        "LAUNCHER_COMPONENT": document["component"],
        "LAUNCHER_INCARNATION": str(document["incarnation"]),
        "LAUNCHER_BEFORE": document["before"],
        "LAUNCHER_PHASE": document["phase"],
        "LAUNCHER_REASON": document["reason"].replace("\0", ""),
    }
