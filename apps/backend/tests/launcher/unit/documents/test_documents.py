"""The documents of the API and of ``-o json``."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from launcher.core.plan import build
from launcher.core.view import View
from launcher.documents import (
    component_document,
    error_document,
    overall_state,
    status_document,
)
from launcher.errors import ConfigError, Problem, UnknownComponent
from launcher.model.answers import Answer
from launcher.model.events import (
    Checked,
    DependencyChecked,
    Event,
    Exited,
    Launched,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StopRequested,
)
from launcher.model.spec import (
    Bind,
    ComponentSpec,
    DependencySpec,
    HookSpec,
    Kind,
    LauncherSpec,
    Mode,
    Probe,
    ProbeKind,
)
from launcher.model.state import Exit, ExitKind, Phase
from launcher.model.usage import Beat, FamilyUsage, Member, Part, Usage
from launcher.planned import plan_document, ready_when
from launcher.testing import FleetRunner

PLAN = build(
    LauncherSpec(
        name="newsdesk",
        root="/srv",
        components=(
            ComponentSpec("api", Kind.ASGI, "api.main:app", bind=Bind(8000), depends_on=("db",)),
            ComponentSpec(
                "db", Kind.COMMAND, command=("serve", "postgresql://a:s3cret@h/x"), bind=Bind(5432)
            ),
        ),
        dependencies=(DependencySpec("cache", "redis://user:s3cret@cache:6379/0"),),
        mode=Mode.MULTI,
        log_dir="/srv/logs",
    )
)


def view(*events: Event, wait: float = 0.0) -> View:
    runner = FleetRunner(PLAN)
    runner.send(*events)
    runner.wait(wait)
    return View(PLAN, runner.fleet, runner.clock(), 1000.0 + runner.clock(), 1000.0, 77, "1.2.3")


UP = (StartAllRequested(), Launched("db", 1, 41), Started("db", 1), Launched("api", 1, 42), Started("api", 1))
CRASH = Exited("db", 1, Exit(ExitKind.EXITED, "exited with code 3", "look", code=3))


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((), "starting"),
        ((StartAllRequested(),), "starting"),
        (UP, "up"),
        ((*UP, StopRequested("api"), Exited("api", 1, Exit(ExitKind.RETURNED))), "up"),
        ((*UP, CRASH), "degraded"),
        ((*UP, ShutdownRequested("SIGTERM")), "stopping"),
    ],
)
def test_the_state_of_the_whole(events: tuple[Event, ...], state: str) -> None:
    """What was stopped on purpose does not make a backend degraded, what died does."""
    assert overall_state(view(*events)) == state


def test_the_status_document() -> None:
    """A document of a start under way, field by field."""
    document = status_document(view(StartAllRequested(), Launched("db", 1, 41), wait=1.5))
    assert document["launcher"] == {
        "pid": 77,
        "version": "1.2.3",
        "root": "/srv",
        "mode": "multi",
        "mode_reason": "as asked for",
        "started_at": "1970-01-01T00:16:40.000+00:00",
        "uptime": 1.5,
        "state": "starting",
        "log_dir": "/srv/logs",
        "api": None,
        "cpu": None,
        "memory": None,
    }
    assert document["processes"] == []
    api, db = document["components"]
    assert api["phase"] == "waiting"
    assert api["waits_for"] == [{"name": "db", "what": "starting"}]
    assert api["url"] == "http://127.0.0.1:8000"
    assert api["placement"] == "api"
    assert (db["pid"], db["seconds"], db["placement"], db["log"]) == (
        41,
        1.5,
        "process",
        "/srv/logs/db.jsonl",
    )
    assert (api["port"], api["cpu"], api["memory"], api["shared_with"]) == (8000, None, None, [])
    assert json.loads(json.dumps(document)) == document


USAGE = Usage(
    families=(
        FamilyUsage(Part.LAUNCHER, 77, cpu=0.5, memory=20, members=(Member(77, "launcher"),)),
        FamilyUsage(Part.ZYGOTE, 78, cpu=0.25, memory=10, members=(Member(78, "zygote"),)),
        FamilyUsage(
            Part.COMPONENT, 41, ("db",), 3.0, 1.25, 7, proportional=False, members=(Member(41, "db"),)
        ),
        FamilyUsage(Part.COMPONENT, 42, ("api",), 1.0, 0.5, 5, members=(Member(42, "api"),)),
        FamilyUsage(Part.COMPONENT, 44, ("api",), 2.0, 0.5, 6, members=(Member(44, "api"), Member(45, "sh"))),
    ),
    beats={
        ("api", 1): Beat(3.0, answered=False, where="jobs.py:7 (run)", blamed="api"),
        ("db", 7): Beat(0.0),
    },
)


def test_what_was_seen_in_the_status_document() -> None:
    """Families of one component are added up; no process is in two families; what belongs to another incarnation is left out."""
    seen = replace(view(*UP, wait=1.5), usage=USAGE)
    document = status_document(seen)
    api, db = document["components"]
    assert (api["cpu"], api["memory"]) == (3.0, 11)
    assert (db["cpu"], db["memory"], db["loop"]) == (3.0, 7, None)
    assert api["loop"] == {
        "lag": 3.0,
        "answered": False,
        "blocked": True,
        "where": "jobs.py:7 (run)",
        "by": "api",
    }
    assert (document["launcher"]["cpu"], document["launcher"]["memory"]) == (0.75, 30)
    assert [each["pid"] for each in document["processes"]] == [77, 78, 41, 42, 44]
    assert [each["memory_kind"] for each in document["processes"]] == ["pss", "pss", "rss", "pss", "pss"]
    assert json.loads(json.dumps(document)) == document


def test_a_shared_process_is_told_once() -> None:
    """In ``single`` the components have no cost of their own: they name each other, and the process names them all."""
    agents = (ComponentSpec("one", Kind.AGENT, "a:b"), ComponentSpec("two", Kind.AGENT, "a:b"))
    plan = build(LauncherSpec("newsdesk", "/srv", agents, mode=Mode.SINGLE))
    runner = FleetRunner(plan)
    usage = Usage(families=(FamilyUsage(Part.LAUNCHER, 77, ("one", "two"), cpu=4.0, memory=30),))
    document = status_document(View(plan, runner.fleet, 0.0, 1000.0, 1000.0, 77, "1.2.3", usage=usage))
    assert [each["shared_with"] for each in document["components"]] == [["two"], ["one"]]
    assert [(each["cpu"], each["memory"]) for each in document["components"]] == [(None, None)] * 2
    assert [each["components"] for each in document["processes"]] == [["one", "two"]]
    assert document["launcher"]["memory"] == 30


def test_a_crash_in_a_component_document() -> None:
    """How it ended, how often it was started again, and when it will be."""
    document = component_document(view(*UP, CRASH), "db")
    assert document["phase"] == "backoff"
    assert document["restarts"] == 1
    assert document["next_attempt_in"] is not None
    assert 0 < document["next_attempt_in"] < 1
    assert document["last_exit"] == {
        "kind": "exited",
        "message": "exited with code 3",
        "hint": "look",
        "code": 3,
        "signal": 0,
        "killed": False,
    }


HOOK = HookSpec("chat", frozenset({Phase.FAILED}), url="https://chat.example/hooks/s3cret")


def test_passwords_never_appear() -> None:
    """Neither in addresses nor in free text, wherever it comes from."""
    told = "cannot open redis://user:s3cret@cache:6379/0"
    documents = [
        status_document(
            view(StartAllRequested(), DependencyChecked("cache", ok=False, reason=told, hint=told))
        ),
        status_document(view(*UP, Exited("db", 1, Exit(ExitKind.RAISED, told, told)))),
        plan_document(PLAN, notes=(told,), warnings=(told,)),
        plan_document(
            replace(PLAN, spec=replace(PLAN.spec, hooks=(HOOK, replace(HOOK, command=(told,), url=""))))
        ),
        error_document(UnknownComponent(told, hint=told)),
        error_document(ConfigError([Problem("here", told, told)])),
    ]
    assert "s3cret" not in json.dumps(documents)
    assert "redis://user:***@cache" in json.dumps(documents)


def test_an_invalid_declaration_comes_with_every_problem() -> None:
    """A program that reads the error finds all places."""
    document = error_document(ConfigError([Problem("a", "b", "c"), Problem("d", "e")]))
    assert document["error"]["exit_code"] == 2
    assert [problem["where"] for problem in document["error"]["problems"]] == ["a", "d"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (ComponentSpec("a", Kind.ASGI), "lifespan complete and listening"),
        (
            ComponentSpec("a", Kind.ASGI, ready=Probe(ProbeKind.HTTP, "/health")),
            "lifespan complete and listening, then http /health",
        ),
        (ComponentSpec("a", Kind.AGENT), "started"),
        (ComponentSpec("a", Kind.COMMAND, oneshot=True), "ended with exit code 0"),
        (
            ComponentSpec("a", Kind.COMMAND, ready=Probe(ProbeKind.EXEC, argv=("pg_isready", "-q"))),
            "exec pg_isready -q",
        ),
        (ComponentSpec("a", Kind.COMMAND, ready=Probe(ProbeKind.ALIVE, seconds=2)), "alive for 2 s"),
    ],
)
def test_readiness_in_words(spec: ComponentSpec, words: str) -> None:
    """The plan says what will be asked."""
    assert ready_when(spec) == words


def test_held_says_who_is_answered_by_the_launcher() -> None:
    """A component is held when nobody has served its port for the hold; others never are."""
    shown = view(*UP, StopRequested("api"), Exited("api", 1, Exit(ExitKind.RETURNED)))
    assert component_document(shown, "api")["held"] is False
    for ago, held in ((PLAN.spec.hold - 0.1, False), (PLAN.spec.hold, True)):
        late = replace(shown, unserved={"api": shown.now - ago})
        assert component_document(late, "api")["held"] is held
        assert component_document(late, "db")["held"] is False


def test_the_last_check_and_what_is_lacking() -> None:
    """The answer of a readiness check with its age, and what a running component does not have."""
    answer = Checked("api", 1, Answer(False, 0.25, "no route to redis://user:s3cret@cache"))
    document = component_document(view(*UP, answer, CRASH, wait=0.1), "api")
    assert document["check"] == {
        "ok": False,
        "latency": 0.25,
        "seconds": 0.1,
        "reason": "no route to redis://user:***@cache",
    }
    assert document["needs"] == [{"name": "db", "what": "backoff", "seconds": 0.1}]
    assert component_document(view(*UP), "api")["check"] is None
