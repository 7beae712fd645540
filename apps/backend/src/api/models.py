"""What the gateway takes and gives, as strict models; together with the routes they are the API contract."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LONGEST_TITLE = 300
LONGEST_BODY = 100_000
"""Longest title and body, in characters."""

LARGEST_REQUEST = 1_500_000
"""In bytes; the longest article fits even if every character is written as a pair of JSON escapes."""

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the NUL character")
    if not text.strip():
        raise ValueError("must not be blank")
    return text


ArticleId = Annotated[str, Field(pattern=ID_PATTERN, examples=["moon-landing"])]


class Model(BaseModel):
    """Unknown members are refused, and no value is converted from another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NewArticle(Model):
    """An article to be posted. Without an `id` it gets one derived from its text."""

    id: ArticleId | None = None
    title: Annotated[str, Field(min_length=1, max_length=LONGEST_TITLE), AfterValidator(_storable)]
    body: Annotated[str, Field(min_length=1, max_length=LONGEST_BODY), AfterValidator(_storable)]


class ArticleSummary(Model):
    """An article in a list."""

    id: str
    title: str
    created_at: datetime
    complete: bool


class ArticlePage(Model):
    """Some articles, newest first; `next` continues the list and is null at its end."""

    articles: list[ArticleSummary]
    next: int | None


class Enrichment(Model):
    """What one agent delivered: a result, or the error it gave up with."""

    agent: str
    result: dict[str, Any] | None
    error: str | None
    delivered_at: datetime


class ArticleDetail(Model):
    """An article with everything the agents have found out so far.

    `status`: `enriching` while results are outstanding, then `complete`, or `failed` if an agent gave up.
    """

    id: str
    title: str
    body: str
    created_at: datetime
    status: Literal["enriching", "complete", "failed"]
    complete: bool
    missing: list[str]
    enrichments: dict[str, Enrichment]


class Accepted(Model):
    """The article is stored; `created` is false if it was there already, `enqueued` if the agents will hear of it later."""

    id: str
    created: bool
    enqueued: bool


class RelatedArticle(Model):
    """Another article and the names it has in common."""

    id: str
    title: str
    shared: list[str]


class RelatedArticles(Model):
    """Articles that share names with this one, most first."""

    id: str
    related: list[RelatedArticle]


class StageInfo(Model):
    """An agent of the pipeline and what it adds."""

    name: str
    purpose: str


class Pipeline(Model):
    """The agents an article passes."""

    agents: list[StageInfo]


class Stats(Model):
    """Totals: `waiting` articles on the stream, `pending` entries each agent holds, `dead_letters` given up."""

    articles: int
    complete: int
    failed: int
    waiting: int
    dead_letters: int
    pending: dict[str, int]


class Alive(Model):
    """The process serves requests; says nothing about the services."""

    status: Literal["ok"]


class ServiceHealth(Model):
    """Whether one service answered, and how fast."""

    ok: bool
    latency_ms: float | None
    problem: str | None


class Readiness(Model):
    """`ready`: everything answers; `degraded`: only the graph does not; `unready`: articles cannot be taken."""

    status: Literal["ready", "degraded", "unready"]
    services: dict[str, ServiceHealth]


class Problem(Model):
    """An error in the form of RFC 9457, with a hint about what to do, and where in the request the fault lies."""

    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: list[str] = []
