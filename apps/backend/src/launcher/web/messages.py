"""Requests and responses as values, independent of how they travel."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from launcher.documents import error_document
from launcher.errors import ExitCode, LauncherError, UnknownComponent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from launcher.web.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Request:
    """One request after parsing.

    Attributes:
        path: as sent, still percent-encoded, without the query.
        query: decoded; of a repeated parameter the last value.
        pairs: the same, with every value of a repeated one.
        names: what the placeholders of the route matched.
        headers: by name in lower case; the values of a repeated one are joined by commas (RFC 9110, section 5.3).
        sessions: the logins of browsers, where there is a door for them.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    sessions: Sessions | None = None
    pairs: tuple[tuple[str, str], ...] = ()

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter that may be given several times."""
        return tuple(value for key, value in self.pairs if key == name)


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response; a body that is an iterator is sent piece by piece, and an endless one ends with the connection.

    Attributes:
        finish: called when the server closes: the body is to end after what it has.
    """

    status: int
    body: bytes | AsyncGenerator[bytes, None]
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    finish: Callable[[], None] = _nothing


class Refusal(LauncherError):
    """A request that HTTP itself answers: a wrong path, method, parameter or size."""

    exit_code = ExitCode.USAGE

    def __init__(
        self, status: int, message: str, *, hint: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Refuse with a status code, a message and a hint."""
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = headers


def json_response(document: Mapping[str, Any], status: int = 200) -> Response:
    """Return a document as response."""
    return Response(
        status, json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    )


def error_response(error: LauncherError) -> Response:
    """Return an error as response: its document under the status code that fits."""
    headers = error.headers if isinstance(error, Refusal) else ()
    answer = json_response(error_document(error), _status(error))
    return Response(answer.status, answer.body, headers=headers)


def _status(error: LauncherError) -> int:
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, UnknownComponent):
        return 404
    by_code = {ExitCode.USAGE: 400, ExitCode.TIMEOUT: 504, ExitCode.FAILED: 409}
    return by_code.get(error.exit_code, 500)
