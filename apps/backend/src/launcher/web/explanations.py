"""The document of ``launcher why``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from launcher.config.secrets import redacted
from launcher.core.why import explain
from launcher.documents import SCHEMA

if TYPE_CHECKING:
    from launcher.core.view import View


class WhyDocument(TypedDict):
    """Why a component is as it is.

    ``cause`` is the first of ``lines`` and is about ``root``, a component or dependency; ``chain`` leads from the component to it.
    """

    schema: int
    component: str
    phase: str
    desired: str
    cause: str
    root: str
    chain: list[str]
    lines: list[str]


def why_document(view: View, name: str) -> WhyDocument:
    """Return why a component is as it is.

    Raises:
        KeyError: there is no such component.
    """
    told = explain(view, name)
    state = view.fleet.components[name]
    return {
        "schema": SCHEMA,
        "component": name,
        "phase": str(state.phase),
        "desired": str(state.desired),
        "cause": redacted(told.cause),
        "root": told.root,
        "chain": list(told.chain),
        "lines": [redacted(line) for line in told.lines],
    }
