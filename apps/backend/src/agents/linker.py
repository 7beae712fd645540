"""The agent that links the people, places and organisations an article names in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from agents.base import Agent
from agents.enrichment import enriching_agent
from agents.text.entities import find_entities
from services.articles import Article
from services.entity_graph import Entity, EntityGraph
from services.neo4j_graph import Neo4jService
from services.settings import Settings


class Linker:
    """Finds the names in a text and merges them into the graph."""

    def __init__(self, neo4j: Neo4jService, graph: EntityGraph) -> None:
        self._neo4j = neo4j
        self._graph = graph

    async def open(self) -> None:
        """Connect to Neo4j and make sure of its constraints."""
        await self._neo4j.connect()
        await self._neo4j.check_connection()
        await self._graph.prepare()

    async def enrich(self, article: Article) -> Mapping[str, Any]:
        """The entities of the article, which are in the graph when this returns."""
        entities = [Entity(found.name, found.kind, found.count) for found in find_entities(article.body)]
        await self._graph.link(article.id, article.title, entities)
        return {"entities": [asdict(entity) for entity in entities]}

    async def close(self) -> None:
        """Disconnect."""
        await self._neo4j.disconnect()


def create(settings: Settings) -> Agent:
    """The agent, not yet started."""
    neo4j = Neo4jService(settings.neo4j_url, settings.neo4j_user, settings.neo4j_password)
    return enriching_agent(settings, "linker", Linker(neo4j, EntityGraph(neo4j, settings.namespace)))
