"""Write a first ``launcher.toml`` for a repository that has none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from launcher.config.discover import Candidate, find_agent_launchers, find_apps
from launcher.config.entries import written
from launcher.config.table import DEFAULT_PORT

_HEAD = """\
# What this backend is made of, and how it runs. `launcher config` shows every value and where it came from;
# `launcher check` looks for mistakes without starting anything.

[launcher]
name = {name}
# mode = "auto"             # "single": all in one process; "multi": one process each
{pythonpath}
"""

_MORE = """\
# A database or another service that is asked whether it works, and never started:
#
# [dependencies.postgres]
# url = "${DATABASE_URL}"    # from .env or the environment
#
# A command, here one that has to end before others start:
#
# [components.migrate]
# command = "alembic upgrade head"
# oneshot = true
# depends_on = ["postgres"]
#
# A variant: launcher up --profile minimal
#
# [profiles.minimal]
# components = ["NAME"]
"""


def init_text(directory: Path) -> str:
    """Return a commented ``launcher.toml`` for what is found in ``directory``; it loads without errors as it is.

    Nothing of the repository is imported. Where nothing to launch is found, an example is declared that can be replaced.
    """
    directory = directory.resolve()
    apps, launchers = find_apps(directory), find_agent_launchers(directory)
    paths = dict.fromkeys(candidate.path for candidate in (*apps[:1], *launchers[:1]))
    pythonpath = f"pythonpath = {written(_completed(list(paths)))}" if paths else '# pythonpath = ["src"]'
    parts = [_HEAD.format(name=written(_name(directory)), pythonpath=pythonpath)]
    if apps:
        parts.append(_app(apps))
    if launchers:
        parts.append(_agents(launchers))
    if not apps and not launchers:
        parts.append(_example())
    return "\n".join([*parts, _MORE])


def _completed(paths: Sequence[str]) -> list[str]:
    # Code of a backend reads and imports beside itself: the project directory is importable as it is for `python -m`.
    return list(dict.fromkeys([*paths, "."]))


def _name(directory: Path) -> str:
    return re.sub(r"[^\w .-]+", "-", directory.name).strip("- ") or "backend"


def _app(apps: Sequence[Candidate]) -> str:
    best, *others = apps
    lines = [
        "[components.api]",
        f'app = "{best.target}"  # found in {best.file}',
        *(["factory = true"] if best.factory else []),
        f"port = {DEFAULT_PORT}",
        '# ready = "/health"       # asked on top of what the application tells itself',
        '# depends_on = ["postgres"]',
    ]
    lines += [f'# also found: app = "{other.target}" in {other.file}' for other in others[:5]]
    return "\n".join(lines) + "\n"


def _agents(launchers: Sequence[Candidate]) -> str:
    best, *others = launchers
    lines = [
        "[components.agents]",
        f'launcher = "{best.target}"  # found in {best.file}; one component per agent: agents.NAME',
        '# agents = ["NAME"]        # only some of them',
        "# [components.agents.each.NAME]",
        "# critical = true         # settings for one of them",
    ]
    lines += [f'# also found: launcher = "{other.target}" in {other.file}' for other in others[:5]]
    return "\n".join(lines) + "\n"


def _example() -> str:
    return (
        "# No FastAPI application and no agent launcher was found here. Replace this example by\n"
        '# app = "module:attribute" (ASGI), run = "module:function" (agent) or a command of yours.\n'
        "[components.web]\n"
        f'command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{DEFAULT_PORT}"]\n'
        f"port = {DEFAULT_PORT}\n"
    )
