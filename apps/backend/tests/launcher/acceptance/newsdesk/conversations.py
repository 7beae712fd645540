"""What is asked of a running backend, in order: written by hand where one request depends on another, else from its document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence

from services.articles import ArticleStore
from services.pipeline import enricher_names
from services.settings import Settings
from tests.backend_servers import postgres_of
from tests.launcher.acceptance.newsdesk.backend import Newsdesk
from tests.launcher.acceptance.newsdesk.generated import METHODS, random_requests, single_mistakes
from tests.launcher.acceptance.newsdesk.transcript import Transcript
from tests.launcher.acceptance.newsdesk.wire import Request, Response, ask_all, connection, get, post
from tests.launcher.acceptance.project import eventually

KNOWN = "apollo-11"
FAILED = "given-up"
ARTICLE = {
    "id": KNOWN,
    "title": "Apollo 11",
    "body": "Neil Armstrong stepped onto the Moon in July 1969. Buzz Aldrin followed him. The crew came home safely.",
}
SISTER = {
    "id": "gemini-8",
    "title": "Gemini 8",
    "body": "Neil Armstrong flew with David Scott in March 1966. It was a wonderful and dangerous flight.",
}
MEGABYTE = json.dumps({"id": "megabyte", "title": "Large", "body": "\U0001f600" * (2**20 // 12)}).encode()
"""A valid article of a little over 2²⁰ bytes on the wire: every character is written as two escapes of six bytes."""

PAGES = ("/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect")

Conversation = Callable[[Newsdesk], Transcript]
Exchange = tuple[Request, Response]


def plant_failure(own: Settings) -> None:
    """Store an article on which every agent has given up, so that there is something to retry."""

    async def plant() -> None:
        async with postgres_of(own) as postgres:
            store = ArticleStore(postgres)
            await store.add(FAILED, "Given up", "Neil Armstrong is named here, too.")
            for agent in sorted(enricher_names()):
                await store.give_up(FAILED, agent, "planted by the test")
            assert await store.settle(FAILED, enricher_names())

    asyncio.run(plant())


def documents(newsdesk: Newsdesk) -> Transcript:
    """The OpenAPI document and the pages made from it."""
    return ask_all(newsdesk.port, [get(page) for page in PAGES])


def life_of_an_article(newsdesk: Newsdesk) -> Transcript:
    """Post, follow until it is complete, read everything; post again; retry."""
    said: list[Exchange] = []

    def say(*requests: Request) -> None:
        said.extend(ask_all(newsdesk.port, requests))

    def read(name: str) -> None:
        newsdesk.settled()
        article = f"/articles/{name}"
        say(
            get(article),
            get(f"{article}/related"),
            get(f"{article}/related?limit=1"),
            get(f"{article}/events"),
        )
        say(get("/articles"), get("/articles?limit=2"), get("/stats"), get("/agents"), get("/health/ready"))

    say(get(f"/articles/{KNOWN}", "before it exists"), get(f"/articles/{KNOWN}/events", "before it exists"))
    say(post("/articles", ARTICLE))
    said.append(_followed(newsdesk, KNOWN))
    read(KNOWN)
    say(post("/articles", ARTICLE, "again"), post("/articles", {**ARTICLE, "title": "Other"}, "another text"))
    say(post("/articles", {key: value for key, value in SISTER.items() if key != "id"}, "without an id"))
    say(post("/articles", SISTER, "the same text with an id"))
    read(SISTER["id"])
    said.extend(_paged(newsdesk))
    read(FAILED)
    say(post(f"/articles/{KNOWN}/retry", note="nothing failed"), post(f"/articles/{FAILED}/retry"))
    said.append(_followed(newsdesk, FAILED))
    read(FAILED)
    say(post(f"/articles/{FAILED}/retry", note="not twice"))
    return said


def _followed(newsdesk: Newsdesk, name: str) -> Exchange:
    """Follow an article while the agents work on it; connect again, as a browser does, if the stream ends before they are done."""
    request = get(f"/articles/{name}/events", "while the agents work")

    def whole() -> Response | None:
        response = newsdesk.ask(request)
        return response if b"event: settled" in response.body or response.status != 200 else None

    return request, eventually(f"{name} is settled", whole)


def _paged(newsdesk: Newsdesk) -> Iterator[Exchange]:
    """The whole list in pages of three."""
    following: int | None = 2**63 - 1
    while following is not None:
        request = get(f"/articles?limit=3&before={following}", "page by page")
        response = newsdesk.ask(request)
        following = response.json()["next"]
        yield request, response


def generated_from(document: dict[str, object]) -> Conversation:
    """Every generated request, operation by operation, each beginning when the agents have nothing left to do."""
    batches = [*single_mistakes(document, KNOWN).values(), *random_requests(document).values()]

    def conversation(newsdesk: Newsdesk) -> Transcript:
        said: list[Exchange] = []
        for batch in batches:
            newsdesk.settled()
            said.extend(ask_all(newsdesk.port, batch))
        return said

    return conversation


def large_requests(newsdesk: Newsdesk) -> Transcript:
    """A megabyte in one piece and in chunks, more than is allowed, and a request line and headers beyond all measure."""
    kind = (("Content-Type", "application/json"),)
    said = ask_all(
        newsdesk.port,
        [
            Request("POST", "/articles", kind, MEGABYTE, note="a megabyte"),
            Request("POST", "/articles", kind, MEGABYTE, chunked=True, note="a megabyte in chunks"),
            Request("POST", "/articles", kind, b" " * 1_500_001, note="too large"),
            Request("POST", "/articles", kind, b" " * 1_500_001, chunked=True, note="too large, in chunks"),
            Request(
                "POST",
                "/articles",
                (*kind, ("Expect", "100-continue")),
                MEGABYTE,
                note="asks before it sends",
            ),
            Request("POST", "/nowhere", kind, MEGABYTE, note="a megabyte for nobody"),
            get("/health?" + "x" * 60_000, "a long query"),
            get("/health", "a long header", headers=(("X-Long", "x" * 60_000),)),
        ],
    )
    newsdesk.settled()
    said += ask_all(
        newsdesk.port, [get("/articles/megabyte"), get("/articles/megabyte/events"), get("/stats")]
    )
    return said


def other_requests(newsdesk: Newsdesk) -> Transcript:
    """HEAD, OPTIONS and other methods everywhere, paths that are none, requests as a browser or a proxy sends them."""
    paths = (
        "/articles",
        f"/articles/{KNOWN}",
        "/agents",
        "/stats",
        "/health",
        "/health/ready",
        *PAGES,
        "/nowhere",
        "/",
    )
    methods = [Request(method, path) for path in paths for method in METHODS if method not in ("GET", "POST")]
    strange = [
        get(path)
        for path in (
            "/articles/",
            "//articles",
            "/articles//",
            "/articles/../health",
            "/%2e%2e/",
            "/ARTICLES",
        )
    ]
    asked = [
        get(
            "/articles/",
            "seen from outside",
            headers=(("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.1")),
        ),
        get(
            "/health",
            "in full",
            headers=(("Accept-Encoding", "gzip, br"), ("Accept", "text/html"), ("Range", "bytes=0-3")),
        ),
        Request("GET", "http://newsdesk.test/health", note="in the form for proxies"),
        Request("OPTIONS", "*", note="the server itself"),
        Request(
            "OPTIONS", "/articles", (("Origin", "http://a.test"), ("Access-Control-Request-Method", "POST"))
        ),
        get("/health", "another host", headers=(("Host", "else.test:1"),)),
        get("/health", "conditional", headers=(("If-None-Match", "*"),)),
        get("/health", "with a body", body=b"body"),
        get("/health", "an upgrade nobody speaks", headers=(("Connection", "Upgrade"), ("Upgrade", "h2c"))),
        get("/health", "a WebSocket where there is none", headers=_WEBSOCKET),
    ]
    return ask_all(newsdesk.port, [*methods, *strange, *asked])


_WEBSOCKET = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


def connections(newsdesk: Newsdesk) -> list[tuple[str, Transcript, bool]]:
    """What happens on one connection: by name, everything asked and answered, and whether the server closed it afterwards."""
    once, many = get("/health"), [get("/health"), get("/nowhere"), get("/agents"), get("/articles/%00")]
    close, stay = (("Connection", "close"),), (("Connection", "keep-alive"),)
    found = [
        ("one after another", many, False),
        ("all at once", many, True),
        ("asked to close", [get("/agents", headers=close)], False),
        ("HTTP/1.0", [get("/agents", version="HTTP/1.0")], False),
        ("HTTP/1.0, asked to stay", [get("/agents", version="HTTP/1.0", headers=stay)], False),
        ("HTTP/1.0, streamed", [get(f"/articles/{KNOWN}/events", version="HTTP/1.0")], False),
        ("HTTP/1.0, an error", [get("/nowhere", version="HTTP/1.0")], False),
        ("a body that is not read", [Request("POST", "/health", body=b"x" * 200_000), once], False),
        ("after too large a body", [Request("POST", "/articles", body=b"x" * 1_500_001), once], False),
        ("after an invalid one", [Request("POST", "/articles", body=b"{"), once], False),
        ("no such version", [get("/health", version="HTTP/9.9")], False),
        ("no HTTP at all", [Request("\x16\x03\x01", "garbage", version="\x00")], False),
        ("no host", [get("/health", headers=(("Host", ""),))], False),
    ]
    return [(name, *_on_one_connection(newsdesk, requests, at_once)) for name, requests, at_once in found]


def _on_one_connection(
    newsdesk: Newsdesk, requests: Sequence[Request], at_once: bool
) -> tuple[Transcript, bool]:
    with connection(newsdesk.port) as line:
        said = []
        if at_once:
            line.send(*requests)
        for request in requests:
            if not at_once:
                line.send(request)
            said.append((request, line.receive(request)))
        return said, line.closed()
