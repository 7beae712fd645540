"""Selection, agents and groups: what is started, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.config.selection import Pattern, Universe, select
from launcher.errors import CommandFailed, Problem
from launcher.model.spec import Kind
from tests.launcher.unit.config.support import API, component, loaded, names, problem, problems

NEWSDESK = """
[components.api]
app = "api.main:app"
depends_on = ["postgres", "agents"]

[components.agents]
launcher = "agents.launcher:AgentLauncher"
agents = ["writer", "critic"]
depends_on = ["redis"]

[components.redis]
command = "redis-server"

[components.docs]
command = "serve docs"

[components.cron]
run = "jobs:cron"
depends_on = ["agents.writer"]

[dependencies.postgres]
url = "postgresql://h"

[dependencies.unused]
url = "tcp://h:1"

[groups]
core = ["api", "agents.*"]
rest = ["docs"]
"""

SELECTIONS = [
    ((), (), ["api", "agents.writer", "agents.critic", "redis", "docs", "cron"], ()),
    (("docs",), (), ["docs"], ()),
    (
        ("agents",),
        (),
        ["agents.writer", "agents.critic", "redis"],
        ("also starting redis, which agents.writer and 1 more need",),
    ),
    (("agents.*",), (), ["agents.writer", "agents.critic", "redis"], None),
    (("agents.writer",), (), ["agents.writer", "redis"], ("also starting redis, which agents.writer needs",)),
    (("d*", "redis"), (), ["redis", "docs"], ()),
    (("rest",), (), ["docs"], ()),
    (("core",), (), ["api", "agents.writer", "agents.critic", "redis"], None),
    (("cron",), (), ["agents.writer", "redis", "cron"], None),
    ((), ("docs",), ["api", "agents.writer", "agents.critic", "redis", "cron"], ()),
    (
        (),
        ("agents.critic",),
        ["api", "agents.writer", "redis", "docs", "cron"],
        ("api depends on all of agents: it does not wait for agents.critic, which is excluded",),
    ),
    ((), ("api", "cron", "agents"), ["redis", "docs"], ()),
]


@pytest.mark.parametrize(("only", "exclude", "expected", "notes"), SELECTIONS)
def test_selection(
    tmp_path: Path,
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    expected: list[str],
    notes: tuple[str, ...] | None,
) -> None:
    """What is asked for starts with all that it needs, and that is said."""
    result = loaded(tmp_path, NEWSDESK, only=only, exclude=exclude)
    assert names(result) == expected
    assert notes is None or result.notes == notes


MISTAKES = [
    (("agnts",), (), "--only", "unknown component agnts", "did you mean agents?"),
    (("agents.writr",), (), "--only", "unknown component agents.writr", "did you mean agents.writer?"),
    (("x*",), (), "--only", "x* matches no component", "there are: api"),
    (("postgres",), (), "--only", "postgres is a dependency", "it is an external service"),
    (
        (),
        ("redis",),
        "--exclude",
        "cannot exclude redis: agents.writer, agents.critic need it",
        "exclude agents.writer, agents.critic as well",
    ),
    (
        ("cron",),
        ("agents.writer",),
        "--exclude",
        "cannot exclude agents.writer: cron needs it",
        "exclude cron as well",
    ),
    (
        ("api",),
        ("agents",),
        "--exclude",
        "cannot exclude agents.writer: api needs it",
        "take agents.writer out of depends_on",
    ),
    (("docs",), ("docs",), "--exclude", "leaves nothing to start", "select at least one"),
]


@pytest.mark.parametrize(("only", "exclude", "where", "what", "hint"), MISTAKES)
def test_selection_mistakes(
    tmp_path: Path, only: tuple[str, ...], exclude: tuple[str, ...], where: str, what: str, hint: str
) -> None:
    """What cannot be selected or left out is refused with a way on."""
    found = problem(tmp_path, NEWSDESK, only=only, exclude=exclude)
    assert (found.where, found.what) == (where, what)
    assert hint in found.hint


def test_profile_exclusion_names_its_line(tmp_path: Path) -> None:
    """An exclusion that cannot be is shown where the profile says it."""
    found = problem(tmp_path, f'{NEWSDESK}[profiles.p]\nexclude = ["redis"]\n', profiles=("p",))
    assert found.where.endswith(": profiles.p.exclude")


def test_only_what_is_needed_is_kept(tmp_path: Path) -> None:
    """Dependencies that nobody selected needs are not probed, and groups hold only what is started."""
    result = loaded(tmp_path, NEWSDESK, only=("agents.writer", "docs"))
    assert result.spec.dependencies == ()
    assert result.spec.groups == {"core": ("agents.writer",), "rest": ("docs",)}
    assert [spec.name for spec in loaded(tmp_path).spec.dependencies] == ["postgres"]


NAMES = st.sampled_from("abcdef")


@settings(deadline=None)
@given(
    st.dictionaries(NAMES, st.lists(NAMES, max_size=3, unique=True).map(tuple), min_size=1),
    st.sets(NAMES),
    st.sets(NAMES),
)
def test_selection_is_closed(needs: dict[str, tuple[str, ...]], only: set[str], exclude: set[str]) -> None:
    """A selection without problems holds what was asked for and all that it needs, and nothing excluded."""
    declared: Mapping[str, tuple[str, ...]] = {
        name: tuple(need for need in wanted if need in needs) for name, wanted in needs.items()
    }
    asked, left = sorted(only & set(declared)), sorted(exclude & set(declared))
    found: list[Problem] = []
    result = select(
        Universe(declared),
        [Pattern(name, "--only") for name in asked],
        [Pattern(name, "--exclude") for name in left],
        [],
        found,
    )
    if found:
        return
    chosen = set(result.components)
    assert not chosen & set(left)
    assert chosen >= set(asked or declared) - set(left)
    assert all(need in chosen for name in chosen for need in declared[name])
    assert [name for name in declared if name in chosen] == list(result.components)


# ---- agents --------------------------------------------------------------------------------------------------------------------

ENTRY = '[components.agents]\nlauncher = "agents.launcher:AgentLauncher"\n'


def test_agents_expand(tmp_path: Path) -> None:
    """One component per agent, each with the entry's settings and its own on top."""
    result = loaded(
        tmp_path,
        f'{ENTRY}agents = ["writer", "fact-checker"]\nstop_grace = 5\nrestart = {{ delay = 1 }}\nenvironment = {{ A = "1" }}\n'
        '[components.agents.each.writer]\nstop_grace = 7\nrestart.policy = "never"\nenvironment.B = "2"\ndepends_on = ["agents.fact-checker"]\n',
        environ={"LAUNCHER_COMPONENTS__AGENTS__EACH__FACT_CHECKER__CRITICAL": "1"},
    )
    writer, checker = component(result, "agents.writer"), component(result, "agents.fact-checker")
    assert (writer.kind, writer.agent, writer.target) == (
        Kind.AGENTS,
        "writer",
        "agents.launcher:AgentLauncher",
    )
    assert (writer.stop_grace, checker.stop_grace) == (7, 5)
    assert (writer.restart.delay, str(writer.restart.policy), str(checker.restart.policy)) == (
        1,
        "never",
        "always",
    )
    assert (writer.environment, checker.environment) == ({"A": "1", "B": "2"}, {"A": "1"})
    assert (writer.depends_on, checker.depends_on) == (("agents.fact-checker",), ())
    assert (writer.critical, checker.critical) == (False, True)


