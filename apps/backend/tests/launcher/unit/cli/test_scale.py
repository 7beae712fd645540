"""Which numbers of replicas are asked for, and in which order replicas are restarted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import pytest

from launcher.cli.control import carry_out
from launcher.cli.scale import wanted
from launcher.errors import CommandFailed, LauncherError, UsageError

if TYPE_CHECKING:
    from launcher.documents import ComponentDocument


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["web=3"], {"web": 3}),
        (["web", "3"], {"web": 3}),
        (["web=3", "agents.writer=2"], {"web": 3, "agents.writer": 2}),
        (["web=-1"], {"web": -1}),
    ],
)
def test_numbers(words: list[str], numbers: dict[str, int]) -> None:
    """Pairs, or one name and one number; whether the number makes sense is for the launcher to say."""
    assert wanted(words) == numbers


@pytest.mark.parametrize(
    "words",
    [["web"], ["web="], ["=3"], ["web=three"], ["web", "3", "4"], ["web=2", "web=3"], ["web", "three"]],
)
def test_what_is_no_number_is_refused(words: list[str]) -> None:
    """The error says what was not understood, with an example or a way."""
    with pytest.raises(UsageError) as caught:
        wanted(words)
    assert caught.value.hint


def document(name: str) -> list[ComponentDocument]:
    return [cast("ComponentDocument", {"name": name})]


def test_one_row_is_carried_out_one_by_one_and_rows_at_once() -> None:
    """The next of a row begins when the one before is done; another row does not wait for it."""
    order: list[str] = []
    other = threading.Event()

    def command(name: str) -> list[ComponentDocument]:
        if name == "web":
            assert other.wait(30)
        order.append(name)
        if name == "db":
            other.set()
        return document(name)

    results = carry_out([["web", "web.2", "web.3"], ["db"]], command)
    assert order == ["db", "web", "web.2", "web.3"]
    assert results == [document(name) for name in ("web", "web.2", "web.3", "db")]


def test_the_first_failure_ends_its_row() -> None:
    """What was not reached is left alone, and named."""
    asked: list[str] = []

    def command(name: str) -> list[ComponentDocument]:
        asked.append(name)
        if name == "web.2":
            raise CommandFailed("cannot restart web.2: boom")
        return document(name)

    first, failed, rest = carry_out([["web", "web.2", "web.3", "web.4"]], command)
    assert asked == ["web", "web.2"]
    assert first == document("web")
    assert isinstance(failed, LauncherError)
    assert isinstance(rest, LauncherError)
    assert failed.message == "cannot restart web.2: boom"
    assert rest.message == "left as they were, since web.2 failed: web.3, web.4"
