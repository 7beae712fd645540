"""What a route is; all of them stand in ``launcher.web.routes``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.documents import ComponentDocument
from launcher.web.access import Reach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from launcher.web.messages import Request, Response
    from launcher.web.parameters import Parameter
    from launcher.web.port import ControlPort


@dataclass(frozen=True, slots=True)
class Route:
    """One way in; a segment in braces matches one segment of the path.

    Attributes:
        handle: answers; the first line of its docstring is shown to users.
        answer: the ``TypedDict`` that it answers with; ``None`` for anything else.
        query: what it may be asked.
        status: of the answer.
        media: of the answer; where it is not JSON, that is text.
        stream: the kind of event that carries the answer; empty where it is the body.
        unready: the answer may also come with the status 503.
        reach: who may use it over TCP; the control socket offers everything.
    """

    method: str
    path: str
    handle: Callable[[ControlPort, Request], Awaitable[Response]]
    answer: type | None = ComponentDocument
    query: tuple[Parameter, ...] = ()
    status: int = 200
    media: str = "application/json"
    stream: str = ""
    unready: bool = False
    reach: Reach = Reach.OWNER
