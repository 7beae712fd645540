"""Components given as arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.model.spec import Kind
from tests.launcher.unit.config.support import API, component, loaded, names, problem, project

GUESSES = [
    ("x=api.main:app", Kind.ASGI, "api.main:app", False, True),
    ("x=a.b:asgi_application", Kind.ASGI, "a.b:asgi_application", False, True),
    ("x=a.b:create_app", Kind.ASGI, "a.b:create_app", True, True),
    ("x=a.b:app_factory", Kind.ASGI, "a.b:app_factory", True, True),
    ("x=a.main:site", Kind.ASGI, "a.main:site", False, False),
    ("x=agents.writer:run", Kind.AGENT, "agents.writer:run", False, True),
    ("x=app.jobs:run", Kind.AGENT, "app.jobs:run", False, True),
    ("x=a.b:WriterAgent", Kind.AGENT, "a.b:WriterAgent", False, True),
    ("x=a.b:thing", Kind.AGENT, "a.b:thing", False, False),
    ("x=asgi:a.b:thing", Kind.ASGI, "a.b:thing", False, True),
    ("x=agent:a.main:app", Kind.AGENT, "a.main:app", False, True),
    ("x=asgi:application", Kind.ASGI, "asgi:application", False, True),
]


@pytest.mark.parametrize(("pair", "kind", "target", "factory", "sure"), GUESSES)
def test_kinds(tmp_path: Path, pair: str, kind: Kind, target: str, factory: bool, sure: bool) -> None:
    """The kind follows from the names, or from a prefix; a guess without good reason is said."""
    result = loaded(tmp_path, pairs=(pair,))
    spec = component(result, "x")
    assert (spec.kind, spec.target, spec.factory) == (kind, target, factory)
    assert bool(result.notes) is not sure


def test_commands(tmp_path: Path) -> None:
    """A command keeps everything after its prefix."""
    assert component(loaded(tmp_path, pairs=("db=cmd:./serve --at 'a b'@1:2",)), "db").command == (
        "./serve",
        "--at",
        "a b@1:2",
    )


def test_ports(tmp_path: Path) -> None:
    """Applications get 8000 and what is free after it."""
    result = loaded(tmp_path, pairs=("a=x:app", "b=y:app@8001", "c=z:app", "d=w:run"))
    assert [spec.bind.port if spec.bind else None for spec in result.spec.components] == [
        8000,
        8001,
        8002,
        None,
    ]


def test_with_a_file(tmp_path: Path) -> None:
    """Arguments replace a file that was merely found, and add to one that was asked for."""
    project(tmp_path, API)
    alone = loaded(tmp_path, pairs=("w=a:run",))
    assert names(alone) == ["w"]
    assert alone.spec.source == ""
    assert "launcher.toml is not read" in alone.notes[0]
    both = loaded(tmp_path, pairs=("w=b:app",), file=Path("launcher.toml"))
    assert names(both) == ["api", "w"]


MISTAKES = [
    (("main:app",), '"main:app" is not NAME=TARGET', "write api=main:app"),
    (("api",), '"api" is not NAME=TARGET', "for example api=api.main:app"),
    (("a.b=x:app",), 'is not a usable name: "a.b"', "a dot is made"),
    (("=x:app",), 'is not a usable name: ""', "letters"),
    (("a=x:app", "a=y:app"), "a is declared already: argument a=x:app", "another name"),
    (("a=x.py",), 'must be "module:attribute", not "x.py"', 'did you mean "x:app"?'),
    (("a=x:app@99999",), "must be a port from 1 to 65535, not the number 99999", ""),
    (("a=x:app@y",), 'must be a port from 1 to 65535, not the text "y"', ""),
    (("a=x:run@80",), "port means nothing for an agent", "leave it out"),
    (("a=cmd: ",), "names no program to run", "alembic"),
]


@pytest.mark.parametrize(("pairs", "what", "hint"), MISTAKES)
def test_mistakes(tmp_path: Path, pairs: tuple[str, ...], what: str, hint: str) -> None:
    """A wrong argument is quoted in the answer."""
    found = problem(tmp_path, pairs=pairs)
    assert found.where == f"argument {pairs[-1]}"
    assert what in found.what
    assert hint in found.hint
