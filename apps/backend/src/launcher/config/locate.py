"""Find the file of a project and its run directory, without reading more of the declaration than that."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from launcher.errors import ConfigError, Problem, RunDirectoryError

FILE_NAME = "launcher.toml"
PYPROJECT = "pyproject.toml"
SOCKET = "control.sock"
LOCK = "lock"
RUN_DIR = ".launcher"
LOG_DIR = "logs"
MAX_SOCKET_PATH = 103 if sys.platform == "darwin" else 107
"""Longest path of a Unix socket in bytes: ``sun_path`` holds 104 on macOS and 108 on Linux, with a closing NUL."""

_RELEVANT = re.compile(r"LAUNCHER_(?:RUN|LOG)_DIR")
_PLAIN = re.compile(r"^(?:export )?(LAUNCHER_(?:RUN|LOG)_DIR)=([\w./~-]+)$", re.MULTILINE)


class RunPaths(NamedTuple):
    """Where a running launcher of a project is found; all paths are absolute."""

    root: Path
    run_dir: Path
    log_dir: Path
    socket: Path
    lock: Path


class Found(NamedTuple):
    """A file that holds a declaration, and the table in it (empty: the whole file)."""

    path: Path
    table: tuple[str, ...] = ()


def locate(directory: Path, environ: Mapping[str, str], file: Path | None = None) -> RunPaths:
    """Return the paths of the launcher of the project that ``directory`` belongs to, whether one runs or not.

    Reads only ``run_dir`` and ``log_dir``, so that ``status`` and ``down`` work while the rest of the file is broken.
    ``LAUNCHER_RUN_DIR`` and ``LAUNCHER_LOG_DIR`` of the environment and of ``.env`` win over the file.

    Raises:
        ConfigError: a file that was asked for does not exist.
        RunDirectoryError: the run directory that was asked for is too long for a socket.
    """
    found = find_file(directory, environ, file)
    root = found.path.parent if found else directory.resolve()
    text = _text(found.path) if found else ""
    given = {"run_dir": "", "log_dir": ""}
    if any(key in text for key in given) or "env_file" in text:
        given |= _from_file(text, found.table if found else ())
    variables = _variables(root, given, environ)
    for key in ("run_dir", "log_dir"):
        given[key] = variables.get(f"LAUNCHER_{key.upper()}", "") or _interpolated(
            given.get(key, ""), variables
        )
    return run_paths(root, given["run_dir"], given["log_dir"], environ)


def find_file(directory: Path, environ: Mapping[str, str], file: Path | None = None) -> Found | None:
    """Return the file with the declaration: the one asked for, or the first one on the way up to the root of the repository.

    In each directory ``launcher.toml`` is looked for, then ``[tool.launcher]`` in ``pyproject.toml``. Outside a repository
    only ``directory`` itself is searched: a file in a shared parent such as ``/tmp`` may be anybody's.

    Raises:
        ConfigError: the file that was asked for does not exist.
    """
    asked = str(file) if file else environ.get("LAUNCHER_FILE", "")
    if asked:
        return _asked(directory, asked, "--file" if file else "environment LAUNCHER_FILE")
    for place in _upwards(directory.resolve()):
        if (path := place / FILE_NAME).is_file():
            return Found(path)
        if (path := place / PYPROJECT).is_file() and _has_table(_text(path)):
            return Found(path, ("tool", "launcher"))
    return None


def _asked(directory: Path, asked: str, where: str) -> Found:
    path = (directory / Path(asked).expanduser()).resolve()
    if path.is_dir():
        inside = path / FILE_NAME
        if not inside.is_file():
            raise ConfigError(
                [Problem(where, f"{asked} is a directory without {FILE_NAME}", "name the file")]
            )
        return Found(inside)
    if not path.is_file():
        raise ConfigError(
            [Problem(where, f"there is no file {asked}", "check the path, or write one with `launcher init`")]
        )
    return Found(path, ("tool", "launcher") if path.name == PYPROJECT else ())


def _upwards(directory: Path) -> list[Path]:
    places = [directory, *directory.parents]
    for number, place in enumerate(places):
        if (place / ".git").exists():
            return places[: number + 1]
    return [directory]


def _has_table(text: str) -> bool:
    return "[tool.launcher" in text or ("launcher" in text and _has_rare_table(text))


def _has_rare_table(text: str) -> bool:
    from launcher.config.lines import places

    return ("tool", "launcher") in places(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _from_file(text: str, table: tuple[str, ...]) -> dict[str, str]:
    from launcher.config.lines import places, plain_string

    known = places(text)
    found: dict[str, str] = {}
    for key in ("run_dir", "log_dir"):
        place = known.get((*table, "launcher", key))
        if place and (value := plain_string(place.value)):
            found[key] = value
    place = known.get((*table, "launcher", "env_file"))
    if place:
        found["env_file"] = place.value
    return found


def _variables(root: Path, given: Mapping[str, str], environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment, completed from ``.env`` where that can matter for the run directory."""
    files = _env_files(root, given.get("env_file", ""), environ)
    needed = any("$" in given.get(key, "") for key in ("run_dir", "log_dir"))
    relevant = [path for path in files if needed or _RELEVANT.search(_text(path))]
    if not relevant:
        return environ
    if len(relevant) == 1 and not needed and (plain := _plain_variables(_text(relevant[0]))):
        return plain | dict(environ)
    from launcher.config.dotenv_files import read_dotenv

    read = read_dotenv([(path, path.name) for path in relevant], environ, [])
    return {name: variable.value for name, variable in read.items()} | dict(environ)


