"""The documents that are kept, and what is read from them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from launcher.core.plan import build
from launcher.core.view import View
from launcher.documents import change_document
from launcher.model.events import StartAllRequested, Started, Transition
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec, Mode
from launcher.model.state import Desired, Exit, ExitKind, Phase
from launcher.model.stores import Record, Seen, StoreState
from launcher.records import (
    history_document,
    moment,
    record_document,
    snapshot_document,
    standing,
    standing_document,
)
from launcher.testing import FleetRunner

PLAN = build(
    LauncherSpec("newsdesk", "/srv", (ComponentSpec("worker", Kind.AGENT, "jobs:run"),), mode=Mode.SINGLE)
)
FAILED = Transition(
    "worker",
    3,
    Phase.READY,
    Phase.BACKOFF,
    Desired.UP,
    "Exited",
    5.0,
    reason="lost redis://u:s3cret@h/0",
    exit=Exit(
        ExitKind.RAISED, "lost redis://u:s3cret@h/0", traceback="s3cret", hint="look at redis://u:s3cret@h/0"
    ),
    pid=41,
)


def view() -> View:
    runner = FleetRunner(PLAN)
    runner.send(StartAllRequested(), Started("worker", 1))
    return View(
        PLAN, runner.fleet, 10.0, 1010.0, 1000.0, 77, "1.2.3", store=StoreState("redis://h", since=4.0)
    )


def test_a_transition_is_kept_without_secrets() -> None:
    """It says what, when, why and of which life, as JSON; passwords and tracebacks stay out."""
    document = change_document(1_795_805_673.812, FAILED)
    assert document["time"] == "2026-11-27T18:54:33.812000Z"
    assert (document["before"], document["after"], document["incarnation"]) == ("ready", "backoff", 3)
    assert document["reason"] == "lost redis://u:***@h/0"
    assert "s3cret" not in json.dumps(document)
    assert moment(document) == pytest.approx(1_795_805_673.812)


@pytest.mark.parametrize("document", [{}, {"time": "yesterday"}, {"time": 5}])
def test_a_record_without_a_time(document: dict[str, object]) -> None:
    """What cannot be understood is of no known time, and no error."""
    assert moment(document) == 0.0


def test_records_are_shown_with_their_numbers() -> None:
    """Run and number identify a record, in the history and in the answer of the launcher."""
    record = Record(4, {"component": "api"}, 7)
    assert record_document(record) == {"run": 7, "seq": 4, "component": "api"}
    assert history_document([record])["transitions"] == [record_document(record)]


@pytest.mark.parametrize(
    ("age", "expiry", "ended", "dead", "state"),
    [
        (5.0, 60.0, False, False, "up"),
        (61.0, 60.0, False, False, "lost"),
        (5.0, 60.0, False, True, "lost"),
        (9999.0, None, False, False, "up"),
        (9999.0, None, False, True, "lost"),
        (61.0, 60.0, True, True, "ended"),
    ],
)
def test_how_a_launcher_stands(age: float, expiry: float | None, ended: bool, dead: bool, state: str) -> None:
    """Who is silent for longer than the expiry is lost, unless it gives no signs of life; who has ended in order is not."""
    body = json.loads(json.dumps(snapshot_document(view(), "web-1", expiry, ended=ended)))
    found = standing(Seen("x", age, body), dead=dead)
    assert found is not None
    assert (found.machine, found.state, found.age) == ("web-1", state, age)
    assert standing_document(found)["status"]["name"] == "newsdesk"


@pytest.mark.parametrize("body", [{}, {"schema": 99, "status": {}}, {"status": "up"}])
def test_a_snapshot_of_another_kind_is_left_out(body: dict[str, object]) -> None:
    """What somebody else or a later version has written is no launcher that can be shown."""
    assert standing(Seen("x", 0.0, body), dead=False) is None


def test_a_snapshot_says_how_the_store_is() -> None:
    """The status document in it is the whole one."""
    document = snapshot_document(view(), "web-1", 60.0, ended=False)
    assert document["status"]["store"]["seconds"] == 6.0
    bare = snapshot_document(replace(view(), store=None), "web-1", 60.0, ended=False)
    assert bare["status"]["store"] is None
