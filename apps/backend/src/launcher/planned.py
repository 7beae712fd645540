"""The document of a plan: what ``launcher check`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launcher.config.secrets import destination, redacted
from launcher.model.spec import Kind
from launcher.model.state import Phase
from launcher.observe.places import address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.core.plan import Plan
    from launcher.model.spec import ComponentSpec, HookSpec

SCHEMA = 1
"""Version of the document; a field may be added under the same number, but none may change its meaning or vanish."""


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
        "hooks": [_told(hook) for hook in plan.spec.hooks],
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


def _told(hook: HookSpec) -> dict[str, Any]:
    return {
        "name": hook.name,
        "on": [str(phase) for phase in Phase if phase in hook.on],
        "components": list(hook.components),
        "how": f"POST {destination(hook.url)}" if hook.url else redacted(" ".join(hook.command)),
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
