"""The stages an article passes, as data that the gateway and the agents agree on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One agent's part: its name, and one line on what it adds to an article."""

    name: str
    purpose: str


ENRICHERS: tuple[Stage, ...] = (
    Stage("summariser", "picks the sentences that carry most of the text"),
    Stage("keywords", "ranks the phrases that say what the text is about"),
    Stage("readability", "scores how hard the text is to read"),
    Stage("language", "recognises the language the text is written in"),
    Stage("sentiment", "weighs the pleasant against the unpleasant words"),
    Stage("linker", "links the people, places and organisations in the graph"),
)
"""The agents whose results make an article complete."""

DIRECTOR = Stage("director", "declares an article complete when every result is there")

PIPELINE: tuple[Stage, ...] = (*ENRICHERS, DIRECTOR)


def enricher_names() -> frozenset[str]:
    """The names of all agents an article needs a result from."""
    return frozenset(stage.name for stage in ENRICHERS)
