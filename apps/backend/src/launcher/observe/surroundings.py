"""What can be seen of where the launcher runs; mode ``auto`` decides by it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.core.plan import Surroundings

if TYPE_CHECKING:
    from collections.abc import Mapping


def surroundings(environ: Mapping[str, str] = os.environ) -> Surroundings:
    """Return what mode ``auto`` takes into account."""
    production = [
        f"{name}={value}"
        for name, value in environ.items()
        if name.endswith("_ENV") and value == "production"
    ]
    in_ci = environ.get("CI", "").lower() in {"1", "true", "yes"}
    return Surroundings(
        ci=f"CI={environ['CI']}" if in_ci else "",
        production=production[0] if production else "",
        container="KUBERNETES_SERVICE_HOST" in environ
        or Path("/.dockerenv").exists()
        or Path("/run/.containerenv").exists(),
        terminal=sys.stdin is not None and sys.stdin.isatty(),
    )
