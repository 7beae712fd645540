"""The gateway against real servers, and the whole way of an article through it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import sys
from collections.abc import AsyncIterator

import httpx2
import pytest

from agents.launcher import AgentLauncher
from services.article_queue import ArticleQueue, Seat
from services.articles import ArticleStore
from services.pipeline import enricher_names
from services.settings import Settings
from tests.api.newsdesk import gateway
from tests.backend_servers import (
    environment,
    free_port,
    own_newsdesk,
    postgres_of,
    redis_of,
    until,
    variables,
)

ARTICLE = {
    "title": "Rivertown",
    "body": "Mr. Bennet came to Rivertown. It was a good day. The people of Rivertown were glad.",
}


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with gateway(settings) as client:
        yield client


async def status_of(client: httpx2.AsyncClient, article_id: str) -> str:
    status: str = (await client.get(f"/articles/{article_id}")).json()["status"]
    return status


def events_in(text: str) -> list[tuple[str, dict[str, object]]]:
    """Name and data of the server-sent events in `text`."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def test_posting_the_same_article_again_changes_nothing(client: httpx2.AsyncClient) -> None:
    """201 with its address, then 200 with the same id; it is on the stream once."""
    first = await client.post("/articles", json=ARTICLE)
    again = await client.post("/articles", json=ARTICLE)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {"id": again.json()["id"], "created": True, "enqueued": True}
    assert not again.json()["created"]
    assert first.headers["location"] == f"/articles/{first.json()['id']}"
    stats = (await client.get("/stats")).json()
    assert (stats["articles"], stats["waiting"]) == (1, 1)


async def test_an_id_stands_for_one_text(client: httpx2.AsyncClient) -> None:
    """The same id with another text is a conflict that says what to do; the first text stays."""
    await client.post("/articles", json={**ARTICLE, "id": "mine"})
    answer = await client.post("/articles", json={**ARTICLE, "id": "mine", "title": "Other"})
    assert answer.status_code == 409
    assert answer.json()["hint"]
    assert (await client.get("/articles/mine")).json()["title"] == ARTICLE["title"]