def test_agents_are_asked_for(tmp_path: Path) -> None:
    """An entry that does not list its agents is asked, with the path and the variables it will run with."""
    calls: list[tuple[str, tuple[str, ...], str, dict[str, str]]] = []

    def discover(
        target: str, path: tuple[str, ...], directory: str, environment: Mapping[str, str]
    ) -> tuple[str, ...]:
        calls.append((target, path, directory, dict(environment)))
        return ("a", "b")

    text = f'[environment]\nX = "1"\n{ENTRY}environment.Y = "2"\n{API}'
    assert names(loaded(tmp_path, text, discover_agents=discover)) == ["agents.a", "agents.b", "api"]
    assert calls == [("agents.launcher:AgentLauncher", (str(tmp_path),), str(tmp_path), {"X": "1", "Y": "2"})]


@pytest.mark.parametrize("only", [("api",), ("api", "d*")])
def test_agents_are_asked_only_when_needed(tmp_path: Path, only: tuple[str, ...]) -> None:
    """Code of an entry that is left out is not run, unless a wildcard might mean it."""
    called: list[str] = []

    def discover(target: str, *_rest: object) -> tuple[str, ...]:
        called.append(target)
        return ("a",)

    text = f'{ENTRY}{API}[components.docs]\ncommand = "x"\n'
    assert "agents.a" not in names(loaded(tmp_path, text, only=only, discover_agents=discover))
    assert len(called) == (1 if "d*" in only else 0)


@pytest.mark.parametrize(
    ("error", "what", "hint"),
    [
        (
            CommandFailed("no module named agents", hint="check pythonpath"),
            "cannot list its agents: no module named agents",
            "check pythonpath",
        ),
        (ValueError("boom"), "cannot list its agents: ValueError: boom", 'agents = ["writer", "critic"]'),
    ],
)
def test_agents_that_cannot_be_had(tmp_path: Path, error: Exception, what: str, hint: str) -> None:
    """Why the agents are not known is said at the line of their launcher."""

    def discover(*_given: object) -> tuple[str, ...]:
        raise error

    found = problem(tmp_path, ENTRY, discover_agents=discover)
    assert (found.where, found.what) == ("launcher.toml:2: components.agents.launcher", what)
    assert hint in found.hint


def test_names_of_agents_are_checked(tmp_path: Path) -> None:
    """An agent whose name cannot be part of a component's is refused."""
    found = problems(tmp_path, ENTRY, discover_agents=lambda *_given: ("a b", "c.d", "fine"))
    assert len(found) == 2
    assert "is not a usable name" in found[0].what


def test_unasked_entry_stays_one_component(tmp_path: Path) -> None:
    """Without a way to ask, an entry is one component without agent, and a note says so."""
    result = loaded(tmp_path, f'{ENTRY}[components.x]\nrun = "a:b"\ndepends_on = ["agents.writer"]\n')
    assert component(result, "agents").agent == ""
    assert "not listed" in result.notes[0]


def test_unknown_agent_in_depends_on(tmp_path: Path) -> None:
    """A name inside an entry is checked once its agents are known."""
    found = problem(
        tmp_path, f'{ENTRY}agents = ["writer"]\n[components.x]\nrun = "a:b"\ndepends_on = ["agents.writr"]\n'
    )
    assert found.hint == "did you mean agents.writer?"
