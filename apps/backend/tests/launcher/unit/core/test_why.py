"""Why a component is as it is, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.hold import unserved
from launcher.core.plan import Plan
from launcher.core.view import View
from launcher.core.why import explain
from launcher.model.answers import Answer
from launcher.model.events import (
    BecameReady,
    BecameUnready,
    Checked,
    DependencyChecked,
    Event,
    Exited,
    Launched,
    RestartRequested,
    ShutdownRequested,
    StartAllRequested,
    Started,
    StopRequested,
)
from launcher.model.spec import Bind, Kind, Mode
from launcher.model.state import Exit, ExitKind
from launcher.model.usage import Beat, FamilyUsage, Member, Part, Usage
from launcher.testing import FleetRunner
from tests.launcher.unit.core.plans import (
    CRASH,
    NEVER,
    PROBE,
    RETURNED,
    STOPPED,
    UNSTARTABLE,
    component,
    plan_of,
    service,
)

CHAIN = plan_of(
    component("db", "disk"),
    component("api", "db", ready=PROBE),
    component("worker", "api", "queue"),
    dependencies=(service("disk", timeout=60.0), service("queue")),
)
DOWN = DependencyChecked("disk", ok=False, reason="connection refused")
UP = DependencyChecked("disk", ok=True)
QUEUE = DependencyChecked("queue", ok=True)
PLAIN = plan_of(component("db"), component("worker", "db"))
RUNNING = (
    StartAllRequested(),
    Launched("db", 1, 41),
    Started("db", 1),
    Launched("worker", 1, 42),
    Started("worker", 1),
)
LONE = plan_of(component("db", restart=NEVER), component("other"), keep_going=True)
PROBED = plan_of(component("db", ready=PROBE))
SHOP = plan_of(
    component("shop", kind=Kind.ASGI, bind=Bind(8000), target="shop:app"), component("other"), keep_going=True
)
SINGLE = plan_of(component("db"), component("worker", "db"), mode=Mode.SINGLE)


def seen(plan: Plan, history: Sequence[Event | float], usage: Usage | None = None) -> View:
    """Return a view of what a history has led to."""
    runner = FleetRunner(plan)
    for item in history:
        if isinstance(item, Event):
            runner.send(item)
        else:
            runner.wait(item)
    since = unserved(runner.plan, runner.fleet, {}, 0.0)
    return View(runner.plan, runner.fleet, runner.clock(), 1.7e9, 1.7e9, 77, "1.2.3", since, usage)


def family(name: str, *members: Member) -> Usage:
    """Return what is seen of one component with these processes."""
    return Usage(families=(FamilyUsage(Part.COMPONENT, members[0].pid, (name,), members=members),))


TOLD = {
    "the chain ends at a service that is not ours": (
        CHAIN,
        (StartAllRequested(), QUEUE, DOWN, 12.0),
        None,
        "worker",
        (
            "disk cannot be reached, for 12 s: connection refused.",
            "worker waits for api, which waits for db, which waits for disk.",
        ),
    ),
    "what else is waited for, and for how long": (
        CHAIN,
        (StartAllRequested(), DOWN, 12.0),
        None,
        "worker",
        (
            "disk cannot be reached, for 12 s: connection refused.",
            "worker waits for api, which waits for db, which waits for disk.",
            "It also waits for queue: not checked yet.",
            "It is given up when queue is not up in 48 s (timeout 60 s).",
        ),
    ),
    "what has failed is the cause rather than what only takes its time": (
        plan_of(
            component("slow"),
            component("bad", restart=NEVER),
            component("worker", "slow", "bad"),
            keep_going=True,
        ),
        (StartAllRequested(), Launched("bad", 1, 41), Started("bad", 1), Exited("bad", 1, CRASH)),
        None,
        "worker",
        (
            "bad has failed: ValueError: boom.",
            "worker waits for bad.",
            "It also waits for slow: starting.",
        ),
    ),
    "a start that has said nothing yet": (
        PROBED,
        (StartAllRequested(), Launched("db", 1, 41), 3.0),
        None,
        "db",
        (
            "db is starting, for 3.0 s: it has not said yet that it has started.",
            "This is incarnation 1 in process 41.",
            "It is stopped when it is not ready in 57 s (start_timeout 60 s).",
        ),
    ),
    "a start whose check fails": (
        PROBED,
        (
            StartAllRequested(),
            Launched("db", 1, 41),
            Started("db", 1),
            BecameUnready("db", 1, "HTTP 503"),
            2.0,
            Checked("db", 1, Answer(False, 0.004, "HTTP 503")),
            1.0,
        ),
        None,
        "db",
        (
            "db is starting, for 3.0 s: HTTP 503.",
            "This is incarnation 1 in process 41.",
            "Its last check, 1.0 s ago, took 4 ms and said: HTTP 503.",
            "It is stopped when it is not ready in 57 s (start_timeout 60 s).",
        ),
    ),
    "what was ready and is not": (
        PROBED,
        (
            StartAllRequested(),
            Launched("db", 1, 41),
            Started("db", 1),
            BecameReady("db", 1),
            BecameUnready("db", 1, "HTTP 503"),
            30.0,
        ),
        None,
        "db",
        (
            "db runs but is not ready, for 30 s: HTTP 503.",
            "This is incarnation 1 in process 41.",
            "It is not restarted for that.",
        ),
    ),
    "ready": (
        PLAIN,
        (*RUNNING, 195.0, Checked("db", 1, Answer(True, 0.002)), 5.0),
        Usage(beats={("db", 1): Beat(0.001)}),
        "db",
        (
            "db is ready, for 3 min 20 s.",
            "This is incarnation 1 in process 41.",
            "Its last check, 5.0 s ago, took 2 ms and succeeded.",
        ),
    ),
    "a blocked loop": (
        PLAIN,
        RUNNING,
        Usage(beats={("db", 1): Beat(12.0, answered=False, where="jobs.py:7 (run)", blamed="worker")}),
        "db",
        (
            "The event loop of db is blocked, for 12 s, by worker at jobs.py:7 (run).",
            "This is incarnation 1 in process 41.",
            "Whatever else runs on that loop waits, too; db counts as ready.",
        ),
    ),
    "a loop that has not had the time to answer is not blocked": (
        PLAIN,
        RUNNING,
        Usage(beats={("db", 1): Beat(0.9, answered=False)}),
        "db",
        ("db is ready, for 0 ms.", "This is incarnation 1 in process 41."),
    ),
    "backoff": (
        PLAIN,
        (*RUNNING, 20.0, Exited("db", 1, CRASH), Launched("db", 2, 43), Exited("db", 2, CRASH)),
        None,
        "db",
        (
            "db has ended: ValueError: boom; the next attempt is in 0.4 s.",
            "It was restarted twice in the last 60 s; after 5 it is given up.",
            "What it wrote: launcher logs db",
        ),
    ),
    "failed for good": (
        LONE,
        (StartAllRequested(), Exited("db", 1, UNSTARTABLE)),
        None,
        "db",
        (
            "db has failed: no module named nowhere.",
            "hint: check the target",
            "It is not started again by itself; launcher start db does that.",
            "What it wrote: launcher logs db",
        ),
    ),
    "stopped by somebody": (
        LONE,
        (*RUNNING[:3], StopRequested("db"), Exited("db", 1, STOPPED), 5.0),
        None,
        "db",
        ("db is stopped, for 5.0 s: as asked for.", "It starts with: launcher start db"),
    ),
    "completed": (
        plan_of(component("db", oneshot=True)),
        (*RUNNING[:3], Exited("db", 1, RETURNED), 5.0),
        None,
        "db",
        ("db has completed, 5.0 s ago.", "The whole backend is being stopped: every component has ended."),
    ),
    "processes block a stop": (
        LONE,
        (*RUNNING[:3], StopRequested("db"), 8.0),
        family("db", Member(41, "postgres"), Member(43)),
        "db",
        (
            "db is stopping, for 8.0 s: 2 processes of it are still there.",
            "Processes that are still there: PID 41 (postgres), PID 43.",
            "It is killed when it has not ended in 2.0 s (stop_grace 10 s).",
        ),
    ),
    "it was killed and is not gone": (
        LONE,
        (*RUNNING[:3], StopRequested("db"), 13.0),
        family("db", Member(41, "postgres")),
        "db",
        (
            "db is stopping, for 13 s: 1 process of it is still there.",
            "Processes that are still there: PID 41 (postgres).",
            "It ignored the request to stop, was killed twice, and is not gone.",
        ),
    ),
    "tasks block a stop in a shared process": (
        SINGLE,
        (*RUNNING, StopRequested("worker"), 8.0),
        Usage(beats={("worker", 1): Beat(0.001, tasks=("task 'x' (run, at jobs.py:7)",))}),
        "worker",
        (
            "worker is stopping, for 8.0 s: 1 task of it has not ended.",
            "Tasks that have not ended: task 'x' (run, at jobs.py:7).",
            "It is cancelled when it has not ended in 2.0 s (stop_grace 10 s).",
        ),
    ),
    "a stop that waits for those who need it": (
        PLAIN,
        (*RUNNING, ShutdownRequested("SIGTERM"), 3.0),
        family("worker", Member(42, "sh")),
        "db",
        (
            "worker is stopping, for 3.0 s: 1 process of it is still there.",
            "db is stopped after worker.",
            "This is incarnation 1 in process 41.",
            "The whole backend is being stopped: SIGTERM.",
        ),
    ),
    "clients that the launcher answers": (
        SHOP,
        (StartAllRequested(), Exited("shop", 1, UNSTARTABLE), 6.0),
        None,
        "shop",
        (
            "shop has failed: no module named nowhere.",
            "hint: check the target",
            "It is not started again by itself; launcher start shop does that.",
            "What it wrote: launcher logs shop",
            "Its clients are answered with 503 by the launcher, because nobody serves its port.",
        ),
    ),
    "a restart under way": (
        SHOP,
        (
            StartAllRequested(),
            Launched("shop", 1, 41),
            Started("shop", 1),
            RestartRequested("shop"),
            Launched("shop", 2, 42),
        ),
        None,
        "shop",
        (
            "shop is ready, for 0 ms.",
            "This is incarnation 1 in process 41.",
            "Restarting: incarnation 2 is starting.",
        ),
    ),
    "an earlier crash": (
        PLAIN,
        (*RUNNING, 20.0, Exited("db", 1, CRASH), Launched("db", 2, 43), Started("db", 2)),
        None,
        "db",
        (
            "db is ready, for 0 ms.",
            "This is incarnation 2 in process 43.",
            "It was restarted once; the last time because: ValueError: boom.",
        ),
    ),
}


@pytest.mark.parametrize(("plan", "history", "usage", "name", "lines"), TOLD.values(), ids=list(TOLD))
def test_the_sentences(
    plan: Plan, history: Sequence[Event | float], usage: Usage | None, name: str, lines: tuple[str, ...]
) -> None:
    """The root cause comes first, then how it concerns the component, then what happens next."""
    assert explain(seen(plan, history, usage), name).lines == lines


def test_the_chain() -> None:
    """The chain leads from the component to the root."""
    told = explain(seen(CHAIN, (StartAllRequested(), QUEUE, DOWN)), "worker")
    assert (told.chain, told.root) == (("worker", "api", "db", "disk"), "disk")
    assert explain(seen(CHAIN, (StartAllRequested(), QUEUE, UP)), "worker").root == "db"


NAMES = ("db", "api", "worker")
EVENTS = st.one_of(
    st.builds(StopRequested, st.sampled_from(NAMES)),
    st.builds(RestartRequested, st.sampled_from(NAMES)),
    st.builds(Launched, st.sampled_from(NAMES), st.integers(1, 3), st.integers(40, 50)),
    st.builds(Started, st.sampled_from(NAMES), st.integers(1, 3)),
    st.builds(BecameReady, st.sampled_from(NAMES), st.integers(1, 3)),
    st.builds(BecameUnready, st.sampled_from(NAMES), st.integers(1, 3), st.just("HTTP 503")),
    st.builds(
        Exited, st.sampled_from(NAMES), st.integers(1, 3), st.sampled_from([CRASH, RETURNED, UNSTARTABLE])
    ),
    st.builds(
        DependencyChecked, st.sampled_from(["disk", "queue"]), st.booleans(), reason=st.just("refused")
    ),
    st.just(ShutdownRequested("SIGTERM")),
    st.floats(0.0, 100.0),
)


@given(st.lists(EVENTS, max_size=25), st.sampled_from(NAMES))
def test_whatever_happens_there_is_an_explanation(history: list[Event | float], name: str) -> None:
    """It begins with the component, ends at the root that the cause names, and tells no sentence twice."""
    view = seen(CHAIN, [StartAllRequested(), *history])
    told = explain(view, name)
    assert told.chain[0] == name
    assert told.root in told.cause
    assert len(set(told.lines)) == len(told.lines)
    assert all(line and line == line.strip() and "\n" not in line for line in told.lines)
    for waiting, needed in zip(told.chain, told.chain[1:], strict=False):
        plan = view.plan
        assert needed in plan.components[waiting].depends_on or needed in plan.dependents[waiting]


def test_an_exit_without_words_leaves_no_gap() -> None:
    """An end that nobody explained is still an end."""
    told = explain(seen(LONE, (*RUNNING[:3], Exited("db", 1, Exit(ExitKind.RAISED)))), "db")
    assert told.cause.startswith("db has failed")
    assert ": ." not in told.cause
