"""Who is told of what."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.config.secrets import redacted
from launcher.core.hooks import LONGEST_PAUSE, Moment, notification, pause, variables, wanted
from launcher.model.events import Transition
from launcher.model.spec import HookSpec
from launcher.model.state import Desired, Exit, ExitKind, Phase, Role

FAILED = frozenset({Phase.FAILED})


def change(
    before: Phase, after: Phase, component: str = "api", role: Role = Role.CURRENT, **more: object
) -> Transition:
    return Transition(component, 2, before, after, Desired.UP, "Exited", 1.0, role=role, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hook", "told", "expected"),
    [
        (HookSpec("h", FAILED), change(Phase.READY, Phase.FAILED), True),
        (HookSpec("h", FAILED), change(Phase.STARTING, Phase.READY), False),
        (HookSpec("h", frozenset(Phase)), change(Phase.READY, Phase.STOPPING), True),
        (HookSpec("h", frozenset()), change(Phase.READY, Phase.FAILED), False),
        (HookSpec("h", FAILED), change(Phase.FAILED, Phase.FAILED), False),
        (HookSpec("h", frozenset(Phase)), change(Phase.READY, Phase.READY), True),
        (HookSpec("h", frozenset(Phase)), change(Phase.READY, Phase.READY, role=Role.RETIRING), False),
        (HookSpec("h", FAILED, ("api",)), change(Phase.READY, Phase.FAILED), True),
        (HookSpec("h", FAILED, ("api",)), change(Phase.READY, Phase.FAILED, "api.2"), True),
        (HookSpec("h", FAILED, ("api",)), change(Phase.READY, Phase.FAILED, "apis"), False),
        (HookSpec("h", FAILED, ("agents",)), change(Phase.READY, Phase.FAILED, "agents.writer"), True),
        (
            HookSpec("h", FAILED, ("db", "agents.w*")),
            change(Phase.READY, Phase.FAILED, "agents.writer"),
            True,
        ),
        (HookSpec("h", FAILED, ("agents.w*",)), change(Phase.READY, Phase.FAILED, "agents.critic"), False),
    ],
)
def test_who_is_told(hook: HookSpec, told: Transition, expected: bool) -> None:
    """A hook is told when a component that it means enters a phase that it names; a successor that takes over is ready."""
    assert wanted(hook, told) is expected


def test_pauses_grow_and_end() -> None:
    """The pause doubles from one second, and has a bound."""
    assert [pause(number) for number in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert pause(50) == LONGEST_PAUSE


def test_the_document() -> None:
    """It says who, what, when and why, and a sentence for people."""
    ended = Exit(ExitKind.EXITED, "exited with 1", "look", 1, traceback="…")
    told = change(Phase.READY, Phase.FAILED, reason="exited with 1", exit=ended)
    document = notification(
        HookSpec("oncall", FAILED), "news", Moment(7, "2026-11-27T18:00:00.000Z"), told, str
    )
    assert document == {
        "schema": 1,
        "hook": "oncall",
        "project": "news",
        "seq": 7,
        "time": "2026-11-27T18:00:00.000Z",
        "component": "api",
        "incarnation": 2,
        "before": "ready",
        "phase": "failed",
        "desired": "up",
        "reason": "exited with 1",
        "exit": {
            "kind": "exited",
            "message": "exited with 1",
            "hint": "look",
            "code": 1,
            "signal": 0,
            "killed": False,
        },
        "text": "news: api is failed: exited with 1",
    }
    assert variables(document)["LAUNCHER_PHASE"] == "failed"


@given(
    reason=st.text(),
    message=st.text(),
    hint=st.text(),
    before=st.sampled_from(Phase),
    after=st.sampled_from(Phase),
)
def test_any_transition_can_be_told(
    reason: str, message: str, hint: str, before: Phase, after: Phase
) -> None:
    """Whatever its texts, a transition is JSON and fits into an environment, and no password of a URL is in it."""
    secret = "postgresql://app:s3cret@db/news"
    ended = Exit(ExitKind.RAISED, f"{message} {secret}", f"{secret} {hint}")
    told = change(before, after, reason=f"{secret} {reason}", exit=ended)
    document = notification(HookSpec("h", FAILED), "news", Moment(1, "t"), told, redacted)
    text = json.dumps(document)
    assert json.loads(text) == document
    assert "s3cret" not in text
    assert all("\0" not in value for value in variables(document).values())
