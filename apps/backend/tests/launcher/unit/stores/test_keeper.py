"""What the launcher leaves its state with, and what that needs."""

from __future__ import annotations

import sys

import pytest

from launcher.model.spec import StateSpec
from launcher.model.stores import Snapshot, StoreState
from launcher.stores.choose import StoreMissing, kind_of, launcher_id, require
from launcher.stores.keeper import MemoryKeeper, keeper, lifetime
from launcher.stores.writer import Writer


def snapshot(_state: StoreState, _ended: bool) -> Snapshot:
    return Snapshot({}, 1.0)


def kept(state: StateSpec) -> object:
    return keeper(state, "me", state.url, snapshot, print)


@pytest.mark.parametrize(
    ("url", "kind", "keeps"),
    [
        ("memory://", "memory", MemoryKeeper),
        ("sqlite:////srv/state.db", "sqlite", Writer),
        ("redis://h", "redis", Writer),
        ("rediss://h", "redis", Writer),
        ("valkeys://h", "redis", Writer),
    ],
)
def test_who_keeps_what(url: str, kind: str, keeps: type) -> None:
    """Memory is kept at once, everything else by a writer; nothing is connected to or made for that."""
    assert kind_of(url) == kind
    assert isinstance(kept(StateSpec(url=url)), keeps)


def test_memory_keeps_the_latest() -> None:
    """The running launcher tells its last transitions in order, and its store is always well."""
    memory = MemoryKeeper(3, "memory://")
    memory.start()
    for number in range(5):
        memory.put({"number": number})
        memory.touch()
    memory.close()
    assert [(record.seq, record.body["number"]) for record in memory.records()] == [(3, 2), (4, 3), (5, 4)]
    assert len({record.run for record in memory.records()}) == 1
    assert memory.state().reachable is True


@pytest.mark.parametrize(
    ("url", "beat", "forgotten"), [("redis://h", 5.0, 150.0), ("sqlite:////s.db", 200.0, 600.0)]
)
def test_how_often_a_sign_of_life_is_given(url: str, beat: float, forgotten: float) -> None:
    """In a server, who is silent for the expiry is lost; in a file, a sign only keeps an idle launcher from being forgotten."""
    state = StateSpec(url=url, expiry=15.0, kept_for=600.0)
    writer = kept(state)
    assert isinstance(writer, Writer)
    assert (writer._rhythm.beat, lifetime(state)) == (beat, forgotten)


@pytest.mark.parametrize(("url", "package"), [("redis://:s3cret@h", "redis"), ("sqlite:////s.db", "sqlite3")])
def test_a_package_that_is_missing(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store needs is looked for before anything is started, and the message names the package."""
    require(StateSpec(url=url))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StoreMissing, match=f"package {package} is not installed") as told:
        require(StateSpec(url=url))
    assert told.value.hint
    assert "s3cret" not in told.value.message


def test_launchers_are_told_apart() -> None:
    """A launcher is the same after a restart, and another one in another directory or on another machine."""
    known = launcher_id("web-1", "/srv/.launcher")
    assert known == launcher_id("web-1", "/srv/.launcher")
    assert len({known, launcher_id("web-2", "/srv/.launcher"), launcher_id("web-1", "/opt/.launcher")}) == 3
    assert launcher_id("web-1\udcff", "/srv")
