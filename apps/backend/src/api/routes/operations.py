"""The pipeline, its figures, and health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import APIRouter, Response

from api.desk import UsesDesk
from api.models import Alive, Pipeline, Readiness, ServiceHealth, StageInfo, Stats
from api.problems import documented
from services.errors import ServiceUnavailable, brief
from services.pipeline import PIPELINE

router = APIRouter(tags=["operations"])

CHECK_SECONDS = 2.0
"""Longest wait for one service in a readiness check."""

OPTIONAL = frozenset({"neo4j"})
"""Services without which articles are still taken and enriched, only not related to each other."""


@router.get("/agents")
async def list_agents() -> Pipeline:
    """The agents every article passes."""
    return Pipeline(agents=[StageInfo(name=stage.name, purpose=stage.purpose) for stage in PIPELINE])


@router.get("/stats", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
async def get_stats(desk: UsesDesk) -> Stats:
    """How much has been done and how much is outstanding."""
    counts = await desk.store.counts()
    state = await desk.queue.state([stage.name for stage in PIPELINE])
    return Stats(
        articles=counts.articles,
        complete=counts.complete,
        failed=counts.failed,
        waiting=state.waiting,
        dead_letters=state.dead,
        pending=dict(state.pending),
    )


@router.get("/health")
async def get_health() -> Alive:
    """Liveness: this process serves requests. No service is asked, so that their trouble restarts nothing here."""
    return Alive(status="ok")


@router.get("/health/ready", responses={503: {"model": Readiness, "description": "Articles cannot be taken"}})
async def get_readiness(desk: UsesDesk, response: Response) -> Readiness:
    """Readiness: every service is asked at the same time. 503 if one that is needed does not answer."""

    async def graph() -> float:
        await desk.neo4j.connect()
        return await desk.neo4j.check_connection()

    checks = {"postgres": desk.store.check, "redis": desk.redis.check_connection, "neo4j": graph}
    answers = await asyncio.gather(*(_checked(check) for check in checks.values()))
    services = dict(zip(checks, answers, strict=True))
    broken = {name for name, health in services.items() if not health.ok}
    if broken - OPTIONAL:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Readiness(status="unready", services=services)
    return Readiness(status="degraded" if broken else "ready", services=services)


async def _checked(check: Callable[[], Awaitable[float]]) -> ServiceHealth:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            seconds = await check()
    except TimeoutError:
        return ServiceHealth(ok=False, latency_ms=None, problem=f"no answer within {CHECK_SECONDS:g} s")
    except ServiceUnavailable as problem:
        return ServiceHealth(ok=False, latency_ms=None, problem=problem.why)
    except Exception as problem:  # noqa: BLE001 - a refused password and the like: said in the answer, not raised
        return ServiceHealth(ok=False, latency_ms=None, problem=f"{type(problem).__name__}: {brief(problem)}")
    return ServiceHealth(ok=True, latency_ms=round(seconds * 1000, 2), problem=None)
