"""The documents that the API answers with and ``-o json`` prints, made from values.

Passwords never appear: addresses of dependencies and every free text are redacted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from launcher.config.secrets import redacted
from launcher.core.replicas import replicas_of
from launcher.errors import ConfigError, LauncherError
from launcher.model.spec import API_ADDRESS, Kind
from launcher.model.state import Desired, Phase
from launcher.observe.places import address, log_path
from launcher.observe.store_documents import StoreDocument, store_document
from launcher.observe.usage_documents import (
    LoopDocument,
    ProcessDocument,
    launcher_cost,
    process_documents,
    seen_of,
)

if TYPE_CHECKING:
    from launcher.core.view import View
    from launcher.model.answers import Answer
    from launcher.model.events import Transition
    from launcher.model.state import ComponentState, DependencyState, Exit, Successor
    from launcher.model.stores import StoreState

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


class ChangeDocument(TypedDict):
    """One change of one component.

    ``before`` and ``after`` are phases of the component; they are the same when the change is about an incarnation beside the current one, as
    ``role`` says. ``event`` names what led to it, ``exit`` how an incarnation has ended.
    """

    time: str
    component: str
    incarnation: int
    role: str
    before: str
    after: str
    desired: str
    event: str
    reason: str
    exit: ExitDocument | None
    pid: int | None


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
    """One component; durations in seconds, CPU in percent of a core, memory in bytes.

    ``beside`` says in words what the three fields after it hold. For the last five see ``launcher.observe.usage_documents``.
    """

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
    depends_on: list[str]
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
    port: int | None
    cpu: float | None
    memory: int | None
    shared_with: list[str]
    loop: LoopDocument | None


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
    """The launcher itself; CPU and memory as those of components, of whatever is not a component's own process.

    ``api`` is the URL of its control interface over TCP.
    """

    pid: int
    version: str
    root: str
    mode: str
    mode_reason: str
    started_at: str
    uptime: float
    state: str
    log_dir: str
    api: str | None
    cpu: float | None
    memory: int | None


class StatusDocument(TypedDict):
    """Everything at one moment."""

    schema: int
    name: str
    launcher: LauncherDocument
    components: list[ComponentDocument]
    dependencies: list[DependencyDocument]
    processes: list[ProcessDocument]
    store: StoreDocument | None


def status_document(view: View) -> StatusDocument:
    """Return the whole picture."""
    spec = view.plan.spec
    cpu, memory = launcher_cost(view)
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
            "api": f"http://{API_ADDRESS}:{spec.api}" if spec.api else None,
            "cpu": cpu,
            "memory": memory,
        },
        "components": [component_document(view, name) for name in view.plan.components],
        "dependencies": [_dependency(view, state) for state in view.fleet.dependencies.values()],
        "processes": process_documents(view),
        "store": None if view.store is None else store_document(_without_secrets(view.store), view.now),
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
    seen = seen_of(view, name)
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
        "depends_on": list(spec.depends_on),
        "waits_for": [{"name": wait.name, "what": redacted(wait.what)} for wait in view.waits_for(name)],
        "needs": [
            {"name": need.name, "what": need.what, "seconds": _seconds(view.now - need.since)}
            for need in view.needs(name)
        ],
        "check": None if state.answer is None else _check(view, state, state.answer),
        "next_attempt_in": None if attempt is None else _seconds(attempt - view.now),
        "last_exit": None if state.last_exit is None else exit_document(state.last_exit),
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
        "failed_restart": None if state.failed_restart is None else exit_document(state.failed_restart),
        "replica": spec.replica,
        "replicas": len(replicas_of(spec.declared_name, view.plan.components)),
        "port": None if spec.bind is None else spec.bind.port,
        "cpu": seen.cpu,
        "memory": seen.memory,
        "shared_with": list(seen.shared_with),
        "loop": seen.loop,
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
        "latency": round(answer.latency, 6),
        "seconds": _seconds(view.now - state.answered_at),
        "reason": redacted(answer.reason),
    }


def change_document(at: float, change: Transition) -> ChangeDocument:
    """Return a transition as streams tell it and stores keep it.

    Args:
        at: seconds since the epoch.
        change: what has changed.
    """
    return {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "component": change.component,
        "incarnation": change.incarnation,
        "role": str(change.role),
        "before": str(change.before),
        "after": str(change.after),
        "desired": str(change.desired),
        "event": change.event,
        "reason": redacted(change.reason),
        "exit": None if change.exit is None else exit_document(change.exit),
        "pid": change.pid,
    }


def exit_document(ended: Exit) -> ExitDocument:
    """Return how an incarnation has ended."""
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


def _without_secrets(state: StoreState) -> StoreState:
    return replace(state, url=redacted(state.url), reason=redacted(state.reason))


def _seconds(value: float) -> float:
    """Return a duration without false precision; never negative."""
    return round(max(0.0, value), 3)
