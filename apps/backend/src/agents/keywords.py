"""The agent that ranks the phrases that say what the text is about."""

from __future__ import annotations

from agents.base import Agent
from agents.enrichment import TextEnricher, enriching_agent
from agents.text.keyphrases import keyphrases
from services.settings import Settings


def create(settings: Settings) -> Agent:
    """The agent, not yet started."""
    return enriching_agent(settings, "keywords", TextEnricher(keyphrases))
