"""Imports libraries into a process that others will be forked from, and sees what that did to it.

Code of the project is left to the processes that run it, but for modules that the declaration names: only its author can know that a module
may be imported by one process for all.

Most imports only fill memory, which a fork shares. Some start threads or open connections, which it does not share, or only half; a child would
wait for a lock that nobody holds any more. Such libraries are found by looking, not by a list of names.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from launcher.components.blame import is_own, told
from launcher.core.warm import EVERYTHING


@dataclass(frozen=True, slots=True)
class Hazard:
    """Why a process must not be forked any more.

    Attributes:
        module: the import that it came with.
        what: what that did, for people: ``starts 3 threads when it is imported``.
    """

    module: str
    what: str


@dataclass(slots=True)
class Preload:
    """What a process has imported for others.

    Attributes:
        modules: the modules that were asked for and are there.
        absent: those that cannot be imported, and why.
        read: environment variables that were read meanwhile, and the import that read each first.
        changed: environment variables that an import has set, or removed (``None``).
        hazard: the first one found; nothing is imported after it.
    """

    modules: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str | None] = field(default_factory=dict)
    hazard: Hazard | None = None


class Preloader:
    """Imports libraries, in one or several goes.

    Attributes:
        done: what there is by now.
        shared: the modules of the project that may be imported here.
    """

    def __init__(self, importing: Callable[[str], None]) -> None:
        self._importing = importing
        self.shared: frozenset[str] = frozenset()
        self._rehearsed = False
        self._descriptors = set(_descriptors())
        self.done = Preload()

    def run(self, names: Sequence[str]) -> None:
        """Import what is not there yet, each announced to ``importing`` before.

        The collector rests: nothing is garbage yet, and a look at every object would write to the pages that are to be shared. Afterwards all that
        exists is taken out of its sight for good.
        """
        gc.disable()
        with _watched(self.done):
            for name in names:
                if self.done.hazard is not None:
                    break
                if name not in sys.modules:
                    self._import(name)
                if name in sys.modules:
                    self.done.modules.append(name)
            self._rehearse()
        gc.freeze()

    def _rehearse(self) -> None:
        """Do once what most hosts would do first.

        With its first context OpenSSL looks up every algorithm and keeps what it found: megabytes that hosts share when it was done here.
        """
        if not self._rehearsed and "ssl" in sys.modules and self.done.hazard is None:
            self._rehearsed = True
            with suppress(OSError, ValueError):
                sys.modules["ssl"].create_default_context()

    def _import(self, name: str) -> None:
        self._importing(name)
        known = set(sys.modules)
        _reader.name = name
        try:
            importlib.import_module(name)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001  # whoever needs it will meet the error again, and tell it
            self.done.absent[name] = told(error)
        self.done.hazard = self._hazard(name, known)

    def _hazard(self, name: str, known: Collection[str]) -> Hazard | None:
        # `multiprocessing` gives the program a second name.
        fresh = [module for each, module in list(sys.modules.items()) if each not in {*known, "__mp_main__"}]
        what = (
            ("" if name in self.shared else _own_code(fresh))
            or _threads()
            or _opened(set(_descriptors()) - self._descriptors)
            or _children()
        )
        return Hazard(name, what) if what else None


def imported(since: int) -> list[str]:
    """Return the libraries that were imported after there were so many modules, in the order in which their imports began.

    Only the new ones are looked at: a look at a module writes to its reference count, and thereby to a page that is shared.
    """
    fresh = list(itertools.islice(reversed(sys.modules), max(0, len(sys.modules) - since)))
    found = []
    for name in reversed(fresh):
        path = getattr(sys.modules[name], "__file__", None)
        if isinstance(path, str) and not name.startswith(("launcher.", "__")) and not is_own(path):
            found.append(name)
    return found


def fingerprint() -> dict[str, int]:
    """Return the files that the imported modules came from, and when each was last changed."""
    found = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and not is_standard(path):
            found[path] = _changed_at(path)
    return found


def changed_since(before: dict[str, int]) -> str:
    """Return a file of a fingerprint that is not what it was, or nothing."""
    return next((path for path, at in before.items() if _changed_at(path) != at), "")


def is_standard(path: str) -> bool:
    """Whether a file belongs to Python itself, which nobody changes under a running program."""
    return path.startswith(sys.base_prefix) and "-packages" not in path


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  # some hundred files on the way of every start
    except OSError:
        return 0


def _own_code(modules: Sequence[ModuleType]) -> str:
    for module in modules:
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and is_own(path):
            return f"imports {module.__name__}, which is code of the project"
    return ""


def _threads() -> str:
    """Ask the system: threads of native code are unknown to ``threading``."""
    count = len(os.listdir("/proc/self/task")) - 1  # noqa: PTH208  # a plain count, on the way of every import
    return f"starts {count} thread{'s' if count != 1 else ''} when it is imported" if count > 0 else ""


def _descriptors() -> Iterator[int]:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # as above
        with suppress(OSError):  # the one that the directory was read through is closed again
            os.fstat(int(name))
            yield int(name)


def _opened(fresh: set[int]) -> str:
    """Describe descriptors that cannot be shared by two processes. Plain files can: they are data that a library reads."""
    for descriptor in sorted(fresh):
        mode = os.fstat(descriptor).st_mode
        kind = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if stat.S_ISSOCK(mode):
            return "opens a socket when it is imported"
        if "eventpoll" in kind:
            return "makes an event loop when it is imported"
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISCHR(mode)):
            return f"opens {kind.partition(':')[0]} when it is imported"
    return ""


def _children() -> str:
    try:
        children = Path("/proc/self/task", str(os.getpid()), "children").read_text().split()
    except OSError:
        return ""
    return "starts a process when it is imported" if children else ""


class _Reader:
    """Who reads the environment just now."""

    name = ""
    seen: dict[str, str] = {}  # noqa: RUF012  # one process, one reader


_reader = _Reader()


class _WatchedEnvironment(type(os.environ)):  # type: ignore[misc]  # the class has no public name
    """``os.environ`` that remembers which of its variables were read."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):  # `os.get_exec_path` tries bytes, too
            _reader.seen.setdefault(key, _reader.name)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        _reader.seen.setdefault(EVERYTHING, _reader.name)
        return super().__iter__()  # type: ignore[no-any-return]  # the base is not known to the type checker


@contextmanager
def _watched(done: Preload) -> Iterator[None]:
    """Note which variables imports read and change."""
    before = dict(os.environ)
    plain = type(os.environ)
    _reader.seen = done.read
    os.environ.__class__ = _WatchedEnvironment
    try:
        yield
    finally:
        os.environ.__class__ = plain
        after = dict(os.environ)
        done.changed.update({name: value for name, value in after.items() if before.get(name) != value})
        done.changed.update(dict.fromkeys(before.keys() - after.keys()))
