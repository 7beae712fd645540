"""The agent that weighs the pleasant against the unpleasant words."""

from __future__ import annotations

from agents.base import Agent
from agents.enrichment import TextEnricher, enriching_agent
from agents.text.sentiment import sentiment
from services.settings import Settings


def create(settings: Settings) -> Agent:
    """The agent, not yet started."""
    return enriching_agent(settings, "sentiment", TextEnricher(sentiment))
