"""Crash reports: one file of JSON for each incarnation that ended badly, the latest few of each component."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = 20
"""Reports kept for each component; older ones are removed."""

LINES = 50
"""Last lines of output in a report."""

LONGEST_LINE = 2000
"""Characters of a line that a report holds; the log file has all of it."""

_SUFFIX = ".json"


def crash_dir(run_dir: str | os.PathLike[str]) -> Path:
    """Return where the reports of a project are."""
    return Path(run_dir) / "crashes"


def write(directory: Path, document: Mapping[str, Any]) -> Path:
    """Write a report, and remove those of its component that are too many; nobody ever sees half of one.

    Raises:
        OSError: that is not possible.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    component = str(document["component"])
    stamp = str(document["time"]).replace(":", "").replace("-", "")
    path = directory / f"{component}@{stamp}-{document['incarnation']}{_SUFFIX}"
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123 (a descriptor)
        json.dump(document, file, indent=2, ensure_ascii=False)
    unfinished.replace(path)
    for old in reports(directory, component)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def reports(directory: Path, component: str = "") -> list[Path]:
    """Return the reports of a component, or of all, youngest first."""
    try:
        found = [path for path in directory.iterdir() if path.suffix == _SUFFIX and "@" in path.name]
    except OSError:
        return []
    own = [path for path in found if not component or path.name.partition("@")[0] == component]
    return sorted(own, key=lambda path: path.name.partition("@")[2], reverse=True)


def read(path: Path) -> dict[str, Any] | None:
    """Return a report, or nothing for what is none."""
    with contextlib.suppress(OSError, ValueError):
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "component" in document:
            return document
    return None