async def test_many_posts_of_one_article_create_it_once(client: httpx2.AsyncClient) -> None:
    """Exactly one of the simultaneous answers is 201."""
    answers = await asyncio.gather(*(client.post("/articles", json=ARTICLE) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


@pytest.mark.parametrize("path", ["", "/related", "/events"])
async def test_an_unknown_article_is_not_found(client: httpx2.AsyncClient, path: str) -> None:
    """404 as a problem document, also where the answer would be a stream."""
    answer = await client.get(f"/articles/unknown{path}")
    assert answer.status_code == 404
    assert "unknown" in answer.json()["detail"]


async def test_articles_are_listed_page_by_page(client: httpx2.AsyncClient) -> None:
    """Newest first; `next` leads through all of them and ends."""
    for number in range(5):
        await client.post("/articles", json={**ARTICLE, "id": f"a{number}"})
    seen: list[str] = []
    parameters: dict[str, int] = {"limit": 2}
    while True:
        page = (await client.get("/articles", params=parameters)).json()
        seen += [article["id"] for article in page["articles"]]
        if page["next"] is None:
            break
        parameters["before"] = page["next"]
    assert seen == ["a4", "a3", "a2", "a1", "a0"]


async def test_the_way_of_an_article(settings: Settings, client: httpx2.AsyncClient) -> None:
    """Posted, enriched by every agent, followed live to its end, related to its like, counted, off the stream."""
    launcher = AgentLauncher(settings)
    launcher.load_agents()
    await client.post("/articles", json={**ARTICLE, "id": "first"})
    following = asyncio.create_task(client.get("/articles/first/events"))
    await launcher.start_all()
    try:
        followed = events_in((await following).text)
        await client.post("/articles", json={**ARTICLE, "id": "second"})
        await until(lambda: _is(client, "second", "complete"), "the second is complete")
        await until(lambda: _nothing_pending(client), "every agent has acknowledged what it was given")
    finally:
        await launcher.stop_all()
    assert sorted(str(data["agent"]) for event, data in followed if event == "enrichment") == sorted(
        enricher_names()
    )
    assert followed[-1] == ("settled", {"id": "first", "status": "complete"})
    article = (await client.get("/articles/first")).json()
    assert article["complete"]
    assert article["missing"] == []
    assert article["enrichments"]["language"]["result"]["language"] == "en"
    related = (await client.get("/articles/first/related")).json()["related"]
    assert [(other["id"], other["shared"]) for other in related] == [("second", ["Bennet", "Rivertown"])]
    stats = (await client.get("/stats")).json()
    assert (stats["complete"], stats["failed"], stats["waiting"], stats["dead_letters"]) == (2, 0, 0, 0)
    assert set(stats["pending"]) == {*enricher_names(), "director"}
    again = events_in((await client.get("/articles/first/events")).text)
    assert len(again) == len(followed)


async def _nothing_pending(client: httpx2.AsyncClient) -> bool:
    return not any((await client.get("/stats")).json()["pending"].values())


async def _is(client: httpx2.AsyncClient, article_id: str, status: str) -> bool:
    return await status_of(client, article_id) == status


async def test_a_failed_article_can_be_retried(settings: Settings, client: httpx2.AsyncClient) -> None:
    """An agent that gave up makes it `failed`, with the reason; a retry clears the error and completes it."""
    await client.post("/articles", json={**ARTICLE, "id": "a"})
    assert (await client.post("/articles/a/retry")).status_code == 409
    async with postgres_of(settings) as postgres, redis_of(settings) as redis:
        queue = ArticleQueue(redis, settings.namespace)
        seat = Seat(queue.articles, "keywords", settings.consumer)
        await queue.take_seat(seat)
        (entry,) = await queue.read_new(seat, 1, 1)
        await ArticleStore(postgres).give_up("a", "keywords", "ValueError: no")
        await queue.bury(seat, entry, "ValueError: no")
    launcher = AgentLauncher(settings)
    launcher.load_agents()
    await launcher.start_all()
    try:
        await until(lambda: _is(client, "a", "failed"), "it has failed")
        failed = (await client.get("/articles/a")).json()
        stats = (await client.get("/stats")).json()
        assert (await client.post("/articles/a/retry")).status_code == 202
        await until(lambda: _is(client, "a", "complete"), "it is complete")
    finally:
        await launcher.stop_all()
    assert failed["enrichments"]["keywords"]["error"] == "ValueError: no"
    assert not failed["complete"]
    assert (stats["failed"], stats["dead_letters"]) == (1, 1)
    assert (await client.post("/articles/unknown/retry")).status_code == 404


async def test_an_article_is_safe_while_redis_is_away(settings: Settings) -> None:
    """It is stored, said not to be enqueued yet, and the next gateway enqueues it by itself."""
    away = dataclasses.replace(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    async with gateway(away) as client:
        answer = await client.post("/articles", json={**ARTICLE, "id": "a"})
        assert (answer.status_code, answer.json()["enqueued"]) == (201, False)
        assert (await client.get("/articles/a")).json()["status"] == "enriching"
        assert (await client.get("/stats")).status_code == 503
    async with gateway(settings) as client, redis_of(settings) as redis:
        queue = ArticleQueue(redis, settings.namespace)

        async def enqueued() -> bool:
            return await queue.waiting() == 1

        await until(enqueued, "it is on the stream")
        assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    ("missing", "status", "said"),
    [
        ("", 200, "ready"),
        ("neo4j_url", 200, "degraded"),
        ("redis_url", 503, "unready"),
        ("postgres_url", 503, "unready"),
    ],
)
async def test_readiness_tells_what_is_away(settings: Settings, missing: str, status: int, said: str) -> None:
    """Without the graph the gateway is degraded, without the others unready; each service says how it fares."""
    schemes = {"neo4j_url": "bolt", "redis_url": "redis", "postgres_url": "postgresql"}
    changed = {missing: f"{schemes[missing]}://127.0.0.1:{free_port()}"} if missing else {}
    async with gateway(dataclasses.replace(settings, **changed)) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (status, said)
    for name, health in answer.json()["services"].items():
        assert health["ok"] is (f"{name}_url" != missing)
        assert (health["latency_ms"] is None) is not health["ok"]


async def test_without_its_tables_the_gateway_says_what_to_run(servers: Settings) -> None:
    """503 with the command as the hint, and unready."""
    async with own_newsdesk(servers, tables=False) as own, gateway(own) as client:
        answer = await client.get("/articles")
        ready = await client.get("/health/ready")
    assert answer.status_code == 503
    assert "services.schema" in answer.json()["hint"]
    assert answer.headers["retry-after"]
    assert ready.status_code == 503


async def test_one_application_serves_twice_at_the_same_time(settings: Settings) -> None:
    """While one server replaces another in a process, the end of the old one does not touch the new one."""
    async with gateway(settings) as new:
        async with gateway(settings) as old:
            await old.post("/articles", json={**ARTICLE, "id": "a"})
        assert (await new.get("/articles/a")).status_code == 200


async def test_the_gateway_as_a_program(settings: Settings) -> None:
    """`uvicorn api.main:app` alone: answers, and stops within its grace on SIGTERM although a client follows.

    uvicorn ends by raising the signal again, once it has shut the application down.
    """
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "uvicorn",
            "api.main:app",
            "--port",
            str(port),
            "--timeout-graceful-shutdown",
            "1",
        ),
        env=environment(**variables(settings)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await until(lambda: _answers(client), "the gateway answers")
            await client.post("/articles", json={**ARTICLE, "id": "a"})
            async with client.stream("GET", "/articles/a/events") as following:
                assert following.status_code == 200
                process.terminate()
                _, errors = await process.communicate()
        assert process.returncode == -signal.SIGTERM, errors.decode()
        assert b"Application shutdown complete" in errors
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _answers(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx2.TransportError:
        return False
