"""Small questions about a directed graph given as ``{node: nodes that it needs}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Edges = Mapping[str, Sequence[str]]


def waves(edges: Edges) -> tuple[tuple[str, ...], ...]:
    """Return the nodes level by level: everything that a node needs is in an earlier level. The graph must have no cycle."""
    level: dict[str, int] = {}

    def place(node: str) -> int:
        if node not in level:
            level[node] = 1 + max((place(needed) for needed in edges[node]), default=-1)
        return level[node]

    for node in edges:
        place(node)
    depth = 1 + max(level.values(), default=-1)
    return tuple(tuple(node for node in edges if level[node] == number) for number in range(depth))


def descendants(edges: Edges, node: str) -> frozenset[str]:
    """Return every node that needs ``node``, directly or not."""
    found: set[str] = set()
    frontier = {node}
    while frontier:
        frontier = {other for other, needs in edges.items() if other not in found and frontier & set(needs)}
        found |= frontier
    return frozenset(found)


def find_cycles(edges: Edges) -> list[tuple[str, ...]]:
    """Return cycles as paths (first node not repeated); every node is in at most one of them, a self-loop is no cycle here."""
    cycles: list[tuple[str, ...]] = []
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> None:
        if node in path:
            cycle = path[path.index(node) :]
            if len(cycle) > 1 and not any(set(cycle) & set(known) for known in cycles):
                cycles.append(cycle)
            return
        if node in done:
            return
        for needed in edges[node]:
            visit(needed, (*path, node))
        done.add(node)

    for node in edges:
        visit(node, ())
    return cycles
