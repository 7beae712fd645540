"""Where the managers and the backend are installed: a virtual environment and a node prefix of their own, below `.boot`.

Everything that is measured runs in this one environment, ours as well, so that all import the same versions from the same disk.
"""

from __future__ import annotations

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "apps" / "backend"
LOCK = BACKEND / "requirements-peers.lock"
HOME = ROOT / ".boot" / "peers"

NODE_PACKAGES = ("pm2@7.0.4", "concurrently@10.0.7")
"""The managers that come from npm. Pinned here alone: a lock of npm would name the registry it was made with."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What can be run, and why the rest cannot.

    Attributes:
        environment: of a process that finds all of it.
        no_node: why there are no managers from npm; empty when there are.
        versions: of the managers, by name.
    """

    environment: dict[str, str]
    no_node: str
    versions: dict[str, str]

    def missing(self, program: str) -> str:
        """Why a program cannot be run; empty when it can."""
        return "" if shutil.which(program, path=self.environment["PATH"]) else f"{program} is not installed"


def prepared() -> Tools:
    """Install what is missing.

    Raises:
        SystemExit: something could not be installed.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    _install_python()
    no_node = _install_node()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAUNCHER_")}
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME"):
        kept.pop(name, None)
    paths = [
        HOME / "venv" / "bin",
        HOME / "node" / "node_modules" / ".bin",
        kept.get("PATH", os.defpath),
    ]
    environment = kept | {
        "PATH": os.pathsep.join(str(path) for path in paths),
        "VIRTUAL_ENV": str(HOME / "venv"),
        "NO_COLOR": "1",
    }
    return Tools(environment, no_node, _versions() | _node_versions(no_node))


def _install_python() -> None:
    """Fill the virtual environment from its lock when that has changed, and put in the launcher as it stands now."""
    dev: dict[str, Any] = runpy.run_path(str(ROOT / "dev"), run_name="dev")
    with dev["only_one"]() as lock:
        uv = dev["find_uv"](lock)
    venv, stamp = HOME / "venv", HOME / "installed"
    python = venv / "bin" / "python"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    to: list[str | Path] = ["--quiet", "--python", python, "--compile-bytecode"]
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(venv, ignore_errors=True)
        stamp.unlink(missing_ok=True)
        _run([uv, "venv", "--quiet", "--python", Path(sys.executable).resolve(), venv])
        _run([uv, "pip", "sync", *to, "--require-hashes", LOCK])
        stamp.write_text(wanted)
    wheels = HOME / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    _run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels],
        cwd=BACKEND,
    )
    (wheel,) = wheels.glob("*.whl")
    _run([uv, "pip", "install", *to, "--no-deps", "--reinstall", wheel])


def _install_node() -> str:
    """Install the managers from npm; return why that is not possible here, or nothing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "npm is not installed"
    stamp = HOME / "node" / "installed"
    wanted = " ".join(NODE_PACKAGES)
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    (HOME / "node").mkdir(exist_ok=True)
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    done = subprocess.run(
        [npm, "install", "--prefix", HOME / "node", *options, *NODE_PACKAGES],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        return f"npm could not install {wanted}: {reason}"
    stamp.write_text(wanted)
    return ""


def _versions() -> dict[str, str]:
    names = (
        "circus",
        "gunicorn",
        "honcho",
        "supervisor",
        "unified-launcher",
        "uvicorn",
    )
    code = f"import importlib.metadata as m; print(*(m.version(name) for name in {names!r}))"
    told = subprocess.run(
        [HOME / "venv" / "bin" / "python", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(names, told.stdout.split(), strict=True))


def _node_versions(no_node: str) -> dict[str, str]:
    parts = [] if no_node else [package.partition("@") for package in NODE_PACKAGES]
    return {name: version for name, _, version in parts}


def _run(command: Sequence[str | Path], cwd: Path = ROOT) -> None:
    """Run one step of the installation; its output matters only when it fails.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        told = " ".join(str(word) for word in command)
        raise SystemExit(f"`{told}` ended with {done.returncode}\n{done.stdout}{done.stderr}")
