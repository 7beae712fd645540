"""From ``module:attribute`` to the object, with errors that say what is wrong and what to do."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

from launcher.components.blame import full, interpreter, is_own, told
from launcher.errors import LauncherError

SHOWN_CANDIDATES = 8
"""How many names an error lists at most."""


class ResolveError(LauncherError):
    """A target cannot be had, or is not what its kind of component needs; starting it again as declared cannot help.

    Attributes:
        traceback: the whole traceback, when code of the user failed; empty otherwise.
    """

    def __init__(self, message: str, *, hint: str = "", traceback: str = "") -> None:
        super().__init__(message, hint=hint)
        self.traceback = traceback


def resolve(target: str) -> object:
    """Import the module of ``module:attribute`` and return the attribute, which may be dotted.

    Raises:
        ResolveError: the module or attribute is missing, or the user's code failed while being imported.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        raise ResolveError(
            f"{target!r} does not name an object", hint="write module:attribute, such as api.main:app"
        )
    if module_name == "launcher":
        raise ResolveError(
            "launcher is the launcher's own package", hint="rename launcher.py, or move it into a package"
        )
    found: object = _import(module_name)
    done = module_name
    for name in path.split("."):
        found = _attribute(found, done, name)
        done = f"{done}:{name}" if done == module_name else f"{done}.{name}"
    return found


def called(target: str, factory: object) -> object:
    """Call a factory without arguments.

    Raises:
        ResolveError: it cannot be called so. What it raises by itself is passed on.
    """
    if not callable(factory):
        raise ResolveError(
            f"{target} is {kind_of(factory)}, not a factory", hint="leave out `factory = true`"
        )
    if not accepts(factory, 0):
        raise ResolveError(
            f"{target} is no factory: it cannot be called without arguments",
            hint="give its parameters defaults",
        )
    product: object = factory()
    return product


def accepts(function: Callable[..., object], count: int) -> bool:
    """Whether a callable can be called with ``count`` positional arguments; what cannot be inspected is trusted."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def kind_of(value: object) -> str:
    """Return what a value is, for messages: ``a function``, ``a class``, ``an instance of Thing``."""
    if inspect.ismodule(value):
        return "a module"
    if inspect.isclass(value):
        return "a class"
    if inspect.isroutine(value):
        return "an async function" if inspect.iscoroutinefunction(value) else "a function"
    name = type(value).__name__
    return (
        f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
        if type(value).__module__ == "builtins"
        else (f"an instance of {name}")
    )


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return ``did you mean NAME?`` for the closest candidate, or nothing."""
    close = difflib.get_close_matches(name, list(candidates), n=1)
    return f"did you mean {close[0]}?" if close else ""


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise _missing_module(name, error.name, str(error)) from None
        raise _failed_import(name, error) from error
    except SystemExit as error:
        raise ResolveError(
            f"{name} called sys.exit({error.code!r}) while being imported ({told(error)})",
            hint='put what is only for running the file under `if __name__ == "__main__":`',
            traceback=full(error),
        ) from error
    except Exception as error:
        raise _failed_import(name, error) from error


def _missing_module(wanted: str, missing: str, said: str) -> ResolveError:
    parent, _, last = missing.rpartition(".")
    if "is not a package" in said:
        origin = getattr(sys.modules.get(parent), "__file__", None)
        return ResolveError(
            f"there is no module {wanted}: {parent} is not a package",
            hint=f"{parent} is {origin}" if origin else "",
        )
    siblings = _modules_of(parent) if parent else _own_modules()
    suggestion = did_you_mean(last, siblings)
    if suggestion and parent:
        suggestion = suggestion.replace("mean ", f"mean {parent}.")
    searched = ", ".join(_own_directories()) or "no directory of the project"
    return ResolveError(
        f"there is no module {missing}",
        hint=suggestion or f"searched {searched}: add the directory that holds it to `pythonpath`",
    )


def _failed_import(name: str, error: Exception) -> ResolveError:
    hint = ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"install what provides {error.name.partition('.')[0]} for {interpreter()}"
    return ResolveError(f"cannot import {name}: {told(error)}", hint=hint, traceback=full(error))


def _modules_of(package: str) -> Sequence[str]:
    paths = getattr(sys.modules.get(package), "__path__", ())
    return [module.name for module in pkgutil.iter_modules(list(paths))]


def _own_directories() -> list[str]:
    entries = [str(Path(entry).absolute()) for entry in sys.path if not entry.endswith(".zip")]
    return [entry for entry in dict.fromkeys(entries) if is_own(f"{entry}{os.sep}")]


def _own_modules() -> Sequence[str]:
    return [module.name for module in pkgutil.iter_modules(_own_directories())]


def _attribute(owner: object, owner_name: str, name: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError:
        pass
    names = [each for each in _public(owner) if each != name]
    listed = ", ".join(names[:SHOWN_CANDIDATES]) + (", …" if len(names) > SHOWN_CANDIDATES else "")
    raise ResolveError(
        f"{owner_name} has no attribute {name}",
        hint=did_you_mean(name, names) or (f"it has {listed}" if names else "it defines no public names"),
    )


def _public(owner: object) -> list[str]:
    """Names that may be meant: public, no modules, and, of a module, its own before those it imported."""
    values = (
        {name: value for name, value in vars(owner).items() if not name.startswith("_")}
        if (hasattr(owner, "__dict__"))
        else {}
    )
    names = [name for name, value in values.items() if not inspect.ismodule(value)]
    home = getattr(owner, "__name__", None)
    return sorted(names, key=lambda name: getattr(values[name], "__module__", home) != home)
