"""What is asked for on the command line, and the order of the runs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.compare.figures import BY_KEY
from launcher.compare.plan import (
    MODES,
    Comparison,
    gates_from,
    load_from,
    modes_from,
    requests_from,
    spread_over,
    targets,
)
from launcher.compare.verdict import USUAL_GATES, Gate
from launcher.errors import UsageError
from launcher.model.spec import Bind, ComponentSpec, Kind, Probe, ProbeKind

SOME_MODES = st.lists(st.sampled_from(MODES), min_size=1, unique=True)


@given(SOME_MODES, st.integers(1, 12))
def test_the_modes_take_turns(modes: list[str], runs: int) -> None:
    """Each turn runs every mode once; the turns count from 0; no mode begins twice in a row unless it is alone."""
    turns = list(Comparison(tuple(modes), runs).turns())
    assert [turn for turn, _ in turns] == [turn for turn in range(runs + 1) for _ in modes]
    firsts = []
    for turn in range(runs + 1):
        ran = [mode for number, mode in turns if number == turn]
        assert sorted(ran) == sorted(modes)
        firsts.append(ran[0])
    if len(modes) > 1:
        assert all(one != other for one, other in pairwise(firsts))


@given(SOME_MODES)
def test_modes_are_read_as_they_are_written(modes: list[str]) -> None:
    """Commas separate, spaces do not matter, the order stays."""
    assert modes_from(" , ".join(modes)) == tuple(modes)


@pytest.mark.parametrize("text", ["", ",", "auto", "single,", "singel", "multi,multi"])
def test_what_are_no_modes(text: str) -> None:
    """Nothing, a mode that decides only later, and a mode given twice are refused; a comma too many is forgiven."""
    if text == "single,":
        assert modes_from(text) == ("single",)
    else:
        with pytest.raises(UsageError) as raised:
            modes_from(text)
        assert raised.value.hint


@given(st.dictionaries(st.sampled_from(sorted(BY_KEY)), st.floats(0.001, 100), min_size=1))
def test_gates_are_read_as_they_are_written(limits: dict[str, float]) -> None:
    """Every figure can be gated, with any positive ratio."""
    text = ",".join(f"{key}={limit!r}" for key, limit in limits.items())
    assert gates_from(text) == tuple(Gate(key, limit) for key, limit in limits.items())


def test_the_usual_gates() -> None:
    """Without an argument single may take 70 % of the memory and of the CPU at rest."""
    assert gates_from("") == USUAL_GATES == (Gate("memory", 0.7), Gate("cpu", 0.7))


@pytest.mark.parametrize(
    "text",
    [
        *("memory", "memory=", "memory=x", "memory=0", "memory=-1", "memory=nan", "memory=inf"),
        *("size=1", "memory=1,memory=2", "memory=1,", "=1", "api"),
    ],
)
def test_what_is_no_gate(text: str) -> None:
    """Each mistake is refused with a hint that shows a gate."""
    with pytest.raises(UsageError) as raised:
        gates_from(text)
    assert "--gate" in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["/health"], {"": "/health"}),
        (["api=/a?b=/c", "/"], {"api": "/a?b=/c", "": "/"}),
        (["agents.one=/x"], {"agents.one": "/x"}),
    ],
)
def test_requests(texts: list[str], expected: dict[str, str]) -> None:
    """A path is for all components, or for the one in front of it."""
    assert requests_from(texts) == expected


@pytest.mark.parametrize("text", ["", "health", "api=health", "api/health", "/a b", "http://x/y"])
def test_what_is_no_request(text: str) -> None:
    """What is no path is refused, so that nothing else is asked than was meant."""
    with pytest.raises(UsageError):
        requests_from([text])


def web(name: str, ready: Probe | None = None) -> ComponentSpec:
    """Return an ASGI component."""
    return ComponentSpec(name, Kind.ASGI, target="web:app", bind=Bind(0), ready=ready)


COMPONENTS = (
    web("plain"),
    web("checked", Probe(ProbeKind.HTTP, "/health")),
    web("elsewhere", Probe(ProbeKind.HTTP, "http://127.0.0.1:1/x")),
    ComponentSpec("worker", Kind.AGENT, target="jobs:run"),
)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ({}, {"plain": "/", "checked": "/health", "elsewhere": "/"}),
        ({"": "/x"}, {"plain": "/x", "checked": "/x", "elsewhere": "/x"}),
        ({"plain": "/y"}, {"plain": "/y", "checked": "/health", "elsewhere": "/"}),
        ({"plain": "/y", "": "/x"}, {"plain": "/y", "checked": "/x", "elsewhere": "/x"}),
    ],
)
def test_what_is_asked_of_whom(requests: dict[str, str], expected: dict[str, str]) -> None:
    """Each ASGI component is asked for what is said for it, for all, for what its readiness asks, or for the root."""
    assert targets(COMPONENTS, requests) == expected


@pytest.mark.parametrize("name", ["worker", "plian"])
def test_only_asgi_components_are_asked(name: str) -> None:
    """A path for something else is a mistake."""
    with pytest.raises(UsageError, match="no ASGI component"):
        targets(COMPONENTS, {name: "/"})


@pytest.mark.parametrize(
    ("text", "words"),
    [("", ()), ("python load.py", ("python", "load.py")), ("wrk 'a b' -c 1", ("wrk", "a b", "-c", "1"))],
)
def test_loads(text: str, words: tuple[str, ...]) -> None:
    """A load is a program with its arguments."""
    assert load_from(text) == words


def test_a_load_without_an_end() -> None:
    """An open quotation is refused."""
    with pytest.raises(UsageError, match="--load"):
        load_from("wrk 'a b")


@given(st.lists(st.text(), unique=True), st.integers(1, 9))
def test_a_few_are_spread_over_all(names: list[str], most: int) -> None:
    """Never more than asked for, all when they are few, the first always, and in order."""
    found = spread_over(names, most)
    assert len(found) <= most
    assert found[:1] == names[:1]
    assert found == [name for name in names if name in found]
    if len(names) <= most:
        assert found == names
