"""Where things are: the address of a component and the file of its log, as people are told."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.model.spec import Kind, ProbeKind
from launcher.observe.logs import file_name

if TYPE_CHECKING:
    from launcher.model.spec import ComponentSpec


def address(spec: ComponentSpec) -> str:
    """Return where a component can be reached, as far as the launcher knows; empty for none.

    What a command listens on need not speak HTTP, so its address has no scheme of a browser unless it is asked over HTTP.
    """
    if spec.bind is None:
        return ""
    if spec.kind is Kind.ASGI or (spec.ready is not None and spec.ready.kind is ProbeKind.HTTP):
        return spec.bind.url + spec.root_path
    return "tcp://" + spec.bind.url.removeprefix("http://")


def log_path(log_dir: str, component: str) -> str:
    """Return the file that the lines of a component are written to."""
    return str(Path(log_dir) / file_name(component))


def relative(path: str) -> str:
    """Return a path as short as it can be written from here."""
    with contextlib.suppress(OSError, ValueError):
        short = os.path.relpath(path)
        if len(short) < len(path) and not short.startswith("../../.."):
            return short
    return path
