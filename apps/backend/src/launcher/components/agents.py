"""One agent of an ``AgentLauncher``: a class with ``load_agents(names)``, ``start_all()`` and ``stop_all()``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from launcher.components.agent import run_object
from launcher.components.blame import full, told
from launcher.components.context import RunContext
from launcher.components.resolve import ResolveError, accepts, did_you_mean, kind_of

METHODS = ("load_agents", "start_all", "stop_all")
"""What an ``AgentLauncher`` must have."""


def require_launcher(target: str, found: Any) -> Any:
    """Return ``found`` if it makes agent launchers: a class, or a function without parameters.

    Raises:
        ResolveError: it does not. One object for all would start every agent in each component.
    """
    shape = f"name a class with {', '.join(f'{method}()' for method in METHODS)}"
    if not callable(found):
        raise ResolveError(f"{target} is not a class but {kind_of(found)}", hint=shape)
    if inspect.isclass(found):
        missing = [method for method in METHODS if not callable(getattr(found, method, None))]
        if missing:
            raise ResolveError(
                f"{target} has no {' and no '.join(f'{method}()' for method in missing)}", hint=shape
            )
    if not accepts(found, 0):
        raise ResolveError(
            f"{target} needs arguments, but it is called without any", hint="give its parameters defaults"
        )
    return found


async def available(launcher: object) -> tuple[str, ...] | None:
    """Return the names of the agents that a launcher has to offer, or nothing when it does not tell."""
    names = getattr(launcher, "available", None)
    if callable(names):
        names = names()
    if inspect.isawaitable(names):
        names = await names
    if isinstance(names, Iterable) and not isinstance(names, str):
        return tuple(str(name) for name in names)
    return None


async def run(context: RunContext, target: str, make: Any) -> None:
    """Run the agent of the context with a launcher of its own.

    Raises:
        ResolveError: the launcher does not know the agent, or cannot load it.
        BaseException: whatever the agent raises.
    """
    launcher = make()
    name = context.spec.agent
    names = await available(launcher)
    if names is not None and name not in names:
        hint = " ".join(filter(None, (did_you_mean(name, names), f"available: {', '.join(names) or 'none'}")))
        raise ResolveError(f"{target} has no agent {name}", hint=hint)
    try:
        loading = launcher.load_agents([name])
        if inspect.isawaitable(loading):
            await loading
    except Exception as error:
        raise ResolveError(f"{target} cannot load {name}: {told(error)}", traceback=full(error)) from error
    wait = getattr(launcher, "wait", None)
    await run_object(
        context,
        start=launcher.start_all,
        stop=launcher.stop_all,
        wait=wait if inspect.iscoroutinefunction(wait) and accepts(wait, 0) else None,
    )
