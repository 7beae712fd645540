"""Which store a URL means. What a store needs is imported only when that store is used: `launcher check` is to answer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import LauncherError

if TYPE_CHECKING:
    from launcher.model.spec import StateSpec
    from launcher.stores.base import Store

_NEEDS = {
    "sqlite": ("sqlite3", "take a Python that was built with SQLite, or another store"),
    "redis": ("redis", "pip install 'unified-launcher[redis]'"),
}


class StoreMissing(LauncherError):
    """The store that is declared needs a package that is not installed."""


def kind_of(url: str) -> str:
    """Return ``memory``, ``sqlite`` or ``redis``."""
    scheme = url.partition("://")[0].lower()
    return scheme if scheme in {"memory", "sqlite"} else "redis"


def require(state: StateSpec) -> None:
    """See that the store can be used at all, without touching it.

    Raises:
        StoreMissing: a package is not installed.
    """
    kind = kind_of(state.url)
    if kind not in _NEEDS:
        return
    from importlib.util import find_spec

    package, hint = _NEEDS[kind]
    if find_spec(package) is None:
        scheme = state.url.partition("://")[0]
        raise StoreMissing(
            f"cannot keep the state in {scheme}://: the package {package} is not installed", hint=hint
        )


def opened(state: StateSpec) -> Store:
    """Return the store of a declaration; nothing is connected to or made yet.

    Raises:
        StoreMissing: a package is not installed.
    """
    require(state)
    kind = kind_of(state.url)
    if kind == "sqlite":
        from launcher.stores.sqlite import SqliteStore

        return SqliteStore(state.url.removeprefix("sqlite:///"), state.kept, state.kept_for)
    if kind == "redis":
        from launcher.stores.redis import RedisStore

        return RedisStore(state.url, state.kept, state.kept_for)
    from launcher.stores.memory import MemoryStore

    return MemoryStore(state.kept)


def launcher_id(machine: str, run_dir: str) -> str:
    """Return what a launcher is known by in a store: the same after a restart, another one in another directory or on another machine.

    Only one launcher at a time can have a run directory.
    """
    from hashlib import sha256

    return sha256(f"{machine}\0{run_dir}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
