"""The state store as commands read it, whether a launcher runs or not."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from launcher.cli.parser import paths_from, request_from
from launcher.config.secrets import redacted
from launcher.config.state import load_state
from launcher.errors import CommandFailed
from launcher.stores.base import StoreTrouble
from launcher.stores.choose import kind_of, launcher_id, opened

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from launcher.model.spec import StateSpec
    from launcher.stores.base import Store


def state_from(args: argparse.Namespace) -> StateSpec:
    """Return where the state of this project is kept.

    Raises:
        ConfigError: that is declared wrongly.
    """
    # No code of the project is asked for its agents: that takes long, and says nothing about the state.
    return load_state(replace(request_from(args), discover_agents=None))


def in_memory(state: StateSpec) -> bool:
    """Whether nobody but the running launcher has the state."""
    return kind_of(state.url) == "memory"


def this_launcher(args: argparse.Namespace, state: StateSpec) -> str:
    """Return what the launcher of this project is known by in its store."""
    return launcher_id(state.machine, str(paths_from(args).run_dir))


@contextmanager
def reading(state: StateSpec) -> Iterator[Store]:
    """The store, to be read.

    Raises:
        CommandFailed: it cannot be read.
        StoreMissing: a package is not installed.
    """
    store = opened(state)
    try:
        yield store
    except StoreTrouble as trouble:
        # Without the cause: what a library says may hold a password.
        raise CommandFailed(
            f"cannot read the state store {redacted(state.url)}: {trouble.message}", hint=trouble.hint
        ) from None
    finally:
        store.close()
