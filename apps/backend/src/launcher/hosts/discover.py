"""Which agents an ``AgentLauncher`` has: asked in a process of its own, since the launcher never imports code of the backend."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from launcher.components.agents import available, require_launcher
from launcher.components.blame import told
from launcher.components.resolve import ResolveError, resolve
from launcher.errors import LauncherError
from launcher.hosts.spawn import environment_for

PATIENCE = 60.0
"""Seconds that importing the launcher of the agents may take."""


def discover_agents(
    target: str, pythonpath: Sequence[str], directory: str, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names that ``available()`` of an ``AgentLauncher`` gives.

    Args:
        target: ``module:attribute`` of the class.
        pythonpath: directories to put in front of the module path.
        directory: working directory.
        environment: variables to set on top of our own.

    Raises:
        LauncherError: it cannot be imported, or does not tell.
    """
    answer, theirs = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "launcher.hosts.discover", str(theirs), target, *pythonpath],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment_for(environment),
            pass_fds=(theirs,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(answer)
        raise LauncherError(f"cannot ask {target} for its agents: {error}") from error
    finally:
        os.close(theirs)
    with os.fdopen(answer, "rb") as reader, process:
        try:
            printed, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise LauncherError(
                f"cannot ask {target} for its agents: its import takes more than {PATIENCE:g} s",
                hint="name them: agents = [...]",
            ) from None
        return _names(target, reader.read(), printed.decode(errors="replace"))


def _names(target: str, answer: bytes, printed: str) -> tuple[str, ...]:
    if not answer:
        last = printed.strip().splitlines()[-1:] or ["the process ended without an answer"]
        raise LauncherError(f"cannot ask {target} for its agents: {last[0]}")
    message: dict[str, Any] = json.loads(answer)
    if "error" in message:
        raise LauncherError(f"cannot ask {target} for its agents: {message['error']}", hint=message["hint"])
    return tuple(message["names"])


def _answer(target: str, pythonpath: Sequence[str]) -> dict[str, object]:
    sys.path[:0] = pythonpath
    try:
        make = require_launcher(target, resolve(target))
        names = asyncio.run(_ask(make))
    except ResolveError as error:
        return {"error": error.message, "hint": error.hint}
    except Exception as error:  # noqa: BLE001  # whatever the user's code raises is the answer
        return {"error": told(error), "hint": ""}
    if names is None:
        return {
            "error": "it has no available()",
            "hint": "add one that returns the names, or list them: agents = [...]",
        }
    return {"names": names}


async def _ask(make: Any) -> tuple[str, ...] | None:
    """Ask the class where it can tell by itself, else an instance."""
    if isinstance(getattr(make, "__dict__", {}).get("available"), (staticmethod, classmethod)):
        return await available(make)
    return await available(make())


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "w") as out:
        json.dump(_answer(sys.argv[2], sys.argv[3:]), out)
    sys.stdout.flush()
    os._exit(0)  # the answer is given: threads that the import left behind are not waited for
