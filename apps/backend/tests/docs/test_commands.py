"""Commands in the documentation can be typed as they stand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from launcher.cli import COMMANDS
from launcher.cli.parser import Parser
from tests.docs.pages import CHINESE, ENGLISH, PAGES, ROOT, rows, spoken


def _lines() -> Iterator[str]:
    for page in PAGES:
        for code in spoken(page):
            for command in re.split(r"&&|\|\||;", code):
                # dev hands the launcher's verbs on as they are.
                match = re.match(
                    r"(?:[A-Z_]+=\S+ )*(?:launcher|python3 dev(?: run launcher)?) ([a-z].*)$", command.strip()
                )
                if match:
                    yield match[1]


DEV_ALONE = frozenset({"test", "lint", "format", "types", "imports", "run", "bench", "lock", "setup"})
LINES = sorted({line for line in _lines() if line.split()[0] not in DEV_ALONE - set(COMMANDS)})


def test_there_are_commands() -> None:
    """The documentation tells what to type, for every verb."""
    assert {line.split()[0] for line in LINES} >= set(COMMANDS)


@pytest.mark.parametrize("line", LINES)
def test_commands_are_understood(line: str) -> None:
    """Every command that a page shows has a verb that exists, and options that the verb has."""
    verb, *arguments = shlex.split(line)
    assert verb in COMMANDS
    parser = Parser(prog=f"launcher {verb}")
    module = import_module(f"launcher.cli.{COMMANDS[verb].module}")
    module.configure(parser, verb)
    required = ["NAME"] if verb in {"start", "stop", "restart", "run", "scale"} and not arguments else []
    parser.parse_args([*arguments, *required])


@pytest.mark.parametrize("readme", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_readme_lists_every_verb(readme: Path) -> None:
    """The table of commands has a row for every verb and no other."""
    told = [re.findall(r"`launcher ([a-z]+)`", row[0]) for row in rows(readme)]
    assert {verb for verbs in told for verb in verbs} == set(COMMANDS)


def test_benchmarks_exist() -> None:
    """Every benchmark that a page names is there."""
    named = {
        name for page in PAGES for code in spoken(page) for name in re.findall(r"\bdev bench (\w+)", code)
    }
    home = ROOT / "benchmarks"
    there = [*home.glob("*.py"), *(path.parent for path in home.glob("*/__main__.py"))]
    assert named
    assert named - {path.stem for path in there} == set()
