"""The agent that picks the sentences that carry most of the text."""

from __future__ import annotations

from agents.base import Agent
from agents.enrichment import TextEnricher, enriching_agent
from agents.text.summary import summarise
from services.settings import Settings


def create(settings: Settings) -> Agent:
    """The agent, not yet started."""
    return enriching_agent(settings, "summariser", TextEnricher(summarise))
