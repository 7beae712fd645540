"""Every error of the gateway as one kind of document (`application/problem+json`, RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.models import Problem
from services.errors import ServiceUnavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class Refused(Exception):
    """A request that cannot be met, with its status and what the client can do."""

    def __init__(self, status: HTTPStatus, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.problem = _problem(status, detail, hint)


def not_found(article_id: str) -> Refused:
    """There is no such article."""
    return Refused(HTTPStatus.NOT_FOUND, f"there is no article {article_id!r}", "GET /articles lists them")


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of these error answers."""
    return {
        int(status): {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """`problem` as a response."""
    return JSONResponse(
        problem.model_dump(mode="json"), status_code=problem.status, headers=headers, media_type=MEDIA_TYPE
    )


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: Refused) -> JSONResponse:
        return answer(error.problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        return answer(_problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", errors=errors))

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        return answer(_problem(HTTPStatus(error.status_code), str(error.detail)), error.headers)

    @app.exception_handler(ServiceUnavailable)
    async def unavailable(_request: Request, error: ServiceUnavailable) -> JSONResponse:
        problem = _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), hint=error.hint or None)
        return answer(problem, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def _problem(status: HTTPStatus, detail: str, hint: str | None = None, errors: Sequence[str] = ()) -> Problem:
    return Problem(title=status.phrase, status=status, detail=detail, hint=hint, errors=list(errors))
