"""Order, descendants and cycles of graphs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launcher.core.graph import descendants, find_cycles, waves

Graph = dict[str, tuple[str, ...]]


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool) -> Graph:
    """Return a graph of up to eight nodes without self-loops."""
    nodes = [f"n{number}" for number in range(draw(st.integers(0, 8)))]
    edges: Graph = {}
    for number, node in enumerate(nodes):
        others = nodes[:number] if acyclic else [other for other in nodes if other != node]
        edges[node] = tuple(draw(st.lists(st.sampled_from(others), unique=True))) if others else ()
    return dict(draw(st.permutations(list(edges.items()))))


def reachable(edges: Graph, node: str) -> set[str]:
    """Return everything that ``node`` needs, directly or not, found by plain search."""
    found: set[str] = set()
    frontier = list(edges[node])
    while frontier:
        other = frontier.pop()
        if other not in found:
            found.add(other)
            frontier.extend(edges[other])
    return found


def test_waves_of_a_small_graph() -> None:
    """Each node comes one wave after the last thing it needs; declaration order holds within a wave."""
    edges = {"web": ("api",), "api": ("db", "migrate"), "migrate": ("db",), "db": (), "cache": ()}
    assert waves(edges) == (("db", "cache"), ("migrate",), ("api",), ("web",))
    assert waves({}) == ()


@given(graphs(acyclic=True))
def test_waves_are_valid(edges: Graph) -> None:
    """Every node is in exactly one wave, after all it needs, and in the first that is possible."""
    order = waves(edges)
    level = {node: number for number, wave in enumerate(order) for node in wave}
    assert sorted(node for wave in order for node in wave) == sorted(edges)
    for node, needs in edges.items():
        assert level[node] == max((level[needed] + 1 for needed in needs), default=0)
    assert all(order)


@given(graphs(acyclic=True))
def test_descendants_are_what_reaches_back(edges: Graph) -> None:
    """A node is a descendant exactly when what it needs includes the other, directly or not."""
    for node in edges:
        assert descendants(edges, node) == {other for other in edges if node in reachable(edges, other)}


@given(graphs(acyclic=True))
def test_no_cycle_is_found_where_there_is_none(edges: Graph) -> None:
    """A graph without cycles is never refused."""
    assert find_cycles(edges) == []


@given(graphs(acyclic=False))
def test_cycles_are_found_exactly_when_there_are_any(edges: Graph) -> None:
    """Some cycle is found if and only if a node needs itself, directly or not."""
    assert bool(find_cycles(edges)) is any(node in reachable(edges, node) for node in edges)


@given(graphs(acyclic=False))
def test_found_cycles_are_cycles_and_do_not_overlap(edges: Graph) -> None:
    """Each path can be walked round, and no node is named in two of them."""
    cycles = find_cycles(edges)
    for cycle in cycles:
        for node, needed in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert needed in edges[node]
    named = [node for cycle in cycles for node in cycle]
    assert len(named) == len(set(named))


def test_two_separate_cycles_are_both_found() -> None:
    """All cycles that have nothing in common are reported in one run."""
    edges = {"a": ("b",), "b": ("a",), "c": ("d", "a"), "d": ("e",), "e": ("c",)}
    assert find_cycles(edges) == [("a", "b"), ("c", "d", "e")]


def test_a_node_that_needs_itself_is_no_cycle_here() -> None:
    """Self-dependence is reported in words of its own elsewhere."""
    assert find_cycles({"a": ("a",)}) == []
