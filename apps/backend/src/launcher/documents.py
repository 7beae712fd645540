"""The documents that the API answers with and ``-o json`` prints, made from values.

Passwords never appear: addresses of dependencies and every free text are redacted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from launcher.config.secrets import redacted
from launcher.core.replicas import replicas_of
from launcher.errors import ConfigError, LauncherError
from launcher.model.spec import Kind
from launcher.model.state import Desired, Phase
from launcher.observe.places import address, log_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.core.plan import Plan
    from launcher.core.view import View
    from launcher.model.answers import Answer
    from launcher.model.spec import ComponentSpec
    from launcher.model.state import ComponentState, DependencyState, Exit, Successor

SCHEMA = 1
"""Version of the documents; a field may be added under the same number, but none may change its meaning or vanish."""


class WaitDocument(TypedDict):
    """Something that a component waits for."""

    name: str
    what: str


class NeedDocument(TypedDict):
    """Something that a running component depends on and does not have; for how many seconds."""

    name: str
    what: str
    seconds: float


class CheckDocument(TypedDict):
    """The last answer to a readiness check: how long it took, how many seconds ago it came, and why it was not ready."""

    ok: bool
    latency: float
    seconds: float
    reason: str


class ExitDocument(TypedDict):
    """How an incarnation ended."""

    kind: str
    message: str
    hint: str
    code: int | None
    signal: int
    killed: bool


class SuccessorDocument(TypedDict):
    """The incarnation that is being started beside the current one; its number is 0 before it was launched."""

    incarnation: int
    phase: str
    pid: int | None
    seconds: float
    reason: str


class RetiringDocument(TypedDict):
    """An earlier incarnation that was asked to stop and has not ended."""

    incarnation: int
    pid: int | None
    seconds: float
    killed: bool


class ComponentDocument(TypedDict):
    """One component; durations in seconds. ``beside`` says in words what the three fields after it hold."""

    name: str
    kind: str
    phase: str
    desired: str
    incarnation: int
    seconds: float
    placement: str
    start: str
    pid: int | None
    url: str | None
    held: bool
    restarts: int
    reason: str
    waits_for: list[WaitDocument]
    needs: list[NeedDocument]
    check: CheckDocument | None
    next_attempt_in: float | None
    last_exit: ExitDocument | None
    log: str
    beside: str
    successor: SuccessorDocument | None
    retiring: list[RetiringDocument]
    failed_restart: ExitDocument | None
    replica: int
    replicas: int


class DependencyDocument(TypedDict):
    """One external service; ``up`` is null before the first check."""

    name: str
    url: str
    up: bool | None
    seconds: float
    latency: float | None
    reason: str
    hint: str


class LauncherDocument(TypedDict):
    """The launcher itself."""

    pid: int
    version: str
    root: str
    mode: str
    mode_reason: str
    started_at: str
    uptime: float
    state: str
    log_dir: str


class StatusDocument(TypedDict):
    """Everything at one moment."""

    schema: int
    name: str
    launcher: LauncherDocument
    components: list[ComponentDocument]
    dependencies: list[DependencyDocument]


def status_document(view: View) -> StatusDocument:
    """Return the whole picture."""
    spec = view.plan.spec
    return {
        "schema": SCHEMA,
        "name": spec.name,
        "launcher": {
            "pid": view.pid,
            "version": view.version,
            "root": spec.root,
            "mode": str(spec.mode),
            "mode_reason": view.plan.mode_reason,
            "started_at": datetime.fromtimestamp(view.started_at, UTC).isoformat(timespec="milliseconds"),
            "uptime": _seconds(view.wall - view.started_at),
            "state": overall_state(view),
            "log_dir": spec.log_dir,
        },
        "components": [component_document(view, name) for name in view.plan.components],
        "dependencies": [_dependency(view, state) for state in view.fleet.dependencies.values()],
    }


def overall_state(view: View) -> str:
    """Return ``starting``, ``up``, ``degraded`` or ``stopping``; degraded is when something wanted up is not."""
    if view.fleet.draining:
        return "stopping"
    if not view.fleet.settled:
        return "starting"
    fine = (Phase.READY, Phase.COMPLETED)
    wanted = [state for state in view.fleet.components.values() if state.desired is Desired.UP]
    return "up" if all(state.phase in fine for state in wanted) else "degraded"


def component_document(view: View, name: str) -> ComponentDocument:
    """Return what there is to know about one component.

    Raises:
        KeyError: there is no such component.
    """
    from launcher.core.succession import beside  # `check` shows plans only, and is to answer at once

    spec = view.plan.components[name]
    state = view.fleet.components[name]
    attempt = state.next_attempt_at if state.returns_at is None else state.returns_at
    return {
        "name": name,
        "kind": str(spec.kind),
        "phase": str(state.phase),
        "desired": str(state.desired),
        "incarnation": state.incarnation,
        "seconds": _seconds(view.now - state.since),
        "placement": "process" if spec.kind is Kind.COMMAND else view.plan.placement[name],
        "start": state.start,
        "pid": state.pid,
        "url": address(spec) or None,
        "held": view.held(name),
        "restarts": state.total_restarts,
        "reason": redacted(state.reason),
        "waits_for": [{"name": wait.name, "what": redacted(wait.what)} for wait in view.waits_for(name)],
        "needs": [
            {"name": need.name, "what": need.what, "seconds": _seconds(view.now - need.since)}
            for need in view.needs(name)
        ],
        "check": None if state.answer is None else _check(view, state, state.answer),
        "next_attempt_in": None if attempt is None else _seconds(attempt - view.now),
        "last_exit": None if state.last_exit is None else _exit(state.last_exit),
        "log": log_path(view.plan.spec.log_dir, name),
        "beside": redacted(beside(state)),
        "successor": None if state.successor is None else _successor(view, state.successor),
        "retiring": [
            {
                "incarnation": life.incarnation,
                "pid": life.pid,
                "seconds": _seconds(view.now - life.since),
                "killed": life.kills > 0,
            }
            for life in state.retiring
        ],
        "failed_restart": None if state.failed_restart is None else _exit(state.failed_restart),
        "replica": spec.replica,
        "replicas": len(replicas_of(spec.declared_name, view.plan.components)),
    }


def error_document(error: LauncherError) -> dict[str, Any]:
    """Return an error as it is sent and printed; an invalid declaration comes with all its problems."""
    fields: dict[str, Any] = {
        "message": redacted(error.message),
        "hint": redacted(error.hint),
        "exit_code": int(error.exit_code),
    }
    if isinstance(error, ConfigError):
        fields["problems"] = [
            {"where": problem.where, "what": redacted(problem.what), "hint": redacted(problem.hint)}
            for problem in error.problems
        ]
    return {"error": fields}


def plan_document(
    plan: Plan,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    starts: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what a start would do, without anything having been started.

    Args:
        plan: what would be started.
        notes: what else there is to say about it.
        warnings: what may not be meant.
        starts: how the process of each component that gets one of its own would be started.
    """
    return {
        "schema": SCHEMA,
        "name": plan.spec.name,
        "root": plan.spec.root,
        "source": plan.spec.source,
        "mode": str(plan.spec.mode),
        "mode_reason": plan.mode_reason,
        "waves": [list(wave) for wave in plan.waves],
        "components": [
            {**_planned(plan, spec), "start": (starts or {}).get(spec.name, "")}
            for spec in plan.components.values()
        ],
        "dependencies": [
            {"name": spec.name, "url": redacted(spec.url), "timeout": spec.timeout}
            for spec in plan.spec.dependencies
        ],
        "run_dir": plan.spec.run_dir,
        "log_dir": plan.spec.log_dir,
        "notes": [redacted(note) for note in (*plan.notes, *notes)],
        "warnings": [redacted(warning) for warning in warnings],
    }


