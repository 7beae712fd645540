"""The time that ``launcher wait`` gives to several replicas."""

from __future__ import annotations

from typing import Any, cast

from launcher.cli.wait import _waited
from launcher.client import Client


class Patient:
    """A client that waits for nothing and remembers how long it might have."""

    def __init__(self) -> None:
        self.given: list[tuple[str, float | None]] = []

    def wait(self, name: str, _condition: str, timeout: float | None) -> dict[str, Any]:
        self.given.append((name, timeout))
        return {"name": name}


def waited(timeout: float | None) -> list[tuple[str, float | None]]:
    client = Patient()
    documents = list(_waited(cast("Client", client), ["api", "api.2", "api.3"], "ready", timeout))
    assert [document["name"] for document in documents] == ["api", "api.2", "api.3"]
    return client.given


def test_the_time_is_for_all_together() -> None:
    """Each one has what those before it have left."""
    left = [seconds for _, seconds in waited(5.0) if seconds is not None]
    assert len(left) == 3
    assert 5.0 >= left[0] > left[1] > left[2] >= 0.0


def test_without_a_time_the_launcher_decides() -> None:
    """What the declaration allows is left to the launcher, for each one."""
    assert [seconds for _, seconds in waited(None)] == [None] * 3


def test_no_time_is_not_less_than_none() -> None:
    """A time of zero asks how it is now."""
    assert [seconds for _, seconds in waited(0.0)] == [0.0] * 3
