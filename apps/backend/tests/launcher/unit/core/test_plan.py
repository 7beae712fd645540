"""From a declaration to a plan: what is refused with which words, what mode is chosen, and that plans are in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.core.plan import MAIN, Surroundings, build, choose_mode
from launcher.core.suggest import did_you_mean
from launcher.errors import ConfigError, ExitCode, Problem
from launcher.model.spec import Bind, ComponentSpec, Kind, LauncherSpec, Mode
from tests.launcher.unit.core.plans import component, declared, plan_of, refused, service

# ---- what is refused ---------------------------------------------------------------------------------------------------------------

PORT_HINT = "give one of them another port"
SHARE_HINT = "let them agree, or run with --mode multi"
CYCLE_HINT = "remove one of these entries from depends_on"


def web(name: str, port: int, address: str = "127.0.0.1") -> ComponentSpec:
    """Return an ASGI component on this address."""
    return component(name, kind=Kind.ASGI, bind=Bind(port, address))


REFUSED = [
    pytest.param(
        declared(),
        [
            Problem(
                "components",
                "there is no component to run",
                "add a [components.NAME] table, or give NAME=module:attribute on the command line",
            )
        ],
        id="nothing to run",
    ),
    pytest.param(
        declared(component("api"), mode=Mode.GROUPS),
        [Problem("launcher.mode", "groups cannot be run by this version", "use single or multi")],
        id="groups",
    ),
    pytest.param(
        declared(component("api"), component("api")),
        [Problem("components.api", 'there are two components called "api"')],
        id="two of the same name",
    ),
    pytest.param(
        declared(component("api", "postgre"), component("worker"), dependencies=(service("postgres"),)),
        [
            Problem(
                "components.api.depends_on",
                'there is no component or dependency called "postgre"',
                "did you mean postgres?",
            )
        ],
        id="unknown name, nearly right",
    ),
    pytest.param(
        declared(component("api", "zzz"), component("worker"), dependencies=(service("postgres"),)),
        [
            Problem(
                "components.api.depends_on",
                'there is no component or dependency called "zzz"',
                "known: api, postgres, worker",
            )
        ],
        id="unknown name, far off",
    ),
    pytest.param(
        declared(component("api", "api")),
        [Problem("components.api.depends_on", '"api" depends on itself', "remove it")],
        id="itself",
    ),
    pytest.param(
        declared(component("a", "c"), component("b", "a"), component("c", "b")),
        [Problem("components.a.depends_on", "components wait for each other: a -> c -> b -> a", CYCLE_HINT)],
        id="cycle",
    ),
    pytest.param(
        declared(component("a", "b"), component("b", "a"), component("c", "d"), component("d", "c")),
        [
            Problem("components.a.depends_on", "components wait for each other: a -> b -> a", CYCLE_HINT),
            Problem("components.c.depends_on", "components wait for each other: c -> d -> c", CYCLE_HINT),
        ],
        id="two cycles",
    ),
    pytest.param(
        declared(web("api", 8000), web("admin", 8000)),
        [Problem("components.admin.port", "admin and api both want port 8000", PORT_HINT)],
        id="one port",
    ),
    *(
        pytest.param(
            declared(web("api", 8000, one), web("admin", 8000, other)),
            [Problem("components.admin.port", "admin and api both want port 8000", PORT_HINT)],
            id=f"one port on {one or 'no address'} and {other}",
        )
        for one, other in [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "::"), ("", "192.0.2.1"), ("::", "::1")]
    ),
    pytest.param(
        declared(component("a"), component("b", directory="/srv/b"), mode=Mode.SINGLE),
        [
            Problem(
                "components.b.directory",
                "b and a share a process but want different working directories",
                SHARE_HINT,
            )
        ],
        id="directories in one process",
    ),
    pytest.param(
        declared(
            component("a", environment={"LEVEL": "1", "SAME": "x"}),
            component("b", environment={"SAME": "x"}),
            component("c", environment={"LEVEL": "2"}),
            mode=Mode.SINGLE,
        ),
        [
            Problem(
                "components.c.environment.LEVEL",
                "c and a share a process but want different values of LEVEL",
                SHARE_HINT,
            )
        ],
        id="environments in one process",
    ),
]


@pytest.mark.parametrize(("spec", "expected"), REFUSED)
def test_contradictions_are_refused(spec: LauncherSpec, expected: list[Problem]) -> None:
    """Each contradiction is named with its place, what is wrong, and what to do."""
    with refused() as problems:
        build(spec)
    assert problems == expected


def test_all_contradictions_are_reported_in_one_run() -> None:
    """One run shows everything that is to be mended, and ends with the exit code of a wrong configuration."""
    spec = declared(web("a", 1, "::"), web("b", 1), component("c", "d"), component("d", "c", "ap"))
    with pytest.raises(ConfigError) as caught:
        build(spec)
    assert str(caught.value) == "the configuration has 3 errors"
    assert caught.value.exit_code is ExitCode.USAGE
    assert [problem.where for problem in caught.value.problems] == [
        "components.d.depends_on",
        "components.c.depends_on",
        "components.b.port",
    ]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(declared(web("a", 8000), web("b", 8000, "127.0.0.2")), id="one port on two addresses"),
        pytest.param(declared(web("a", 0), web("b", 0)), id="ports that the system chooses"),
        pytest.param(
            declared(component("a", directory="/srv/a"), component("b", directory="/srv/b")),
            id="directories in two processes",
        ),
        pytest.param(
            declared(component("a", environment={"X": "1"}), component("b", environment={"X": "2"})),
            id="environments in two processes",
        ),
        pytest.param(
            declared(
                component("a", environment={"X": "1"}, directory="/srv/a"),
                component(
                    *("b",), kind=Kind.COMMAND, command=("b",), environment={"X": "2"}, directory="/srv/b"
                ),
                mode=Mode.SINGLE,
            ),
            id="a command has its own process in every mode",
        ),
        pytest.param(
            declared(
                component("a", environment={"X": "1"}),
                component("b", environment={"X": "1"}),
                mode=Mode.SINGLE,
            ),
            id="environments that agree",
        ),
    ],
)
def test_what_only_looks_like_a_contradiction_is_accepted(spec: LauncherSpec) -> None:
    """Nothing is refused that works."""
    assert set(build(spec).components) == {"a", "b"}


def test_did_you_mean_without_anything_to_choose_from() -> None:
    """Where there is nothing, there is no hint."""
    assert did_you_mean("api", []) == ""


# ---- what is chosen ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "surroundings", "mode", "reason"),
    [
        (Mode.SINGLE, Surroundings(production="APP_ENV=production"), Mode.SINGLE, "as asked for"),
        (Mode.MULTI, Surroundings(), Mode.MULTI, "as asked for"),
        (Mode.GROUPS, Surroundings(), Mode.GROUPS, "as asked for"),
        (
            *(Mode.AUTO, Surroundings(), Mode.SINGLE),
            "least memory and fastest start on a terminal; --mode multi isolates faults",
        ),
        (
            *(Mode.AUTO, Surroundings(terminal=False), Mode.SINGLE),
            "least memory and fastest start on this machine; --mode multi isolates faults",
        ),
        (Mode.AUTO, Surroundings(ci="CI=true"), Mode.MULTI, "CI=true: as in production"),
        (
            *(Mode.AUTO, Surroundings(container=True, terminal=False), Mode.MULTI),
            "inside a container without a terminal: as in production",
        ),
        (
            *(Mode.AUTO, Surroundings(container=True), Mode.SINGLE),
            "least memory and fastest start on a terminal; --mode multi isolates faults",
        ),
        (
            *(Mode.AUTO, Surroundings(production="APP_ENV=production"), Mode.MULTI),
            "APP_ENV=production asks for fault isolation",
        ),
        (
            *(Mode.AUTO, Surroundings("CI=1", "APP_ENV=production", container=True), Mode.MULTI),
            "APP_ENV=production asks for fault isolation",
        ),
        (Mode.AUTO, Surroundings("CI=1", container=True), Mode.MULTI, "CI=1: as in production"),
    ],
)
def test_choose_mode(wanted: Mode, surroundings: Surroundings, mode: Mode, reason: str) -> None:
    """What is asked for is done; otherwise the surroundings decide, and the reason is told."""
    assert choose_mode(wanted, surroundings) == (mode, reason)


@pytest.mark.parametrize(
    ("mode", "placement"),
    [
        (Mode.SINGLE, {"api": MAIN, "writer": MAIN, "db": "db"}),
        (Mode.MULTI, {"api": "api", "writer": "writer", "db": "db"}),
    ],
)
def test_placement(mode: Mode, placement: dict[str, str]) -> None:
    """In single mode everything but commands shares the launcher's process, in multi nothing does."""
    command = component("db", kind=Kind.COMMAND, command=("db",))
    plan = plan_of(component("api", kind=Kind.ASGI), component("writer"), command, mode=mode)
    assert plan.placement == placement
    assert plan.spec.mode is mode


