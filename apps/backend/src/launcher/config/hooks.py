"""Make the specs of hooks out of checked entries."""

from __future__ import annotations

from launcher.config.build import Values
from launcher.config.entries import Document
from launcher.config.selection import Universe
from launcher.config.table_hooks import HOOK
from launcher.errors import Problem
from launcher.model.spec import HookSpec
from launcher.model.state import Phase


def hooks(document: Document, universe: Universe, problems: list[Problem]) -> tuple[HookSpec, ...]:
    """Return the declared hooks; contradictions, and components that nobody declares, are added to ``problems``."""
    return tuple(_hook(document, name, universe, problems) for name in document.names("hooks"))


def _hook(document: Document, name: str, universe: Universe, problems: list[Problem]) -> HookSpec:
    own = document.below(("hooks", name))
    given = [own[key,] for key in ("command", "url") if (key,) in own]
    if not given:
        hint = 'write command = ["./notify.sh"] or url = "https://…"'
        problems.append(Problem(document.tables["hooks", name], "does not say what to do", hint))
    if len(given) > 1:
        problems.append(
            Problem(given[1].where, "command and url exclude each other", "keep one, or make two hooks")
        )
    values = Values(own, HOOK)
    components = values.texts("components")
    problems += [
        Problem(own["components",].where, f"unknown component {text}", universe.hint(text))
        for text in components
        if not universe.matching(text) and not _may_be_of(text, universe)
    ]
    return HookSpec(
        name=name,
        on=frozenset(Phase(text) for text in values.texts("on")),
        components=components,
        command=values.texts("command"),
        url=values.text("url"),
        timeout=values.number("timeout"),
        attempts=values.whole("attempts"),
    )


def _may_be_of(text: str, universe: Universe) -> bool:
    """Whether it stands for an entry or agents that are not known, since their code was not asked."""
    return any(text == entry or text.startswith(f"{entry}.") for entry in universe.open)
