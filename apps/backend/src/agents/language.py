"""The agent that recognises the language the text is written in."""

from __future__ import annotations

from agents.base import Agent
from agents.enrichment import TextEnricher, enriching_agent
from agents.text.languages import recognise
from services.settings import Settings


def create(settings: Settings) -> Agent:
    """The agent, not yet started."""
    return enriching_agent(settings, "language", TextEnricher(recognise))
