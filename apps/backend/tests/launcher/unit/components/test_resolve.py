"""From `module:attribute` to objects, and the errors on the way; what hosts make of them is tested with the hosts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.components.resolve import ResolveError, accepts, called, did_you_mean, kind_of, resolve


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the user's own on the module path."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "main.py").write_text(
        "import os\nclass App:\n    inner = 5\nanswer = 42\n_private = 1\n"
    )
    (tmp_path / "pkg" / "typo.py").write_text("from pkg import maim_module\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in {"pkg", "flat"}]:
        del sys.modules[name]


def test_dotted_attributes(package: Path) -> None:
    """An attribute may lie within another one."""
    assert resolve("pkg.main:answer") == 42
    assert resolve("pkg.main:App.inner") == 5


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("pkg.main", "does not name an object", "module:attribute"),
        (":app", "does not name an object", "module:attribute"),
        ("pkg.man:app", "there is no module pkg.man", "did you mean pkg.main?"),
        ("pkt.main:app", "there is no module pkt", "did you mean pkg?"),
        ("zzz.main:app", "there is no module zzz", "searched"),
        ("pkg.main.deeper:app", "pkg.main is not a package", "main.py"),
        ("pkg.main:anser", "pkg.main has no attribute anser", "did you mean answer?"),
        ("pkg.main:zzz", "pkg.main has no attribute zzz", "it has App, answer"),
        ("pkg.main:App.iner", "pkg.main:App has no attribute iner", "did you mean inner?"),
        ("pkg:zzz", "pkg has no attribute zzz", "no public names"),
        ("pkg.typo:app", "cannot import pkg.typo: pkg/typo.py:1: ImportError", ""),
    ],
)
def test_errors_say_what_to_do(package: Path, target: str, message: str, hint: str) -> None:
    """Each way to miss has a message of its own and a hint."""
    with pytest.raises(ResolveError) as caught:
        resolve(target)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_keyboard_interrupt_passes(package: Path) -> None:
    """Ctrl-C during an import is nobody's error."""
    (package / "flat.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        resolve("flat:app")


def test_the_traceback_of_the_users_code_is_kept(package: Path) -> None:
    """The whole traceback goes with the one line."""
    (package / "flat.py").write_text("def f():\n    1 / 0\nf()\n")
    with pytest.raises(ResolveError, match=r"flat.py:2: ZeroDivisionError") as caught:
        resolve("flat:app")
    assert "in f" in caught.value.traceback


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (sys, "a module"),
        (int, "a class"),
        (len, "a function"),
        (5, "an int"),
        ("x", "a str"),
        (None, "a NoneType"),
        (Path(), f"an instance of {type(Path()).__name__}"),
    ],
)
def test_kinds_of_values(value: object, text: str) -> None:
    """Values are named for people."""
    assert kind_of(value) == text


@pytest.mark.parametrize(
    ("function", "count", "fits"),
    [
        (lambda: None, 0, True),
        (lambda: None, 1, False),
        (lambda a, b=1: None, 1, True),
        (lambda *a: None, 3, True),
        (lambda *, k: None, 0, False),
        (type, 7, True),  # cannot be inspected: trusted
    ],
)
def test_what_can_be_called(function: object, count: int, fits: bool) -> None:
    """Signatures decide, and what has none is trusted."""
    assert callable(function)
    assert accepts(function, count) is fits


def test_factories() -> None:
    """A factory is called once, without arguments; its own exceptions are its own."""
    assert called("m:f", lambda: 3) == 3
    with pytest.raises(ResolveError, match="not a factory"):
        called("m:f", 3)
    with pytest.raises(ResolveError, match="without arguments"):
        called("m:f", lambda x: x)
    with pytest.raises(ZeroDivisionError):
        called("m:f", lambda: 1 / 0)


def test_suggestions() -> None:
    """Only close names are suggested."""
    assert did_you_mean("wrter", ["writer", "editor"]) == "did you mean writer?"
    assert did_you_mean("zzz", ["writer"]) == ""
