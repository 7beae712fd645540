"""The metrics, read by the parser that Prometheus' own client comes with."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from launcher.core.plan import Plan, build
from launcher.core.view import View
from launcher.model.answers import Answer
from launcher.model.events import (
    Checked,
    DependencyChecked,
    Event,
    Exited,
    Launched,
    StartAllRequested,
    Started,
)
from launcher.model.spec import Bind, ComponentSpec, DependencySpec, Kind, LauncherSpec, Mode
from launcher.model.state import Exit, ExitKind
from launcher.model.usage import Beat, FamilyUsage, Member, Part, Usage
from launcher.testing import FleetRunner
from launcher.web.metrics import exposition

ODD = 'a"b\\c\nd'
"""A name with everything that has to be escaped."""

PLAN = build(
    LauncherSpec(
        ODD,
        "/srv",
        (
            ComponentSpec("api", Kind.ASGI, "api:app", bind=Bind(8000)),
            ComponentSpec("db", Kind.COMMAND, command=("serve",)),
        ),
        dependencies=(DependencySpec("cache", "redis://cache"), DependencySpec("new", "redis://new")),
        mode=Mode.MULTI,
    )
)
HISTORY: tuple[Event, ...] = (
    StartAllRequested(),
    Launched("db", 1, 41),
    Started("db", 1),
    Checked("db", 1, Answer(True, 0.125)),
    Launched("api", 1, 42),
    Exited("api", 1, Exit(ExitKind.EXITED, "exited with code 3", code=3)),
    DependencyChecked("cache", ok=True, latency=0.25),
)
USAGE = Usage(
    families=(
        FamilyUsage(Part.LAUNCHER, 77, memory=100),
        FamilyUsage(Part.COMPONENT, 41, ("db",), memory=5, members=(Member(41), Member(43))),
        FamilyUsage(Part.COMPONENT, 44, ("db",), memory=6, members=(Member(44),)),
    ),
    cpu_totals={(Part.LAUNCHER, ""): 0.5, (Part.COMPONENT, "db"): 1.5},
    beats={("db", 1): Beat(2.5, answered=False)},
    lost_lines={"disk": 3},
)


def view(usage: Usage | None = None, plan: Plan = PLAN) -> View:
    runner = FleetRunner(plan)
    runner.send(*HISTORY)
    runner.wait(0.1)
    return View(plan, runner.fleet, runner.clock(), 1000.0, 999.5, 77, "1.2.3", usage=usage)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample by name and labels, and fail on what is told twice."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def test_what_is_told() -> None:
    """State, cost, loops, checks and losses of a backend, as a scraper reads them."""
    told = samples(exposition(view(USAGE)))

    def of(name: str, /, **labels: str) -> float:
        return told[f"launcher_{name}", tuple(sorted(labels.items()))]

    assert of("info", name=ODD, mode="multi", version="1.2.3") == 1
    assert of("start_time_seconds") == 999.5
    assert [of("state", state=each) for each in ("starting", "up", "degraded", "stopping")] == [1, 0, 0, 0]
    assert of("component_info", component="api", kind="asgi", placement="api") == 1
    assert (of("component_up", component="api"), of("component_up", component="db")) == (0, 1)
    assert (of("component_ready", component="api"), of("component_ready", component="db")) == (0, 1)
    assert of("component_phase", component="api", phase="backoff") == 1
    assert sum(of("component_phase", component="db", phase=each) for each in ("ready", "failed")) == 1
    assert of("component_phase_seconds", component="db") == 0.1
    assert of("component_restarts_total", component="api") == 1
    assert of("component_held", component="api") == 0
    assert of("dependency_up", dependency="cache") == 1
    assert of("dependency_check_seconds", dependency="cache") == 0.25
    assert of("component_cpu_seconds_total", component="db") == 1.5
    assert of("component_memory_bytes", component="db") == 11
    assert of("component_processes", component="db") == 3
    assert of("process_memory_bytes", process="launcher") == 100
    assert of("process_cpu_seconds_total", process="launcher") == 0.5
    assert of("component_loop_lag_seconds", component="db") == 2.5
    assert of("component_loop_blocked", component="db") == 1
    assert of("component_check_seconds", component="db") == 0.125
    assert of("log_lines_lost_total", reason="disk") == 3


def test_what_is_not_known_is_left_out() -> None:
    """A service that was never checked, a loop that nobody could ask and a component without a port have no sample, rather than a zero."""
    told = samples(exposition(view(USAGE)))
    assert ("launcher_dependency_up", (("dependency", "new"),)) not in told
    assert ("launcher_component_loop_lag_seconds", (("component", "api"),)) not in told
    assert ("launcher_component_held", (("component", "db"),)) not in told
    assert not any("memory" in name for name, _ in samples(exposition(view())))


def test_names_and_types_follow_the_rules() -> None:
    """Every metric has one HELP, then one TYPE, then its samples; counters, and only they, end in _total; lines end in a newline."""
    text = exposition(view(USAGE))
    assert text.endswith("\n")
    assert "\n\n" not in text
    families = re.findall(r"# HELP (\S+) (.+)\n# TYPE (\S+) (\S+)\n((?:(?!#).+\n)+)", text)
    assert sum(len(each[4].splitlines()) + 2 for each in families) == len(text.splitlines())
    assert len({name for name, *_ in families}) == len(families)
    for name, meaning, again, kind, lines in families:
        assert name == again
        assert meaning.endswith(".")
        assert re.fullmatch(r"launcher_[a-z_]+", name)
        assert (kind == "counter") == name.endswith("_total")
        assert all(re.match(rf"{name}[ {{]", line) for line in lines.splitlines())
        if "memory" in name:
            assert name.endswith("_bytes")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_survives(name: str) -> None:
    """Whatever a backend is called, a scraper reads the same."""
    plan = build(
        LauncherSpec(name, "/srv", (ComponentSpec("db", Kind.COMMAND, command=("x",)),), mode=Mode.MULTI)
    )
    runner = FleetRunner(plan)
    text = exposition(View(plan, runner.fleet, 0.0, 1000.0, 1000.0, 77, "1.2.3"))
    (label,) = (dict(labels)["name"] for metric, labels in samples(text) if metric == "launcher_info")
    assert label == name


def test_bytes_that_are_no_text_do_not_break_a_scrape() -> None:
    """The name of a directory may not be UTF-8; the answer always is."""
    plan = build(
        LauncherSpec("x\udcff", "/srv", (ComponentSpec("db", Kind.COMMAND, command=("x",)),), mode=Mode.MULTI)
    )
    runner = FleetRunner(plan)
    exposition(View(plan, runner.fleet, 0.0, 1000.0, 1000.0, 77, "1.2.3")).encode()