def test_the_mode_of_a_plan_is_decided() -> None:
    """A plan never says auto."""
    plan = build(declared(component("api"), mode=Mode.AUTO), Surroundings(ci="CI=true"))
    assert (plan.spec.mode, plan.mode_reason) == (Mode.MULTI, "CI=true: as in production")


# ---- what is in order --------------------------------------------------------------------------------------------------------------


def test_requirements_come_in_order_of_start() -> None:
    """What a component needs is listed so that it could be started one by one; services are no part of it."""
    plan = plan_of(
        *(component("web", "api"), component("api", "db", "migrate", "postgres")),
        *(component("migrate", "db"), component("db"), component("other")),
        dependencies=(service("postgres"),),
    )
    assert plan.requirements("web") == ("db", "migrate", "api")
    assert plan.requirements("db") == ()
    assert plan.dependents["db"] == {"migrate", "api", "web"}
    assert plan.waves == (("db", "other"), ("migrate",), ("api",), ("web",))
    assert list(plan.components) == ["web", "api", "migrate", "db", "other"]


@st.composite
def declarations(draw: st.DrawFn) -> LauncherSpec:
    """Return a declaration with arbitrary dependencies, sound or not."""
    known = [f"c{number}" for number in range(draw(st.integers(1, 6)))]
    wanted = st.lists(st.sampled_from([*known, "postgres", "nobody"]), unique=True, max_size=3)
    return declared(*(component(name, *draw(wanted)) for name in known), dependencies=(service("postgres"),))


