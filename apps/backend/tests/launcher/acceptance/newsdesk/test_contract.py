"""The API contract: started by the launcher, in any mode, the backend answers as it does without the launcher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from api.main import app
from services.settings import Settings
from tests.launcher.acceptance.newsdesk import conversations
from tests.launcher.acceptance.newsdesk.backend import LEGACY, own_settings, running
from tests.launcher.acceptance.newsdesk.transcript import Transcript, assert_same, comparable
from tests.launcher.acceptance.project import free_port

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything said with a backend that was started in one way."""

    conversations: dict[str, Transcript]
    connections: list[tuple[str, Transcript, bool]]


Recorded = Callable[[str], Recording]


@pytest.fixture(scope="module")
def recorded(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """What is recorded of a way of starting the backend; each way is started once."""
    generated = conversations.generated_from(app.openapi())

    @cache
    def record(way: str) -> Recording:
        with own_settings(servers) as own:
            conversations.plant_failure(own)
            with running(way, tmp_path_factory.mktemp(way), own, free_port()) as newsdesk:
                spoken = {
                    "documents": conversations.documents(newsdesk),
                    "life": conversations.life_of_an_article(newsdesk),
                    "generated": generated(newsdesk),
                    "large": conversations.large_requests(newsdesk),
                    "other": conversations.other_requests(newsdesk),
                }
                return Recording(spoken, conversations.connections(newsdesk))

    return record


def told(recording: Recording) -> list[tuple[str, str, int]]:
    """Method, path and status of everything that was asked."""
    return [
        (request.method, request.target.partition("?")[0], response.status)
        for transcript in recording.conversations.values()
        for request, response in transcript
    ]


def test_the_conversations_say_something(recorded: Recorded) -> None:
    """Without the launcher every operation succeeds at least once, and every sort of refusal occurs."""
    said = told(recorded(LEGACY))
    counted = Counter(status for *_, status in said)
    assert {200, 201, 202, 307, 400, 404, 405, 409, 413, 422} <= set(counted), counted
    assert not {status for status in counted if status >= 500}, [one for one in said if one[2] >= 500]
    for path, item in app.openapi()["paths"].items():
        for article in (conversations.KNOWN, conversations.FAILED):
            here = path.replace("{article_id}", article)
            for method in item:
                succeeded = any(one[:2] == (method.upper(), here) and 200 <= one[2] < 300 for one in said)
                assert succeeded or (path.endswith("/retry") and article == conversations.KNOWN), (
                    method,
                    here,
                )


def test_articles_are_worked_on(recorded: Recorded) -> None:
    """Without the launcher the article of the conversation ends complete, with a result of every agent, and its sister is related."""
    life = recorded(LEGACY).conversations["life"]
    answers = {
        request.target: response.json() for request, response in life if "events" not in request.target
    }
    article = answers[f"/articles/{conversations.KNOWN}"]
    assert (article["status"], len(article["enrichments"])) == ("complete", 6)
    related = answers[f"/articles/{conversations.FAILED}/related"]["related"]
    assert conversations.KNOWN in [one["id"] for one in related]
    assert answers["/stats"]["failed"] == answers["/stats"]["dead_letters"] == 0


@pytest.mark.parametrize("part", ["documents", "life", "generated", "large", "other"])
def test_every_answer_is_the_same(recorded: Recorded, mode: str, part: str) -> None:
    """Status, headers and body of every answer are those without the launcher."""
    assert_same(recorded(LEGACY).conversations[part], recorded(mode).conversations[part], mode)


def test_the_document_is_the_same_to_the_byte(recorded: Recorded, mode: str) -> None:
    """Clients generated from the OpenAPI document of one mode fit every other."""
    documents = [recorded(way).conversations["documents"][0][1] for way in (LEGACY, mode)]
    assert documents[0].body == documents[1].body
    assert documents[0].json()["paths"]


def test_connections_live_as_long(recorded: Recorded, mode: str) -> None:
    """Kept-alive, pipelined, closed and broken connections are treated alike."""
    expected, found = recorded(LEGACY).connections, recorded(mode).connections
    for (name, one, closed), (_, other, also_closed) in zip(expected, found, strict=True):
        assert_same(one, other, f"{mode}, {name}")
        assert closed == also_closed, (
            f"{name}: closed without the launcher: {closed}; in {mode}: {also_closed}"
        )
    assert {closed for *_, closed in expected} == {True, False}


def test_every_answer_names_the_server_and_the_date(recorded: Recorded, mode: str) -> None:
    """Each complete answer carries one ``server`` and one valid ``date``."""
    for request, response in recorded(mode).conversations["generated"]:
        names = Counter(name.lower() for name, _ in response.headers)
        assert names["server"] == names["date"] == 1, request
        assert ("date", "<date>") in comparable(response).headers
