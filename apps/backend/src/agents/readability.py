"""The agent that scores how hard the text is to read."""

from __future__ import annotations

from agents.base import Agent
from agents.enrichment import TextEnricher, enriching_agent
from agents.text.readability import readability
from services.settings import Settings


def create(settings: Settings) -> Agent:
    """The agent, not yet started."""
    return enriching_agent(settings, "readability", TextEnricher(readability))
