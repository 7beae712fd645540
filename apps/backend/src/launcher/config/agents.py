"""Turn each entry of agents into one component per agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from launcher.config.build import Draft, Values
from launcher.config.table import COMPONENT
from launcher.config.values import BadValue, check_name
from launcher.core.suggest import did_you_mean
from launcher.errors import LauncherError, Problem

Discover = Callable[[str, tuple[str, ...], str, Mapping[str, str]], tuple[str, ...]]
"""Asks an ``AgentLauncher`` for its agents: target, python path, project directory, environment."""


def agent_names(
    draft: Draft, ask: Callable[[str, Mapping[str, str]], tuple[str, ...]] | None, problems: list[Problem]
) -> tuple[str, ...] | None:
    """Return the names of the agents of an entry, or ``None`` when they are not known.

    Args:
        draft: the entry.
        ask: asks the ``AgentLauncher`` itself; used only when the entry does not list its agents.
        problems: collects why they cannot be had, and unusable names.
    """
    values = Values(draft.own, COMPONENT)
    listed, target = draft.given("agents"), draft.given("launcher")
    if listed is not None:
        if not listed.usable:
            return None
        names, where = values.texts("agents"), listed.where
    elif ask is None or target is None or not target.usable:
        return None
    else:
        where = target.where
        try:
            names = ask(values.text("launcher"), values.variables())
        except LauncherError as error:
            problems.append(
                Problem(where, f"cannot list its agents: {error.message}", error.hint or _LIST_THEM)
            )
            return None
        except Exception as error:  # noqa: BLE001 (code of the backend may raise anything)
            problems.append(
                Problem(where, f"cannot list its agents: {type(error).__name__}: {error}", _LIST_THEM)
            )
            return None
    if not names:
        problems.append(Problem(where, "has no agents", _LIST_THEM))
    return tuple(name for name in names if _usable(name, where, problems))


_LIST_THEM = 'name them: agents = ["writer", "critic"]'


def _usable(name: str, where: str, problems: list[Problem]) -> bool:
    try:
        check_name(name)
    except BadValue as error:
        problems.append(Problem(where, f"the name of an agent {error.what}", error.hint))
        return False
    return True


def check_each(draft: Draft, agents: tuple[str, ...], problems: list[Problem]) -> None:
    """Report settings for agents that the entry does not have."""
    reported: set[str] = set()
    for path, entry in draft.own.items():
        if (
            path[0] == "each"
            and path[1] not in reported
            and not any(_same(path[1], agent) for agent in agents)
        ):
            reported.add(path[1])
            problems.append(
                Problem(
                    entry.where,
                    f"{draft.name} has no agent {path[1]}",
                    did_you_mean(path[1], agents, what="there are"),
                )
            )


def for_agent(draft: Draft, agent: str) -> Draft:
    """Return the draft of one agent: the entry's settings with those for this agent on top."""
    own = {path: entry for path, entry in draft.own.items() if path[0] != "each"}
    own |= {
        path[2:]: entry for path, entry in draft.own.items() if path[0] == "each" and _same(path[1], agent)
    }
    return draft._replace(own=own)


def _same(written: str, agent: str) -> bool:
    # A name out of the environment has lost its case and its dashes.
    return written == agent or written.replace("-", "_").lower() == agent.replace("-", "_").lower()
