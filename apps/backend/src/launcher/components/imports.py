"""Which libraries a module of the user needs, read from its source: nothing of it is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from launcher.components.blame import is_own

MOST_MODULES = 200
"""Modules of one package that are looked at; reading more would take longer than it saves."""

LARGEST = 1_000_000
"""Bytes of a source file that is still read; larger ones are data in disguise."""


def libraries_of(module: str, directories: Sequence[str], *, package: bool = False) -> list[str]:
    """Return the modules that a module and the user's own modules behind it import, without the user's own.

    Only imports that are sure to be made when the module is imported are found: not those inside functions. A name that stands for nothing is no
    error; whoever imports it will see.

    Args:
        module: dotted name, as in ``module:attribute``.
        directories: where the user's own modules lie, such as ``pythonpath``.
        package: look at the whole package of the module as well: whoever picks agents by name imports them by name, which nothing shows.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    open_ = [*_with_parents(module), *(_package_of(module, directories) if package else ())]
    while open_:
        name = open_.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _own_file(name, directories)
        if path is None:
            continue
        for imported in _imports(path, name):
            if _own_file(imported, directories) is not None:
                open_ += _with_parents(imported)
            elif not _is_attribute_of_own(imported, directories):
                found.setdefault(imported)
    return list(found)


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _package_of(module: str, directories: Sequence[str]) -> Iterator[str]:
    """Yield the modules of the package that a module is in, at most `MOST_MODULES` of them."""
    name = module.rpartition(".")[0]
    home = _own_file(name, directories) if name else None
    if home is not None and home.name == "__init__.py":
        for path in sorted(home.parent.rglob("*.py"))[:MOST_MODULES]:
            inner = path.relative_to(home.parent).with_suffix("")
            yield ".".join([name, *inner.parts])


def _own_file(module: str, directories: Sequence[str]) -> Path | None:
    relative = module.replace(".", "/")
    for directory in directories:
        for candidate in (Path(directory, relative, "__init__.py"), Path(directory, f"{relative}.py")):
            if is_own(str(candidate)) and candidate.is_file():
                return candidate
    return None


def _is_attribute_of_own(name: str, directories: Sequence[str]) -> bool:
    """Whether ``package.name`` is something that a module of the user defines, or a package without a file."""
    parent = name.rpartition(".")[0]
    if parent and _own_file(parent, directories) is not None:
        return True
    folders = (Path(directory, name.replace(".", "/")) for directory in directories)
    return any(is_own(f"{folder}/") and folder.is_dir() for folder in folders)


def _imports(path: Path, module: str) -> Iterator[str]:
    """Yield what a file imports at its top level; for ``from package import name`` both the package and ``package.name`` if it is the user's."""
    try:
        if path.stat().st_size > LARGEST:
            return
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for statement in _unconditional(tree.body):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            source = _absolute(statement, package)
            if source:
                yield source
                if statement.level or source.partition(".")[0] == module.partition(".")[0]:
                    yield from (f"{source}.{alias.name}" for alias in statement.names)


def _unconditional(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (ast.Try, ast.With)):
            yield from _unconditional(statement.body)


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    if not statement.level:
        return statement.module or ""
    base = package.split(".")
    kept = base[: len(base) - (statement.level - 1)]
    return ".".join([*kept, statement.module] if statement.module else kept)
