"""Fixtures: a real server, and each kind of store on something real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.model.spec import StateSpec
from launcher.stores.choose import opened
from tests.launcher.valkey import Valkey, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from launcher.stores.base import Store

KEPT = 50


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server for all tests that do it no harm."""
    with running(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, to be ill-treated."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_store(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Return what opens the store of the test; every call opens the same one anew, where it can be opened twice."""
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path / 'state' / 'state.db'}"}.get(kind, "")
    if kind == "redis":
        server: Valkey = request.getfixturevalue("shared_valkey")
        with server.client() as client:
            client.flushall()
        url = server.url
    only = opened(StateSpec(url=url, kept=KEPT))
    stores = [only]

    def again() -> Store:
        if kind == "memory":
            return only
        stores.append(opened(StateSpec(url=url, kept=KEPT)))
        return stores[-1]

    yield again
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()
