"""Who may start warm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.warm import EVERYTHING, FIXED_AT_START, cold_reason, told_start
from launcher.model.spec import ComponentSpec, Kind


def agent(**changes: object) -> ComponentSpec:
    return ComponentSpec("worker", Kind.AGENT, "jobs:run", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("component", "shared", "read", "imports", "reason"),
    [
        (agent(), {}, {}, [], ""),
        (agent(), {"A": "1"}, {"A": "lib"}, ["lib"], ""),
        (agent(warm=False), {}, {}, [], "as declared"),
        (agent(), {}, {}, ["gevent"], "gevent changes libraries while they are imported"),
        (agent(environment={"A": "1"}), {}, {}, [], ""),
        (agent(environment={"A": "1"}), {"A": "1"}, {"A": "lib"}, [], ""),
        (
            agent(environment={"A": "1"}),
            {"A": "2"},
            {"A": "lib"},
            [],
            "A is set for it, and lib reads it while it is imported",
        ),
        (
            agent(environment={"A": "1"}),
            {},
            {EVERYTHING: "nosy"},
            [],
            "A is set for it, and nosy reads it while it is imported",
        ),
        (
            agent(environment={"PYTHONHASHSEED": "0"}),
            {},
            {},
            [],
            "PYTHONHASHSEED is set for it, and read when an interpreter starts",
        ),
        (agent(environment={"LANG": "C"}), {"LANG": "C"}, {}, [], ""),
    ],
)
def test_reasons(
    component: ComponentSpec, shared: dict[str, str], read: dict[str, str], imports: list[str], reason: str
) -> None:
    """A cold start is only asked for where a warm one could be told from it, and says why."""
    assert cold_reason(component, shared, read, imports) == reason


names = st.text("ABLNG_PYTHO", min_size=1, max_size=8)
environments = st.dictionaries(names, st.sampled_from(["0", "1"]), max_size=4)


@given(own=environments, shared=environments, read=st.dictionaries(names, st.just("lib"), max_size=4))
def test_a_warm_start_has_what_a_cold_one_would_have_had(
    own: dict[str, str], shared: dict[str, str], read: dict[str, str]
) -> None:
    """Whoever starts warm has no variable of its own that a library or the interpreter has already read with another value."""
    reason = cold_reason(agent(environment=own), shared, read, ())
    taken = {name for name in own if name in read or name.startswith(FIXED_AT_START)}
    assert bool(reason) == any(shared.get(name) != own[name] for name in taken)


@pytest.mark.parametrize(
    ("cold", "hazards", "text"),
    [
        ("", {}, "warm"),
        ("as declared", {}, "cold (as declared)"),
        ("as declared", {"numpy": "starts 1 thread"}, "cold (as declared)"),
        ("", {"b": "waits", "a": "starts"}, "warm, but for a (starts), b (waits)"),
    ],
)
def test_starts_in_words(cold: str, hazards: dict[str, str], text: str) -> None:
    """How a component starts is one short text."""
    assert told_start(cold, hazards) == text
