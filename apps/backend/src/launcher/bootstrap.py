"""From a command line to a running backend: declaration → plan → zygote → run directory → sockets → backend.

What hosts need, too, is imported at the top; what only the launcher needs comes after the zygote was forked, which imports libraries meanwhile.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.config.load import load
from launcher.core.names import selected
from launcher.core.plan import Plan, build
from launcher.hosts.brief import brief
from launcher.hosts.discover import discover_agents
from launcher.hosts.link import Beginning, forked_early
from launcher.hosts.manager import Manager
from launcher.hosts.memory import Memory, remembered
from launcher.model.spec import Mode, Restart, RestartPolicy
from launcher.observe.surroundings import surroundings
from launcher.stores.choose import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.config.load import Request


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What ``launcher up`` was asked for.

    Attributes:
        request: where the declaration comes from.
        color: whether the console may use colour and redraw its last line.
        quiet: whether the console leaves out log lines.
        manager: the service manager that has started us, if one has.
    """

    request: Request
    color: bool = False
    quiet: bool = False
    manager: Manager = field(default_factory=Manager)


def up(options: UpOptions) -> int:
    """Run the backend until it is stopped; return the exit code.

    Raises:
        LauncherError: before anything was started: the declaration is wrong, a port is taken, a launcher is running already, a package
            is missing.
    """
    loaded = load(replace(options.request, discover_agents=discover_agents))
    plan = build(loaded.spec, surroundings())
    require(plan.spec.state)
    memory = remembered(plan.spec.run_dir)
    # Before any thread or loop, and before the lock: whoever inherited that would keep it from the next launcher.
    early = forked_early(brief(plan.spec, plan.forked(), memory)) if plan.forked() else None
    from launcher.supervisor.rundir import held

    with held(Path(plan.spec.run_dir), plan.spec.root):
        notes = (*loaded.warnings, *loaded.notes, *plan.notes)
        return _run(plan, options, notes=notes, controlled=True, memory=memory, early=early)


def run(options: UpOptions, names: Sequence[str]) -> int:
    """Run only the named components, in this process, until they end: for containers and debuggers.

    Nothing they depend on is started, nothing is restarted, and no other terminal can control them. Names may be wildcards, or entries of
    agents.

    Raises:
        LauncherError: as ``up``; also when a name stands for nothing.
    """
    request = replace(options.request, mode=Mode.SINGLE.value, discover_agents=discover_agents)
    spec = load(request).spec
    chosen = set(selected(names, [component.name for component in spec.components]))
    once = Restart(policy=RestartPolicy.NEVER)
    alone = tuple(
        replace(component, depends_on=(), restart=once, replicas=1)
        for component in spec.components
        if component.name in chosen
    )
    plan = build(replace(spec, components=alone, dependencies=()))
    return _run(plan, options, notes=(), controlled=False, memory=Memory())


def _activate() -> None:
    """Let commands such as ``python -m …`` mean this interpreter, as if its environment had been activated."""
    own = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    if own not in path.split(os.pathsep):
        os.environ["PATH"] = f"{own}{os.pathsep}{path}"


def _run(
    plan: Plan,
    options: UpOptions,
    *,
    notes: Sequence[str],
    controlled: bool,
    memory: Memory,
    early: Beginning | None = None,
) -> int:
    from launcher.backend import Backend
    from launcher.observe.console import Console
    from launcher.observe.logs import LogStore
    from launcher.supervisor.sockets import bind_all

    _activate()
    manager = options.manager
    logs = LogStore(Path(plan.spec.log_dir), on_trouble=_warn)
    try:
        listening = bind_all(plan, manager.sockets)
        try:
            console = Console(listening.plan, color=options.color, quiet=options.quiet, notes=notes)
            return Backend(
                listening, logs, console, manager, controlled=controlled, memory=memory, early=early
            ).run()
        finally:
            listening.close()
    finally:
        logs.close()


def _warn(what: str) -> None:
    """Say something on standard error, unless nobody is there any more."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"warning: {what}\n")
