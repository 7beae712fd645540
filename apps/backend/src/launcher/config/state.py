"""Where the state is kept: from entries to a spec, and without the rest of the declaration where nothing else is needed."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from launcher.config import environment
from launcher.config.build import Values
from launcher.config.entries import Document, parsed
from launcher.config.layers import Messages, Request, merged
from launcher.config.locate import find_file
from launcher.config.table_state import STATE
from launcher.errors import ConfigError, Problem
from launcher.model.spec import StateSpec

_FILE = "sqlite:///"


def state(document: Document, root: Path) -> StateSpec:
    """Make the spec out of checked entries.

    Args:
        document: all layers merged.
        root: project directory; the path of a file is relative to it.
    """
    values = Values(document.below(("state",)), STATE)
    url = values.text("url")
    if url.startswith(_FILE):
        url = _FILE + os.path.normpath(root / Path(url.removeprefix(_FILE)).expanduser())
    return StateSpec(
        url=url,
        expiry=values.number("expiry"),
        kept=values.whole("kept"),
        kept_for=values.number("kept_for"),
        machine=values.text("machine") or platform.node() or "localhost",
    )


def load_state(request: Request) -> StateSpec:
    """Return where the state of a project is kept, whatever is wrong with the rest of its declaration.

    Raises:
        ConfigError: with what is wrong about the state, or when nothing can be read at all.
    """
    messages = Messages()
    if find_file(request.directory, request.environ, request.file) is None:
        # As for a launcher that was started without any file.
        document, root = _from_environment(request, messages.problems), request.directory.resolve()
    else:
        layers = merged(request, messages)
        document, root = layers.document, layers.root
    own = [entry for path, entry in document.entries.items() if path[0] == "state"]
    places = {entry.where for entry in own}
    problems = [problem for problem in messages.problems if problem.where in places]
    problems += [entry.missing for entry in own if entry.missing]
    if problems:
        raise ConfigError(problems)
    return state(document, root)


def _from_environment(request: Request, problems: list[Problem]) -> Document:
    prefix = f"{environment.PREFIX}STATE__"
    given = [
        (name, value, f"environment {name}")
        for name, value in sorted(request.environ.items())
        if name.startswith(prefix)
    ]
    document = environment.from_environment(given, Document(), problems)
    entries = {path: parsed(entry, request.environ, problems) for path, entry in document.entries.items()}
    return Document(entries, document.tables)
