"""Read the file of a declaration, and say where in it each key stands."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from launcher.config.entries import Document, Place, flattened
from launcher.config.fields import KeyPath
from launcher.config.lines import line_of, places
from launcher.config.locate import Found
from launcher.config.table import ROOT
from launcher.errors import Problem

_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


class Source(NamedTuple):
    """A file that was read, or the absence of one.

    Attributes:
        name: how the file is shown; empty when there is none.
        document: what it declares.
    """

    name: str
    document: Document


def read_source(found: Found, directory: Path, problems: list[Problem]) -> Source:
    """Read and flatten a file; everything that is wrong with it is added to ``problems``."""
    name = shown_path(found.path, directory)
    try:
        text = found.path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(
            Problem(name, f"is not UTF-8 text (byte {error.start})", "save the file in the encoding UTF-8")
        )
        return Source(name, Document())
    except OSError as error:
        problems.append(Problem(name, f"cannot be read: {error.strerror}", "check its permissions"))
        return Source(name, Document())
    raw = _parsed(text, name, problems)
    if raw is None:
        return Source(name, Document())
    for part in found.table:
        inner = raw.get(part, {})
        raw = inner if isinstance(inner, dict) else {}
    return Source(name, flattened(raw, ROOT, _place(name, text, found.table), problems))


def shown_path(path: Path, directory: Path) -> str:
    """Return a path as somebody in ``directory`` would write it."""
    relative = os.path.relpath(path, directory.resolve())
    return relative if not relative.startswith(os.path.join("..", "..", "..")) else str(path)  # noqa: PTH118 (text, not a file)


def _parsed(text: str, name: str, problems: list[Problem]) -> Mapping[str, object] | None:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(syntax_problem(text, name, str(error)))
    except RecursionError:
        problems.append(Problem(name, "is not valid TOML: nested too deeply", "use fewer brackets"))
    return None


def syntax_problem(text: str, name: str, message: str) -> Problem:
    """Turn the message of ``tomllib`` into a problem that shows the line."""
    lines = text.splitlines() or [""]
    position = _POSITION.search(message)
    what = _POSITION.sub("", message)
    number = int(position[1]) if position and position[1] else len(lines)
    column = int(position[2]) if position and position[2] else len(lines[-1]) + 1
    line = lines[min(number, len(lines)) - 1]
    return Problem(
        f"{name}:{number}",
        f"is not valid TOML: {what} (column {column}): {_without_secret(line.strip())}",
        _syntax_hint(what, line),
    )


def _without_secret(line: str) -> str:
    from launcher.config.secrets import MASK, is_secret_name, redacted

    key, equals, _ = line.partition("=")
    bare = key.strip().strip("\"'").rpartition(".")[2]
    return f"{key}= {MASK}" if equals and is_secret_name(bare) else redacted(line)


def _syntax_hint(what: str, line: str) -> str:
    lowered = what.lower()
    value = line.partition("=")[2].strip()
    if "overwrite" in lowered or "twice" in lowered or "declare" in lowered or "mutate" in lowered:
        return "the same key or table is there twice: keep one"
    if "invalid value" in lowered and re.match(r"^(True|False)\b", value):
        return "write true or false in lower case"
    if "invalid value" in lowered and value and value[0] not in "\"'[{":
        return "put text in double quotes"
    if "illegal character" in lowered or "unterminated" in lowered:
        return "close the quote; a text over several lines stands between three of them"
    if "escape" in lowered:
        return "write \\\\ for a backslash, or put the text in single quotes"
    if "'='" in what:
        return "write KEY = VALUE, or [TABLE] on a line of its own"
    return ""


def _place(name: str, text: str, table: tuple[str, ...]) -> Place:
    known = places(text)

    def source(path: KeyPath) -> str:
        line = line_of(known, (*table, *path))
        return f"{name}:{line}" if line else name

    def where(path: KeyPath) -> str:
        return f"{source(path)}: {'.'.join((*table, *path))}"

    return Place(where, source)
