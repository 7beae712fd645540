"""Which articles mention which people, places and organisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.neo4j_graph import Neo4jService


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody or something an article names `count` times; `kind` is person, place, organisation or name."""

    name: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Related:
    """Another article, and the names it has in common."""

    id: str
    title: str
    shared: tuple[str, ...]


class EntityGraph:
    """The graph of one namespace: (:Article)-[:MENTIONS {count}]->(:Entity), both found by a namespaced `key`."""

    def __init__(self, neo4j: Neo4jService, namespace: str) -> None:
        self._neo4j = neo4j
        self._namespace = namespace

    async def prepare(self) -> None:
        """Create the unique constraints that keep MERGE from making two of a kind; safe to repeat."""
        await self._neo4j.merge(
            "CREATE CONSTRAINT newsdesk_article IF NOT EXISTS FOR (a:Article) REQUIRE a.key IS UNIQUE", {}
        )
        await self._neo4j.merge(
            "CREATE CONSTRAINT newsdesk_entity IF NOT EXISTS FOR (e:Entity) REQUIRE e.key IS UNIQUE", {}
        )

    async def link(self, article_id: str, title: str, entities: Sequence[Entity]) -> None:
        """Record that an article mentions `entities`; repeating it changes nothing."""
        await self._neo4j.merge(
            "MERGE (a:Article {key: $key}) SET a.id = $id, a.title = $title, a.namespace = $namespace",
            {"key": self._key(article_id), "id": article_id, "title": title, "namespace": self._namespace},
        )
        if not entities:
            return
        # Writing to the article first makes two transactions about it exclude each other: a MERGE of an edge alone
        # does not on every server, and would leave it twice.
        # One order for all writers, so that two of them cannot wait for each other's locks.
        rows = sorted(
            (
                {"key": self._key(e.name.casefold()), "name": e.name, "kind": e.kind, "count": e.count}
                for e in entities
            ),
            key=lambda row: str(row["key"]),
        )
        await self._neo4j.merge(
            "MATCH (a:Article {key: $key}) SET a.revision = coalesce(a.revision, 0) + 1"
            " WITH a UNWIND $rows AS row"
            " MERGE (e:Entity {key: row.key})"
            " ON CREATE SET e.name = row.name, e.kind = row.kind, e.namespace = $namespace"
            " MERGE (a)-[m:MENTIONS]->(e) SET m.count = row.count",
            {"key": self._key(article_id), "rows": rows, "namespace": self._namespace},
        )

    async def related(self, article_id: str, limit: int) -> list[Related]:
        """The articles that share most names with this one, most first; at most `limit`."""
        rows = await self._neo4j.run(
            "MATCH (a:Article {key: $key})-[:MENTIONS]->(e:Entity)<-[:MENTIONS]-(b:Article)"
            " WHERE b.key <> $key"
            " WITH b.id AS id, b.title AS title, collect(DISTINCT e.name) AS shared"
            " RETURN id, title, shared ORDER BY size(shared) DESC, id LIMIT $limit",
            {"key": self._key(article_id), "limit": limit},
        )
        return [Related(str(row["id"]), str(row["title"]), _names(row["shared"])) for row in rows]

    async def erase(self) -> None:
        """Delete everything of this namespace."""
        await self._neo4j.run(
            "MATCH (n) WHERE n.namespace = $namespace DETACH DELETE n", {"namespace": self._namespace}
        )

    def _key(self, name: str) -> str:
        return f"{self._namespace}:{name}"


def _names(value: object) -> tuple[str, ...]:
    return tuple(sorted(str(name) for name in value)) if isinstance(value, list) else ()
