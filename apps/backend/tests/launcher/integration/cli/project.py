"""A project directory and its command line as a user has them: real processes, nothing of the test's own environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "COVERAGE_PROCESS_CONFIG",
    "COVERAGE_PROCESS_START",
    "PYTHONPATH",
)


@dataclass(frozen=True)
class Project:
    """A directory to give commands in."""

    root: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {name: os.environ[name] for name in KEPT if name in os.environ} | more

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "launcher", *words]

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Give one command and wait for its end."""
        return subprocess.run(
            self.command(*words),
            cwd=self.root,
            env=self.environment(**environ),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=100,
            check=False,
        )

    def json(self, *words: str, code: int = 0) -> Any:
        """Give one command with -o json: standard output is one document and nothing else."""
        ended = self.run(*words, "-o", "json")
        assert ended.returncode == code, ended
        assert ended.stderr == ""
        return json.loads(ended.stdout)

    def declare(self, text: str) -> None:
        (self.root / "launcher.toml").write_text(text)
