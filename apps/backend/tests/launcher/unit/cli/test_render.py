"""Tables and lists of the command line."""

from __future__ import annotations

from typing import cast

import pytest

from launcher.cli.render import (
    component_line,
    log_lines,
    not_up,
    plan_lines,
    problem_lines,
    situation,
    status_lines,
    table,
)
from launcher.documents import ComponentDocument, StatusDocument
from launcher.errors import Problem
from launcher.model.logs import LogLine, Stream


def component(name: str, phase: str, **fields: object) -> ComponentDocument:
    document = {
        "name": name,
        "kind": "asgi",
        "phase": phase,
        "desired": "up",
        "incarnation": 1,
        "seconds": 2.0,
        "placement": "main",
        "start": "",
        "pid": 41,
        "url": None,
        "restarts": 0,
        "reason": "",
        "waits_for": [],
        "next_attempt_in": None,
        "last_exit": None,
        "log": "/srv/logs/x.jsonl",
    }
    return cast("ComponentDocument", document | fields)


def status(
    *components: ComponentDocument, dependencies: tuple[dict[str, object], ...] = ()
) -> StatusDocument:
    launcher = {"state": "degraded", "mode": "single", "pid": 77, "uptime": 200.0}
    document = {
        "name": "newsdesk",
        "launcher": launcher,
        "components": list(components),
        "dependencies": list(dependencies),
    }
    return cast("StatusDocument", document)


EXIT = {
    "kind": "unstartable",
    "message": "no module",
    "hint": "install it",
    "code": None,
    "signal": 0,
    "killed": False,
}
SEVERAL = status(
    component("api", "ready", url="http://127.0.0.1:8000"),
    component("日本", "waiting", pid=None, waits_for=[{"name": "db", "what": "starting"}]),
    component("db", "backoff", pid=None, restarts=3, next_attempt_in=1.2, reason="exited with code 1"),
    component("bad", "failed", pid=None, reason="no module", last_exit=EXIT),
    component("off", "stopped", pid=None, desired="down", reason="asked to stop"),
    dependencies=(
        {
            "name": "redis",
            "url": "redis://cache",
            "up": True,
            "seconds": 5,
            "latency": 0.0012,
            "reason": "",
            "hint": "",
        },
        {
            "name": "neo",
            "url": "bolt://g",
            "up": False,
            "seconds": 5,
            "latency": None,
            "reason": "refused",
            "hint": "",
        },
        {
            "name": "new",
            "url": "tcp://n:1",
            "up": None,
            "seconds": 0,
            "latency": None,
            "reason": "",
            "hint": "",
        },
    ),
)


def test_the_status_table() -> None:
    """Columns line up, and the last one holds what matters in each phase."""
    assert status_lines(SEVERAL) == [
        "newsdesk is degraded: mode single, PID 77, for 3 min 20 s",
        "NAME  PHASE    SINCE  PID  RESTARTS  URL / REASON",
        "api   ready    2.0 s  41   0         http://127.0.0.1:8000",
        "日本  waiting  2.0 s  -    0         waits for db (starting)",
        "db    backoff  2.0 s  -    3         again in 1.2 s: exited with code 1",
        "bad   failed   2.0 s  -    0         no module",
        "off   stopped  2.0 s  -    0         asked to stop",
        "",
        "DEPENDENCY  STATE    SINCE  LATENCY  URL",
        "redis       up       5.0 s  1.2 ms   redis://cache",
        "neo         down     5.0 s  -        bolt://g (refused)",
        "new         unknown  0 ms   -        tcp://n:1",
        "hint for bad: install it",
        "crash reports: launcher crash bad",
    ]


def test_colour_does_not_move_columns() -> None:
    """The coloured table is the plain one once the colours are taken out."""
    import re

    coloured = status_lines(SEVERAL, color=True)
    assert coloured != status_lines(SEVERAL)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == status_lines(SEVERAL)


def test_what_is_wanted_up_and_is_not() -> None:
    """A component that was stopped on purpose is no reason for exit code 3."""
    assert not_up(SEVERAL) == ["日本", "db", "bad"]
    assert not_up(status(component("api", "ready"), component("migrate", "completed"))) == []


def test_foreign_text_cannot_break_a_table() -> None:
    """Newlines and escape sequences in a reason stay inside their cell."""
    lines = table(("A", "B"), [("x", "one\ntwo\x1b[2J")])
    assert lines == ["A  B", "x  one two"]


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (
            component("api", "ready", incarnation=3, url="http://h:1"),
            "api is ready (incarnation 3): http://h:1",
        ),
        (component("api", "stopped", reason="asked to stop"), "api is stopped: asked to stop"),
        (component("w", "ready"), "w is ready"),
    ],
)
def test_one_line_after_a_command(item: ComponentDocument, line: str) -> None:
    """A command says what it has reached."""
    assert component_line(item) == line


def test_a_phase_without_words_shows_the_address() -> None:
    """While it starts, the address is the best there is to show."""
    assert situation(component("api", "starting", url="http://h:1")) == "http://h:1"


