"""Articles and the names they share, in the graph."""

from __future__ import annotations

import asyncio

from services.entity_graph import Entity, EntityGraph
from services.settings import Settings
from tests.backend_servers import neo4j_of


def named(*names: str) -> list[Entity]:
    return [Entity(name, "person", 1) for name in names]


async def test_linking_at_the_same_time_makes_nothing_twice(settings: Settings) -> None:
    """Many writers of the same names, each repeated, leave one node per name and one edge per mention."""
    async with neo4j_of(settings) as neo4j:
        graph = EntityGraph(neo4j, settings.namespace)
        await asyncio.gather(*(graph.prepare() for _ in range(3)))
        names = named("Ada", "Blaise", "Charles", "Dorothea")
        await asyncio.gather(*(graph.link(f"a{number % 4}", "T", names) for number in range(8)))
        (nodes,) = await neo4j.run(
            "MATCH (e:Entity) WHERE e.namespace = $namespace RETURN count(e) AS entities",
            {"namespace": settings.namespace},
        )
        (edges,) = await neo4j.run(
            "MATCH (a:Article)-[m:MENTIONS]->() WHERE a.namespace = $namespace RETURN count(m) AS mentions",
            {"namespace": settings.namespace},
        )
    assert (nodes["entities"], edges["mentions"]) == (4, 16)


async def test_related_articles_come_by_what_they_share(settings: Settings) -> None:
    """Most shared names first, then by id; the article itself and strangers are left out."""
    async with neo4j_of(settings) as neo4j:
        graph = EntityGraph(neo4j, settings.namespace)
        await graph.prepare()
        await graph.link("center", "Center", named("Ada", "Blaise", "Charles"))
        await graph.link("one", "One", named("ada"))
        await graph.link("two", "Two", named("Ada", "Charles"))
        await graph.link("also-one", "Also one", named("Blaise"))
        await graph.link("stranger", "Stranger", named("Dorothea"))
        await graph.link("silent", "Silent", [])
        related = await graph.related("center", 10)
        assert [(other.id, other.shared) for other in related] == [
            ("two", ("Ada", "Charles")),
            ("also-one", ("Blaise",)),
            ("one", ("Ada",)),
        ]
        assert [other.id for other in await graph.related("center", 1)] == ["two"]
        assert await graph.related("silent", 10) == []


async def test_namespaces_do_not_touch(settings: Settings) -> None:
    """Two newsdesks on one graph share neither articles nor names."""
    async with neo4j_of(settings) as neo4j:
        here, there = (EntityGraph(neo4j, f"{settings.namespace}{side}") for side in ("-here", "-there"))
        await here.prepare()
        try:
            await here.link("a", "Here", named("Ada"))
            await there.link("b", "There", named("Ada"))
            assert await here.related("a", 10) == []
            await here.erase()
            await there.link("c", "There too", named("Ada"))
            assert [other.id for other in await there.related("b", 10)] == ["c"]
        finally:
            await here.erase()
            await there.erase()
