"""Which libraries the source of a module asks for."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from launcher.components.imports import LARGEST, libraries_of


def write(root: Path, **files: str) -> list[str]:
    """Write modules, ``__`` for a slash, and return where they are."""
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return [str(root)]


def test_own_modules_are_followed(tmp_path: Path) -> None:
    """Libraries behind the user's own modules and packages are found, the user's own are not listed."""
    where = write(
        tmp_path,
        api__init="",
        api__main="from api.routes import articles\nfrom .models import Article\nimport helpers, lib_a.sub as x\n",
        api__routes__init="import lib_b",
        api__routes__articles="from lib_c.deep import name",
        api__models="from lib_d import Base\nclass Article(Base): ...",
        helpers="import lib_e",
    )
    for package in ("api", "api/routes"):
        (tmp_path / package / "init.py").rename(tmp_path / package / "__init__.py")
    found = libraries_of("api.main", where)
    assert sorted(found) == ["lib_a.sub", "lib_b", "lib_c.deep", "lib_d", "lib_e"]


def test_only_what_is_sure_to_be_imported(tmp_path: Path) -> None:
    """Imports in functions and under conditions are left to the host; those in a `try` are tried."""
    where = write(
        tmp_path,
        jobs="""
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import only_for_types
        try:
            import fast
        except ImportError:
            import slow
        def later():
            import lazy
        """,
    )
    assert libraries_of("jobs", where) == ["typing", "fast"]


def test_parents_of_a_module_are_imported_with_it(tmp_path: Path) -> None:
    """A package's own file is read, too."""
    where = write(tmp_path, package__inner__jobs="import lib_a", package__top="")
    (tmp_path / "package" / "__init__.py").write_text("import lib_b")
    assert sorted(libraries_of("package.inner.jobs", where)) == ["lib_a", "lib_b"]


@pytest.mark.parametrize("text", ["def broken(:", "import \0", ""])
def test_what_cannot_be_read_is_no_error(tmp_path: Path, text: str) -> None:
    """A file with a mistake is told by its host, not here."""
    assert libraries_of("jobs", write(tmp_path, jobs=text)) == []
    assert libraries_of("missing.module", [str(tmp_path)]) == []


def test_huge_files_are_data(tmp_path: Path) -> None:
    """A generated file of many megabytes does not hold up the start."""
    assert libraries_of("jobs", write(tmp_path, jobs="import lib\n" + "#" * LARGEST)) == []


def test_installed_modules_are_libraries_wherever_they_lie(tmp_path: Path) -> None:
    """A directory of installed packages on the module path does not make them the user's own."""
    where = write(tmp_path, jobs="import installed", **{"site-packages__installed": "import other"})
    assert libraries_of("jobs", [*where, str(tmp_path / "site-packages")]) == ["installed"]


def test_circles_end(tmp_path: Path) -> None:
    """Modules that import each other are read once."""
    where = write(tmp_path, a="import b, lib_a", b="import a, lib_b")
    assert sorted(libraries_of("a", where)) == ["lib_a", "lib_b"]


def test_a_package_can_be_looked_at_as_a_whole(tmp_path: Path) -> None:
    """Modules that nothing imports by name are read where somebody may pick them at run time."""
    where = write(
        tmp_path,
        agents__launcher="import lib_a",
        agents__writer="import lib_b",
        agents__deep__critic="import lib_c",
    )
    (tmp_path / "agents" / "__init__.py").write_text("")
    assert libraries_of("agents.launcher", where) == ["lib_a"]
    assert sorted(libraries_of("agents.launcher", where, package=True)) == ["lib_a", "lib_b", "lib_c"]
    assert libraries_of("alone", write(tmp_path, alone="import lib_d"), package=True) == ["lib_d"]