def _plain_variables(text: str) -> dict[str, str]:
    """Return the variables when each is there once and as a plain word; nothing when it takes a real parser to read them.

    The parser costs 25 ms to import, a quarter of what a command may take.
    """
    found = _PLAIN.findall(text)
    return (
        dict(found)
        if len(found) == len(_RELEVANT.findall(text)) and '"' not in text and "'" not in text
        else {}
    )


def _env_files(root: Path, written: str, environ: Mapping[str, str]) -> list[Path]:
    names: list[object] = [".env"]
    if written or "LAUNCHER_ENV_FILE" in environ:
        from launcher.config.values import list_from_text, table_from_text

        asked = environ.get("LAUNCHER_ENV_FILE")
        value = list_from_text(asked) if asked is not None else table_from_text(f"[{written}]")
        if isinstance(value, list):
            names = [name for item in value for name in (item if isinstance(item, list) else [item])]
    return [
        path for name in names if isinstance(name, str) and (path := root / Path(name).expanduser()).is_file()
    ]


def _interpolated(text: str, variables: Mapping[str, str]) -> str:
    if "$" not in text:
        return text
    from launcher.config.interpolation import BadText, interpolated

    try:
        return interpolated(text, variables)
    except BadText:
        return ""


def run_paths(
    root: Path,
    run_dir: str,
    log_dir: str,
    environ: Mapping[str, str],
    user: Callable[[], int] = os.getuid,
) -> RunPaths:
    """Compute the run directory, the log directory and what is in them.

    Args:
        root: absolute project directory.
        run_dir: as configured, relative to ``root``; empty for the default.
        log_dir: as configured, relative to ``root``; empty for ``logs`` in the run directory.
        environ: for ``XDG_RUNTIME_DIR``.
        user: returns the number of the user.

    Raises:
        RunDirectoryError: the configured run directory makes the path of the socket too long.
    """
    place = _absolute(root, run_dir or RUN_DIR)
    size = len(os.fsencode(place / SOCKET))
    if size > MAX_SOCKET_PATH:
        if run_dir:
            raise RunDirectoryError(
                f"cannot use the run directory {place}: the path of its control socket has {size} bytes, "
                f"and the system allows {MAX_SOCKET_PATH}",
                hint="set run_dir (or LAUNCHER_RUN_DIR) to a shorter path, or leave it out",
            )
        place = _short(root, environ.get("XDG_RUNTIME_DIR") or "/tmp", user())  # noqa: S108 (a directory of the user's own below it)
    logs = _absolute(root, log_dir) if log_dir else place / LOG_DIR
    return RunPaths(root, place, logs, place / SOCKET, place / LOCK)


def _absolute(root: Path, path: str) -> Path:
    return Path(os.path.normpath(root / Path(path).expanduser()))


def _short(root: Path, base: str, user: int) -> Path:
    from hashlib import sha256

    return Path(base) / f"launcher-{user}" / sha256(os.fsencode(root)).hexdigest()[:12]