@given(declarations())
def test_a_declaration_is_either_refused_or_in_order(spec: LauncherSpec) -> None:
    """A plan has every component after all it needs; what has no such order, or knows no such name, is refused."""
    itself = any(item.name in item.depends_on for item in spec.components)
    nobody = any("nobody" in item.depends_on for item in spec.components)
    if itself or nobody or not orderly(spec):
        with refused() as problems:
            build(spec)
        assert problems
        return
    plan = build(spec)
    place = {name: number for number, wave in enumerate(plan.waves) for name in wave}
    assert set(place) == set(plan.components)
    for name, item in plan.components.items():
        for needed in item.depends_on:
            assert needed == "postgres" or place[needed] < place[name]
            assert needed == "postgres" or name in plan.dependents[needed]


def orderly(spec: LauncherSpec) -> bool:
    """Whether the components can be started one after the other, found by trying."""
    left = {item.name: set(item.depends_on) - {"postgres", "nobody"} for item in spec.components}
    while free := [name for name, needs in left.items() if not needs & set(left)]:
        for name in free:
            del left[name]
    return not left


# ---- overlap -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "declared_overlap", "mode", "expected"),
    [
        (Kind.ASGI, None, Mode.MULTI, True),
        (Kind.ASGI, False, Mode.MULTI, False),
        (Kind.ASGI, None, Mode.SINGLE, False),
        (Kind.ASGI, True, Mode.SINGLE, False),
        (Kind.AGENT, None, Mode.MULTI, False),
        (Kind.AGENT, True, Mode.MULTI, True),
        (Kind.AGENTS, True, Mode.MULTI, True),
        (Kind.COMMAND, True, Mode.MULTI, False),
    ],
)
def test_the_plan_decides_what_overlaps(
    kind: Kind, declared_overlap: bool | None, mode: Mode, expected: bool
) -> None:
    """Servers may unless declared otherwise, agents if declared so, commands and what shares a process never."""
    plan = build(declared(component("api", kind=kind, overlap=declared_overlap), mode=mode))
    assert plan.components["api"].overlap is expected


def test_one_shots_never_overlap() -> None:
    """A job that runs twice does its work twice."""
    plan = build(declared(component("seed", oneshot=True, overlap=True)))
    assert plan.components["seed"].overlap is False
