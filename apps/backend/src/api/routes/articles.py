"""Posting and reading articles."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.desk import UsesDesk
from api.models import (
    ID_PATTERN,
    LARGEST_REQUEST,
    Accepted,
    ArticleDetail,
    ArticlePage,
    ArticleSummary,
    Enrichment,
    NewArticle,
    RelatedArticle,
    RelatedArticles,
)
from api.problems import Refused, documented, not_found
from services.articles import Dossier, Outcome, content_id
from services.pipeline import enricher_names

router = APIRouter(prefix="/articles", tags=["articles"])

ArticleIdInPath = Annotated[str, Path(pattern=ID_PATTERN)]
_BIGINT = 2**63 - 1


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses={
        200: {"model": Accepted, "description": "The same article was there already"},
        413: {
            "description": f"More than {LARGEST_REQUEST} bytes; refused by the framework, without a problem document"
        },
        **documented(HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
    },
)
async def post_article(article: NewArticle, desk: UsesDesk, response: Response) -> Accepted:
    """Store an article and hand it to the agents. Posting the same one again changes nothing and answers 200.

    Once this has answered, the article is safe: if the stream cannot be reached it is enqueued later
    (`enqueued` is false).
    """
    article_id = article.id or content_id(article.title, article.body)
    stored, created = await desk.store.add(article_id, article.title, article.body)
    if (stored.title, stored.body) != (article.title, article.body):
        raise Refused(
            HTTPStatus.CONFLICT,
            f"article {article_id!r} exists with another text",
            "choose another id, or leave it out to get one derived from the text",
        )
    if not created:
        response.status_code = HTTPStatus.OK
    response.headers["Location"] = f"/articles/{article_id}"
    return Accepted(id=article_id, created=created, enqueued=await desk.publish())


@router.get("", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
async def list_articles(
    desk: UsesDesk,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[
        int | None, Query(ge=1, le=_BIGINT, description="the `next` of the previous page")
    ] = None,
) -> ArticlePage:
    """The articles, newest first."""
    rows = await desk.store.page(limit + 1, before)
    shown = rows[:limit]
    return ArticlePage(
        articles=[
            ArticleSummary(
                id=article.id, title=article.title, created_at=article.created_at, complete=complete
            )
            for article, complete in shown
        ],
        next=shown[-1][0].seq if len(rows) > limit else None,
    )


@router.get("/{article_id}", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE))
async def get_article(article_id: ArticleIdInPath, desk: UsesDesk) -> ArticleDetail:
    """An article with everything the agents have found out so far."""
    dossier = await desk.store.dossier(article_id)
    if dossier is None:
        raise not_found(article_id)
    return detail(dossier)


@router.get(
    "/{article_id}/related", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
)
async def get_related_articles(
    article_id: ArticleIdInPath, desk: UsesDesk, limit: Annotated[int, Query(ge=1, le=50)] = 10
) -> RelatedArticles:
    """Articles that name the same people, places and organisations, according to the graph."""
    if await desk.store.get(article_id) is None:
        raise not_found(article_id)
    await desk.neo4j.connect()
    related = await desk.graph.related(article_id, limit)
    return RelatedArticles(
        id=article_id,
        related=[
            RelatedArticle(id=other.id, title=other.title, shared=list(other.shared)) for other in related
        ],
    )


@router.post(
    "/{article_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def retry_article(article_id: ArticleIdInPath, desk: UsesDesk) -> Accepted:
    """Hand an article that failed to the agents again; results that are there are kept."""
    if await desk.store.get(article_id) is None:
        raise not_found(article_id)
    if not await desk.store.reopen(article_id):
        raise Refused(
            HTTPStatus.CONFLICT,
            f"no agent has given up on article {article_id!r}",
            "there is nothing to retry",
        )
    return Accepted(id=article_id, created=False, enqueued=await desk.publish())


def detail(dossier: Dossier) -> ArticleDetail:
    """A dossier as the gateway shows it."""
    article = dossier.article
    return ArticleDetail(
        id=article.id,
        title=article.title,
        body=article.body,
        created_at=article.created_at,
        status="complete" if dossier.complete else "failed" if dossier.settled else "enriching",
        complete=dossier.complete,
        missing=sorted(enricher_names() - dossier.outcomes.keys()),
        enrichments={agent: enrichment(outcome) for agent, outcome in dossier.outcomes.items()},
    )


def enrichment(outcome: Outcome) -> Enrichment:
    """An outcome as the gateway shows it."""
    return Enrichment(
        agent=outcome.agent,
        result=None if outcome.result is None else dict(outcome.result),
        error=outcome.error,
        delivered_at=outcome.delivered_at,
    )
