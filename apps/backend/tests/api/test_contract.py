"""The OpenAPI document and the errors: what clients may rely on, without any server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from api.desk import Desk
from api.main import app, create_app
from api.models import LARGEST_REQUEST, LONGEST_BODY, LONGEST_TITLE, NewArticle
from services.settings import Settings
from tests.api.newsdesk import client_of
from tests.backend_servers import environment

ROUTES = {
    ("post", "/articles"),
    ("get", "/articles"),
    ("get", "/articles/{article_id}"),
    ("get", "/articles/{article_id}/related"),
    ("get", "/articles/{article_id}/events"),
    ("post", "/articles/{article_id}/retry"),
    ("get", "/agents"),
    ("get", "/stats"),
    ("get", "/health"),
    ("get", "/health/ready"),
}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    document = app.openapi()
    return {(method, path): what for path, item in document["paths"].items() for method, what in item.items()}


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application whose services were never connected: using one would be an error of the server."""
    async with client_of({"desk": Desk(Settings())}) as client:
        yield client


def test_the_routes_are_the_contract() -> None:
    """A route that appears or disappears changes the contract."""
    assert set(operations()) == ROUTES


def test_operations_are_named_tagged_and_described() -> None:
    """Unique operation ids, a declared tag, and a description each."""
    found = operations().values()
    names = [operation["operationId"] for operation in found]
    declared = {tag["name"] for tag in app.openapi()["tags"]}
    assert len(set(names)) == len(names)
    assert all(set(operation["tags"]) <= declared and operation["tags"] for operation in found)
    assert all(operation["description"] for operation in found)


def test_every_documented_error_is_a_problem_document() -> None:
    """Whatever the status, clients find the same members; a body too large is refused before the routes see it."""
    for key, operation in operations().items():
        for status, response in operation["responses"].items():
            if int(status) >= 400 and status != "413" and key != ("get", "/health/ready"):
                (content,) = response["content"].values()
                assert content["schema"]["$ref"].endswith("/Problem"), (key, status)


def test_two_applications_describe_themselves_alike() -> None:
    """The document depends on the code alone."""
    assert create_app().openapi() == app.openapi()


def test_importing_the_application_does_nothing() -> None:
    """No environment is read, no driver of the graph loaded, nothing of the launcher imported."""
    code = "import sys, api.main; print(*[name for name in ('neo4j', 'launcher', 'agents') if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(POSTGRES_URL="nonsense"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == ""


async def test_health_asks_nobody(client: httpx2.AsyncClient) -> None:
    """Liveness answers without any service."""
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_the_pipeline_is_listed(client: httpx2.AsyncClient) -> None:
    """Names and purposes, the director last."""
    names = [agent["name"] for agent in (await client.get("/agents")).json()["agents"]]
    assert len(names) >= 7
    assert names[-1] == "director"


@pytest.mark.parametrize(
    "article",
    [
        {},
        {"title": "T"},
        {"title": "", "body": "B"},
        {"title": "T", "body": "   "},
        {"title": "T", "body": 7},
        {"title": "T", "body": "nul \0 inside"},
        {"title": "T" * (LONGEST_TITLE + 1), "body": "B"},
        {"title": "T", "body": "B" * (LONGEST_BODY + 1)},
        {"title": "T", "body": "B", "colour": "red"},
        {"title": "T", "body": "B", "id": "with space"},
        {"title": "T", "body": "B", "id": "../etc"},
        {"title": "T", "body": "B", "id": "x" * 65},
        {"title": "T", "body": "B", "id": "newline\n"},
        ["not", "an", "object"],
    ],
)
async def test_an_invalid_article_is_refused(client: httpx2.AsyncClient, article: object) -> None:
    """422 with the place of each fault, before any service is asked."""
    answer = await client.post("/articles", json=article)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["errors"]
    assert all(error.startswith("body") for error in problem["errors"])


async def test_text_that_is_no_text_is_refused(client: httpx2.AsyncClient) -> None:
    """A lone surrogate cannot be stored, and broken JSON cannot be read."""
    for content in (b'{"title": "T", "body": "\\ud800"}', b'{"title": "T", ', b"\xff\xfe"):
        answer = await client.post("/articles", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), content
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/articles/with%20space",
        "/articles/%00",
        "/articles?limit=0",
        "/articles?limit=101",
        "/articles?before=x",
    ],
)
async def test_invalid_addresses_are_refused(client: httpx2.AsyncClient, path: str) -> None:
    """422 for ids and parameters that cannot be."""
    assert (await client.get(path)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/articles", 405)]
)
async def test_unknown_routes_answer_with_a_problem(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    """Errors of the framework have the same form."""
    answer = await client.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_request_that_is_too_large_is_refused(client: httpx2.AsyncClient, announced: bool) -> None:
    """413 whether the length is announced or only found out on the way."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_REQUEST // 100_000 + 1):
            yield b"x" * 100_000

    content: bytes | AsyncIterator[bytes] = b"x" * (LARGEST_REQUEST + 1) if announced else chunks()
    answer = await client.post("/articles", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_the_longest_article_fits_the_largest_request() -> None:
    """Even written in JSON's longest form, one escape per surrogate."""
    longest = NewArticle(title="\U0001f600" * LONGEST_TITLE, body="\U0001f600" * LONGEST_BODY, id="x" * 64)
    escaped = sum(len(f"{value!s}".encode("utf-16-be")) * 3 for value in (longest.title, longest.body))
    assert escaped + 1000 < LARGEST_REQUEST
