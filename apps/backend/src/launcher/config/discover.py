"""Find what can be launched in a repository that knows nothing of the launcher, by reading it; nothing is imported."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Where `fastapi dev` looks, in its order; also tried below src/ and backend/.
USUAL_FILES = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
USUAL_ROOTS = ("", "src", "backend")
USUAL_NAMES = ("app", "api", "application", "asgi")
FACTORIES = ("create_app", "make_app", "get_app", "build_app", "create_application", "get_application")
FRAMEWORKS = ("FastAPI", "Starlette", "Litestar", "Quart")
AGENT_LAUNCHER_METHODS = frozenset({"load_agents", "start_all", "stop_all"})

_SKIPPED = frozenset(
    {
        "node_modules",
        "site-packages",
        "venv",
        "env",
        "build",
        "dist",
        "tests",
        "test",
        "docs",
        "examples",
        "migrations",
    }
)
_MAX_DEPTH = 4
_MAX_FILES = 2000
"""A repository is read in a moment; a home directory is not searched to its end."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that can be launched.

    Attributes:
        target: ``module:attribute``.
        path: directory that has to be on ``sys.path``, relative to the one searched; ``.`` for that one itself.
        file: where it was found, relative to the directory searched.
        factory: the attribute has to be called.
    """

    target: str
    path: str
    file: str
    factory: bool = False


def find_apps(directory: Path) -> tuple[Candidate, ...]:
    """Return the ASGI applications of a repository, the likeliest first.

    The order: ``[tool.fastapi] entrypoint``, the files that ``fastapi dev`` tries, then all others; in a file the names
    ``app`` and ``api`` before others, applications before factories.
    """
    ranked: dict[Candidate, tuple[int, int, str]] = {}
    for rank, candidate in enumerate(_entrypoints(directory)):
        ranked.setdefault(candidate, (-2, rank, ""))
    usual = [f"{root}/{name}".lstrip("/") for root in USUAL_ROOTS for name in USUAL_FILES]
    for file in sorted({*usual, *_python_files(directory)}):
        place = usual.index(file) if file in usual else len(usual) + file.count("/")
        for rank, candidate in enumerate(_apps_in(directory, file, usual=file in usual)):
            ranked.setdefault(candidate, (place, rank, file))
    return tuple(sorted(ranked, key=ranked.__getitem__))


def find_agent_launchers(directory: Path) -> tuple[Candidate, ...]:
    """Return the classes that have ``load_agents``, ``start_all`` and ``stop_all``."""
    found: list[Candidate] = []
    for file in sorted(_python_files(directory)):
        tree = _tree(directory / file, "load_agents")
        for node in tree.body if tree else ():
            if isinstance(node, ast.ClassDef) and _methods(node) >= AGENT_LAUNCHER_METHODS:
                module, path = _module(directory, file, tree)
                found.append(Candidate(f"{module}:{node.name}", path, file))
    return tuple(found)


def _methods(node: ast.ClassDef) -> set[str]:
    return {item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}


def _python_files(directory: Path) -> Iterator[str]:
    count = 0
    for place, directories, files in os.walk(directory):
        relative = os.path.relpath(place, directory)
        depth = 0 if relative == "." else relative.count(os.sep) + 1
        directories[:] = [
            name
            for name in sorted(directories)
            if depth < _MAX_DEPTH
            and not name.startswith((".", "_"))
            and name not in _SKIPPED
            and not (Path(place) / name / "pyvenv.cfg").exists()
        ]
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("test_") and name != "conftest.py":
                yield os.path.normpath(os.path.join(relative, name)).replace(os.sep, "/")  # noqa: PTH118 (text, not a file)
                count += 1
                if count >= _MAX_FILES:
                    return


def _tree(path: Path, *words: str) -> ast.Module | None:
    """Parse a file that holds one of the words; ``None`` for others and for what is no Python."""
    try:
        text = path.read_text(encoding="utf-8")
        if not any(word in text for word in words):
            return None
        return ast.parse(text)
    except (OSError, ValueError, SyntaxError, RecursionError):
        return None


# ---- applications --------------------------------------------------------------------------------------------------------------


def _entrypoints(directory: Path) -> Iterator[Candidate]:
    path = directory / "pyproject.toml"
    if not path.is_file():
        return
    import tomllib

    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
        target = tool.get("fastapi", {}).get("entrypoint", "")
    except (OSError, ValueError, AttributeError):
        return
    if isinstance(target, str) and re.match(r"^[\w.]+:\w+$", target):
        file = target.partition(":")[0].replace(".", "/")
        roots = [
            root
            for root in USUAL_ROOTS
            if any((directory / root / f"{file}{end}").is_file() for end in (".py", "/__init__.py"))
        ]
        yield Candidate(target, (roots or [""])[0] or ".", "pyproject.toml")


def _apps_in(directory: Path, file: str, *, usual: bool) -> list[Candidate]:
    tree = _tree(directory / file, *FRAMEWORKS, *(("create_app", " app", " api") if usual else ()))
    if tree is None:
        return []
    module, path = _module(directory, file, tree)
    names = _app_names(tree, usual=usual)
    if names:
        return [Candidate(f"{module}:{name}", path, file) for name in names]
    return [Candidate(f"{module}:{name}", path, file, factory=True) for name in _factory_names(tree)]


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _statements(node.body)
            yield from _statements(getattr(node, "orelse", []))


def _app_names(tree: ast.Module, *, usual: bool) -> list[str]:
    known = _framework_names(tree)
    names: dict[str, None] = {}
    for node in _statements(tree.body):
        for name, value in _assigned(node):
            if isinstance(value, ast.Call) and (
                _called(value.func, known) or (usual and name in USUAL_NAMES)
            ):
                names[name] = None
        if usual and isinstance(node, ast.ImportFrom):
            names |= dict.fromkeys("app" for alias in node.names if (alias.asname or alias.name) == "app")
    return sorted(
        names, key=lambda name: USUAL_NAMES.index(name) if name in USUAL_NAMES else len(USUAL_NAMES)
    )


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, node.value


def _framework_names(tree: ast.Module) -> set[str]:
    """Return the names that a framework's class goes by in the file."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names if alias.name in FRAMEWORKS}
    return names


