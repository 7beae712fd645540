"""Read ``.env`` files: the grammar is python-dotenv's, the variables are those of the launcher's own environment."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from launcher.errors import Problem


class Variable(NamedTuple):
    """A variable and the place it was read from, such as ``.env:3``."""

    value: str
    where: str


def read_dotenv(
    files: Sequence[tuple[Path, str]], environ: Mapping[str, str], problems: list[Problem]
) -> dict[str, Variable]:
    """Return the variables of the files, later ones winning; mistakes are added to ``problems``.

    References in values see the real environment first and then what was read so far, as ``load_dotenv`` does.

    Args:
        files: each with the name it is shown under.
        environ: the real environment.
        problems: collects what is wrong.
    """
    variables: dict[str, Variable] = {}
    for path, name in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            problems.append(Problem(name, "is not UTF-8 text", "save the file in the encoding UTF-8"))
            continue
        except OSError as error:
            problems.append(
                Problem(name, f"cannot be read: {error.strerror}", "check the path and its permissions")
            )
            continue
        _read(text, name, environ, variables, problems)
    return variables


def _read(
    text: str, name: str, environ: Mapping[str, str], variables: dict[str, Variable], problems: list[Problem]
) -> None:
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    for binding in parse_stream(io.StringIO(text)):
        raw = binding.original.string
        line = (
            binding.original.line
            + (len(raw) - len(raw.lstrip("\r\n")))
            - raw[: len(raw) - len(raw.lstrip("\r\n"))].count("\r\n")
        )
        where = f"{name}:{line}"
        if binding.error:
            problems.append(_broken(where, raw))
        elif binding.key and binding.value is not None:
            atoms = parse_variables(binding.value)
            known = {key: variable.value for key, variable in variables.items()} | dict(environ)
            variables[binding.key] = Variable("".join(atom.resolve(known) for atom in atoms), where)


def _broken(where: str, raw: str) -> Problem:
    key, equals, value = raw.strip().partition("=")
    # The value may be a secret: only the part before it is shown.
    seen = f"{key}{equals}…" if equals else key
    quote = next((mark for mark in ("'", '"') if value.lstrip().startswith(mark)), "")
    hint = f"close the quote: {key}={quote}…{quote}" if quote else "write NAME=value"
    return Problem(where, f"cannot be read: {seen}", hint)