def _planned(plan: Plan, spec: ComponentSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": str(spec.kind),
        "oneshot": spec.oneshot,
        "placement": "process" if spec.kind is Kind.COMMAND else plan.placement[spec.name],
        "runs": redacted(spec.target or " ".join(spec.command)),
        "port": None if spec.bind is None else spec.bind.port,
        "url": address(spec) or None,
        "depends_on": list(spec.depends_on),
        "on_dependency_loss": str(spec.on_dependency_loss),
        "ready": ready_when(spec),
        "overlap": bool(spec.overlap),
        "heartbeat": spec.heartbeat or None,
        "replica": spec.replica,
    }


def ready_when(spec: ComponentSpec) -> str:
    """Return in words what makes a component ready."""
    told = {
        Kind.ASGI: "lifespan complete and listening",
        Kind.AGENT: "started",
        Kind.AGENTS: "started",
        Kind.COMMAND: "process spawned",
    }[spec.kind]
    if spec.oneshot:
        return "ended with exit code 0"
    if spec.ready is None:
        return told
    probe = spec.ready
    target = " ".join(probe.argv) or probe.target
    asked = (
        f"{probe.kind} {redacted(target)}".rstrip()
        if probe.kind != "alive"
        else f"alive for {probe.seconds:g} s"
    )
    return asked if spec.kind is Kind.COMMAND else f"{told}, then {asked}"


def _successor(view: View, successor: Successor) -> SuccessorDocument:
    return {
        "incarnation": successor.incarnation,
        "phase": str(successor.phase),
        "pid": successor.pid,
        "seconds": _seconds(view.now - successor.since),
        "reason": redacted(successor.reason),
    }


def _check(view: View, state: ComponentState, answer: Answer) -> CheckDocument:
    return {
        "ok": answer.ok,
        "latency": answer.latency,
        "seconds": _seconds(view.now - state.answered_at),
        "reason": redacted(answer.reason),
    }


def _exit(ended: Exit) -> ExitDocument:
    return {
        "kind": str(ended.kind),
        "message": redacted(ended.message),
        "hint": redacted(ended.hint),
        "code": ended.code,
        "signal": ended.signal,
        "killed": ended.killed,
    }


def _dependency(view: View, state: DependencyState) -> DependencyDocument:
    url = next(spec.url for spec in view.plan.spec.dependencies if spec.name == state.name)
    return {
        "name": state.name,
        "url": redacted(url),
        "up": state.up,
        "seconds": _seconds(view.now - state.since),
        "latency": state.latency,
        "reason": redacted(state.reason),
        "hint": redacted(state.hint),
    }


def _seconds(value: float) -> float:
    """Return a duration without false precision; never negative."""
    return round(max(0.0, value), 3)
