"""Load, start and stop agents: `python -m agents.launcher [NAMES...]`, or the class `AgentLauncher`.

Without names every agent runs. Each is imported only when it is asked for, so a process that runs one agent
does not pay for the others. Exit status: 0 stopped by SIGINT or SIGTERM, 1 an agent could not start or
failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

from agents.base import Agent
from services.errors import ServiceUnavailable
from services.pipeline import PIPELINE
from services.settings import Settings


class AgentLauncher:
    """A set of agents that start and stop together; several launchers may live in one process."""

    def __init__(self, settings: Settings | None = None) -> None:
        """`settings` defaults to the environment, read when agents are loaded."""
        self._settings = settings
        self._agents: list[Agent] = []

    @staticmethod
    def available() -> list[str]:
        """The names of all agents, in the order of the pipeline."""
        return [stage.name for stage in PIPELINE]

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The agents loaded so far."""
        return tuple(self._agents)

    def load_agents(self, names: Sequence[str] | None = None) -> list[Agent]:
        """Create the agents called `names`, each once, or all of them; nothing is connected yet.

        Raises ValueError for unknown names, listing the available ones, and for unusable settings.
        """
        wanted = self.available() if names is None else list(dict.fromkeys(names))
        if unknown := [name for name in wanted if name not in self.available()]:
            raise ValueError(_unknown(unknown, self.available()))
        settings = self._settings or Settings.from_environment(os.environ)
        loaded: list[Agent] = [importlib.import_module(f"agents.{name}").create(settings) for name in wanted]
        self._agents += loaded
        return loaded

    async def start_all(self) -> None:
        """Start every loaded agent at the same time; returns once all have started.

        If one cannot start, the others are stopped again and its error is raised.
        """
        outcomes = await asyncio.gather(*(agent.start() for agent in self._agents), return_exceptions=True)
        problems = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if problems:
            await self.stop_all()
            raise problems[0]

    async def stop_all(self) -> None:
        """Stop every agent that is started, at the same time."""
        await asyncio.gather(*(agent.stop() for agent in self._agents))

    async def wait(self) -> None:
        """Return when all agents have been stopped; raises as soon as one has failed."""
        waits = [asyncio.create_task(agent.wait()) for agent in self._agents]
        try:
            await asyncio.gather(*waits)
        finally:
            for task in waits:
                task.cancel()


def _unknown(names: Sequence[str], available: Sequence[str]) -> str:
    close = difflib.get_close_matches(names[0], available, n=1)
    question = f"; did you mean {close[0]!r}?" if close else ""
    noun = "agent" if len(names) == 1 else "agents"
    return f"unknown {noun} {', '.join(names)}{question} Available: {', '.join(available)}"


async def run(launcher: AgentLauncher) -> int:
    """Run the loaded agents until a signal or a failure; returns the exit status."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    asking = asyncio.create_task(asked.wait())
    working = asyncio.create_task(_start_and_wait(launcher))
    try:
        await asyncio.wait([asking, working], return_when=asyncio.FIRST_COMPLETED)
        return 0 if asked.is_set() else _verdict(working)
    finally:
        for task in (asking, working):
            task.cancel()
        await asyncio.wait([asking, working])
        await launcher.stop_all()


async def _start_and_wait(launcher: AgentLauncher) -> None:
    await launcher.start_all()
    print(f"ready: {', '.join(agent.name for agent in launcher.agents)}", flush=True)
    await launcher.wait()


def _verdict(working: asyncio.Task[None]) -> int:
    problem = working.exception()
    if problem is None:
        return 0
    hint = f"\nhint: {problem.hint}" if isinstance(problem, ServiceUnavailable) and problem.hint else ""
    print(f"the agents cannot go on: {type(problem).__name__}: {problem}{hint}", file=sys.stderr)
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry; returns the exit status."""
    parser = argparse.ArgumentParser(prog="agents.launcher", description="Run agents of the newsdesk.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="agents to run (default: all)")
    parser.add_argument("--list", action="store_true", help="print the available agents and exit")
    options = parser.parse_args(argv)
    launcher = AgentLauncher()
    if options.list:
        print("\n".join(launcher.available()))
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        launcher.load_agents(options.names or None)
    except ValueError as problem:
        print(f"cannot start the agents: {problem}", file=sys.stderr)
        return 2
    return asyncio.run(run(launcher))


if __name__ == "__main__":
    raise SystemExit(main())
