"""Whatever stops the backend, and whenever: an article that was accepted is enriched, once."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from services.article_queue import ArticleQueue, QueueState
from services.pipeline import PIPELINE, enricher_names
from services.schema import seeds
from services.settings import Settings
from tests.backend_servers import postgres_of, redis_of
from tests.launcher.acceptance.newsdesk.backend import Newsdesk, flags, launched
from tests.launcher.acceptance.newsdesk.posting import article, posting
from tests.launcher.acceptance.newsdesk.wire import get
from tests.launcher.acceptance.project import Launcher, Project, eventually, free_port, gone, processes_of

ARTICLES = 500
SHARE = 80
"""How many articles more the clients may post after each start; the rest follows after the last one."""

SEED = 20_251_124

WITHOUT_ANSWER = {"ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected", "BrokenPipeError"}
"""How an attempt may end besides with 200 and 201; any other status would be an error of the backend."""

CUT_SHORT = "IncompleteRead"
"""An answer whose head arrived and whose body did not: only a kill may do that."""

PATIENT = ("--set", "launcher.hold=1h")
"""Clients wait until somebody serves, so that a 503 is never the launcher's."""

LEDGER = (
    "CREATE TABLE ledger (article_id text, agent text, error text)",
    """
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO ledger VALUES (NEW.article_id, NEW.agent, NEW.error); RETURN NULL; END $$
    """,
    "CREATE TRIGGER noted AFTER INSERT OR UPDATE ON outcomes FOR EACH ROW EXECUTE FUNCTION note()",
)
"""Notes every time a result is written, so that one written twice is seen although only one row is left of it."""


def ctrl_c(_project: Project, launcher: Launcher) -> None:
    """The terminal sends SIGINT to the whole foreground process group."""
    os.killpg(launcher.pid, signal.SIGINT)


def down(project: Project, _launcher: Launcher) -> None:
    done = project.run("down")
    assert done.returncode == 0, done.stderr


def terminate(_project: Project, launcher: Launcher) -> None:
    launcher.signal(signal.SIGTERM)


def kill_first_process(_project: Project, launcher: Launcher) -> None:
    launcher.signal(signal.SIGKILL)


def kill_supervisor(project: Project, _launcher: Launcher) -> None:
    os.kill(project.status()["launcher"]["pid"], signal.SIGKILL)


Stop = Callable[[Project, Launcher], None]
ORDERLY: tuple[Stop, ...] = (ctrl_c, down, terminate)
VIOLENT: tuple[Stop, ...] = (kill_first_process, kill_supervisor)


def schedule() -> list[tuple[str, Stop, int]]:
    """For every stop: the mode before it, what stops it, and how many articles more are accepted until then.

    None at all means that it is stopped while it starts.
    """
    chance = random.Random(SEED)
    stops = [*ORDERLY, *VIOLENT]
    chance.shuffle(stops)
    moments = [chance.randrange(SHARE // 2, SHARE) for _ in stops]
    modes = itertools.cycle(["single", "multi"])
    while_starting = chance.choice([*ORDERLY, *VIOLENT])
    return list(zip(modes, [*stops, while_starting], [*moments, 0], strict=False))


async def prepare(own: Settings) -> None:
    async with postgres_of(own) as postgres, postgres.begin() as connection:
        for statement in LEDGER:
            await connection.execute(text(statement))


async def written(own: Settings) -> dict[tuple[str, str], list[str | None]]:
    """By article and agent: the error of each time an outcome was written; None stands for a result."""
    found: dict[tuple[str, str], list[str | None]] = {}
    async with postgres_of(own) as postgres, postgres.begin() as connection:
        for row in await connection.execute(text("SELECT article_id, agent, error FROM ledger")):
            found.setdefault((row.article_id, row.agent), []).append(row.error)
    return found


async def streams(own: Settings) -> QueueState:
    async with redis_of(own) as redis:
        return await ArticleQueue(redis, own.namespace).state([stage.name for stage in PIPELINE])


def stopped(project: Project, launcher: Launcher, stop: Stop) -> None:
    """Stop the backend; an orderly stop ends with 0, and after any stop nothing is left."""
    tree = processes_of(launcher.pid)
    stop(project, launcher)
    code, output = launcher.finished()
    assert stop in VIOLENT or code == 0, f"{stop.__name__}: {code}\n{output}"
    eventually("nothing is left", lambda: gone(tree))


@pytest.mark.timeout(400)
def test_no_article_is_lost(own: Settings, tmp_path: Path) -> None:
    """Six stops and kills amid 500 posts: every accepted article ends complete, each result was written once, no stream holds more."""
    asyncio.run(prepare(own))
    port = free_port()
    project = launched(tmp_path, own)
    unfinished = []
    try:
        with posting(port, ARTICLES) as posts:
            for mode, stop, more in schedule():
                launcher = project.up("--quiet", *PATIENT, *flags(mode, port))
                eventually(
                    "the launcher answers", lambda: project.status().get("launcher"), launcher=launcher
                )
                if more:
                    posts.allow(SHARE)
                    posts.wait_for(len(posts.answered) + more, launcher)
                cut_short = posts.attempts[CUT_SHORT]
                stopped(project, launcher, stop)
                assert stop in VIOLENT or posts.attempts[CUT_SHORT] == cut_short, stop.__name__
                unfinished.append(asyncio.run(streams(own)).waiting)
            launcher = project.up_and_ready("--quiet", *PATIENT, *flags("multi", port))
            posts.allow(ARTICLES)
            posts.wait_for(ARTICLES, launcher)
        newsdesk = Newsdesk(port, own)
        stats = newsdesk.settled()
        details = [
            newsdesk.ask(get(f"/articles/{article(number)['id']}")).json() for number in range(ARTICLES)
        ]
        stopped(project, launcher, ctrl_c)
    finally:
        project.close()

    assert set(posts.attempts) <= {"200", "201", CUT_SHORT, *WITHOUT_ANSWER}, posts.attempts
    assert WITHOUT_ANSWER & set(posts.attempts), "no client noticed a stop, so this test says nothing"
    assert any(unfinished), "no stop came while there was work, so this test says nothing"
    assert (stats["articles"], stats["complete"]) == (ARTICLES + len(seeds()),) * 2
    assert [
        one["id"] for one in details if not one["complete"] or one["enrichments"].keys() != enricher_names()
    ] == []
    outcomes = asyncio.run(written(own))
    assert {key: errors for key, errors in outcomes.items() if errors != [None]} == {}
    assert len(outcomes) == (ARTICLES + len(seeds())) * len(enricher_names())
    left = asyncio.run(streams(own))
    assert (left.waiting, left.dead, sum(left.pending.values())) == (0, 0, 0)