def _called(function: ast.expr, known: set[str]) -> bool:
    if isinstance(function, ast.Name):
        return function.id in known
    return isinstance(function, ast.Attribute) and function.attr in FRAMEWORKS


def _factory_names(tree: ast.Module) -> list[str]:
    names = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not _needs_arguments(node)
        and (node.name in FACTORIES or _returns_app(node))
    ]
    return sorted(names, key=lambda name: FACTORIES.index(name) if name in FACTORIES else len(FACTORIES))


def _needs_arguments(node: ast.FunctionDef) -> bool:
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional > 0 or any(default is None for default in arguments.kw_defaults)


def _returns_app(node: ast.FunctionDef) -> bool:
    return (
        isinstance(node.returns, ast.Name) and node.returns.id in FRAMEWORKS and not node.name.startswith("_")
    )


# ---- modules -------------------------------------------------------------------------------------------------------------------


def _module(directory: Path, file: str, tree: ast.Module | None) -> tuple[str, str]:
    """Return how the file is imported, and the directory that makes it importable.

    A directory with ``__init__.py`` is a package, as for ``fastapi dev``. One without is one too when the file imports from
    itself by that name, or relatively.
    """
    parts = file.removesuffix(".py").split("/")
    split = len(parts) - 1
    while split > 0 and (directory.joinpath(*parts[:split]) / "__init__.py").is_file():
        split -= 1
    if split == len(parts) - 1 and split > 0 and tree is not None:
        split = _namespace_split(parts, split, _imported(tree))
    if parts[-1] == "__init__" and split < len(parts) - 1:
        parts = parts[:-1]
    return ".".join(parts[split:]), "/".join(parts[:split]) or "."


def _namespace_split(parts: list[str], split: int, imported: set[str]) -> int:
    for number in range(split):
        if parts[number] in imported:
            return number
    return split - 1 if "." in imported else split


def _imported(tree: ast.Module) -> set[str]:
    """Return the first parts of what is imported; ``.`` stands for relative imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else (node.module or "").partition(".")[0])
    return names