def test_the_plan() -> None:
    """Check shows order, placement, addresses and readiness."""
    plan = {
        "name": "newsdesk",
        "source": "launcher.toml",
        "mode": "single",
        "mode_reason": "as asked for",
        "waves": [["db"], ["api", "worker"]],
        "components": [
            {
                "name": "api",
                "kind": "asgi",
                "placement": "main",
                "start": "",
                "url": "http://h:1",
                "ready": "listening",
                "depends_on": ["db"],
            },
            {
                "name": "db",
                "kind": "command",
                "placement": "process",
                "start": "",
                "url": None,
                "ready": "tcp h:2",
                "depends_on": [],
            },
        ],
        "dependencies": [{"name": "redis", "url": "redis://cache", "timeout": 60.0}],
        "hooks": [
            {
                "name": "chat",
                "on": ["ready", "failed"],
                "components": [],
                "how": "POST https://chat.example/***",
            },
            {"name": "page", "on": ["failed"], "components": ["api"], "how": "./page.sh"},
        ],
        "log_dir": "/srv/logs",
        "run_dir": "/srv/run",
        "notes": ["n"],
        "warnings": ["w"],
    }
    assert plan_lines(plan) == [
        "newsdesk (launcher.toml): 2 components, mode single (as asked for)",
        "",
        "order of start:",
        "  1. db",
        "  2. api, worker",
        "",
        "NAME  KIND     RUNS IN       URL         READY WHEN  DEPENDS ON",
        "api   asgi     main process  http://h:1  listening   db",
        "db    command  process       -           tcp h:2     -",
        "",
        "PROBED  URL            WAITED FOR AT MOST",
        "redis   redis://cache  1 min",
        "",
        "HOOK  TOLD OF        COMPONENTS  HOW",
        "chat  ready, failed  all         POST https://chat.example/***",
        "page  failed         api         ./page.sh",
        "",
        "logs: /srv/logs",
        "run directory: /srv/run",
        "note: n",
        "warning: w",
    ]


def test_how_processes_start() -> None:
    """Where processes are forked, a column says which start warm, and each reason against it stands once below."""
    cold = "cold (LEVEL is set for it, and lib reads it while it is imported)"
    lines = status_lines(
        status(
            component("api", "ready", start="warm"),
            component("a", "ready", start=cold),
            component("b", "ready", start=cold),
            component("c", "ready", start="warm, but for numpy (starts 3 threads when it is imported)"),
            component("db", "ready"),
        )
    )
    assert lines[1:] == [
        "NAME  PHASE  SINCE  PID  START  RESTARTS  URL / REASON",
        "api   ready  2.0 s  41   warm   0         -",
        "a     ready  2.0 s  41   cold   0         -",
        "b     ready  2.0 s  41   cold   0         -",
        "c     ready  2.0 s  41   warm   0         -",
        "db    ready  2.0 s  41   -      0         -",
        f"start of a, b: {cold}",
        "start of c: warm, but for numpy (starts 3 threads when it is imported)",
    ]


def test_every_problem_has_its_hint_below() -> None:
    """Place, what is wrong, and what to do."""
    assert problem_lines([Problem("a:1", "wrong", "right"), Problem("b", "worse")]) == [
        "  a:1: wrong",
        "    hint: right",
        "  b: worse",
    ]


def test_log_lines_keep_their_prefix() -> None:
    """Each line of a message has the prefix, unless none is wanted."""
    line = LogLine(0.25, "api", Stream.LOG, "one\ntwo", level="ERROR")
    shown = log_lines(line, 6).splitlines()
    assert [text[9:] for text in shown] == ["250 api    | ERROR one", "250 api    | two"]
    assert log_lines(line, 6, prefix=False) == "one\ntwo"


def test_what_a_running_component_lacks() -> None:
    """Behind its address stands what it needs and does not have, and since when."""
    needs = [
        {"name": "redis", "what": "down", "seconds": 12.0},
        {"name": "db", "what": "unready", "seconds": 3.0},
    ]
    item = component("api", "ready", url="http://127.0.0.1:8000", needs=needs)
    assert (
        situation(item) == "http://127.0.0.1:8000 (needs redis: down for 12 s; needs db: unready for 3.0 s)"
    )
    assert situation(component("worker", "ready", needs=needs[:1])) == "needs redis: down for 12 s"


def test_how_the_last_check_went() -> None:
    """A column says it, if anything was checked; who was not has a dash."""
    good = {"ok": True, "latency": 0.0012, "seconds": 3.0, "reason": ""}
    bad = {**good, "ok": False, "reason": "status 503"}
    lines = status_lines(
        status(
            component("api", "ready", check=good),
            component("worker", "unready", check=bad, reason="status 503"),
            component("other", "ready", check=None),
        )
    )
    assert [line.split()[-2:] for line in lines[1:]] == [
        ["/", "REASON"],
        ["ms", "-"],
        ["status", "503"],
        ["-", "-"],
    ]
    assert "CHECK" in lines[1]
    assert "failed" in lines[3]
    assert "CHECK" not in status_lines(status(component("api", "ready")))[1]
