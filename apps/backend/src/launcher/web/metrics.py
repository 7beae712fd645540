"""A picture of the backend in the text format of Prometheus, version 0.0.4.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/. Units and endings of names:
https://prometheus.io/docs/practices/naming/. What is not known is left out rather than told as zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.core.loops import blocked
from launcher.documents import overall_state
from launcher.model.state import ALIVE, Desired, Phase
from launcher.model.usage import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from launcher.core.view import View
    from launcher.model.usage import Usage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STATES = ("starting", "up", "degraded", "stopping")
"""What the whole can be: see ``overall_state``."""

Sample = tuple["Mapping[str, str]", float]


def exposition(view: View) -> str:
    """Return all metrics."""
    families = [*_of_the_whole(view), *_of_components(view), *_of_dependencies(view)]
    if view.usage is not None:
        families += [*_of_loops(view, view.usage), *_of_processes(view.usage)]
    return "".join(families)


def _metric(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> str:
    """Return one metric; nothing when it has no sample."""
    lines = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    if not lines:
        return ""
    head = [f"# HELP {name} {_escaped(meaning)}", f"# TYPE {name} {kind}"]
    return "\n".join([*head, *lines]) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value).replace(_QUOTE, _ESCAPED_QUOTE)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


_QUOTE, _ESCAPED_QUOTE = '"', '\\"'


def _escaped(text: str) -> str:
    """Return text of a HELP line; in the value of a label quotation marks are escaped besides."""
    # A lone surrogate, as the name of a file may hold, has no place in UTF-8.
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _of_the_whole(view: View) -> Iterator[str]:
    spec = view.plan.spec
    about = {"name": spec.name, "mode": str(spec.mode), "version": view.version}
    yield _metric("launcher_info", "gauge", "About this launcher; always 1.", [(about, 1)])
    yield _metric(
        "launcher_start_time_seconds",
        "gauge",
        "When the launcher started, since the epoch.",
        [({}, view.started_at)],
    )
    state = overall_state(view)
    yield _metric(
        "launcher_state",
        "gauge",
        "1 for the state that the whole backend is in.",
        [({"state": each}, each == state) for each in STATES],
    )


def _of_components(view: View) -> Iterator[str]:
    states = view.fleet.components
    names = {name: {"component": name} for name in view.plan.components}
    yield _metric(
        "launcher_component_info",
        "gauge",
        "About a component; always 1.",
        [
            (
                {
                    **label,
                    "kind": str(view.plan.components[name].kind),
                    "placement": view.plan.placement[name],
                },
                1,
            )
            for name, label in names.items()
        ],
    )
    yield _metric(
        "launcher_component_wanted",
        "gauge",
        "1 for a component that is wanted up.",
        [(label, states[name].desired is Desired.UP) for name, label in names.items()],
    )
    yield _metric(
        "launcher_component_up",
        "gauge",
        "1 for a component of which an incarnation runs.",
        [(label, states[name].phase in ALIVE) for name, label in names.items()],
    )
    yield _metric(
        "launcher_component_ready",
        "gauge",
        "1 for a component that is ready, or has completed.",
        [(label, states[name].phase in (Phase.READY, Phase.COMPLETED)) for name, label in names.items()],
    )
    yield _metric(
        "launcher_component_phase",
        "gauge",
        "1 for the phase that a component is in.",
        [
            ({**label, "phase": str(phase)}, states[name].phase is phase)
            for name, label in names.items()
            for phase in Phase
        ],
    )
    yield _metric(
        "launcher_component_phase_seconds",
        "gauge",
        "How long a component has been in its phase.",
        [(label, _seconds(view.now - states[name].since)) for name, label in names.items()],
    )
    yield _metric(
        "launcher_component_restarts_total",
        "counter",
        "Automatic restarts of a component.",
        [(label, states[name].total_restarts) for name, label in names.items()],
    )
    yield _metric(
        "launcher_component_held",
        "gauge",
        "1 for a component whose clients the launcher answers with 503.",
        [(label, view.held(name)) for name, label in names.items() if view.plan.components[name].held],
    )


def _of_dependencies(view: View) -> Iterator[str]:
    known = [(state, {"dependency": name}) for name, state in view.fleet.dependencies.items()]
    yield _metric(
        "launcher_dependency_up",
        "gauge",
        "1 for an external service that answers.",
        [(label, state.up) for state, label in known if state.up is not None],
    )
    yield _metric(
        "launcher_dependency_check_seconds",
        "gauge",
        "How long the last successful check of an external service took.",
        [(label, state.latency) for state, label in known if state.latency is not None],
    )


def _of_loops(view: View, usage: Usage) -> Iterator[str]:
    now = {
        (name, view.fleet.components[name].incarnation): {"component": name} for name in view.plan.components
    }
    beats = [(label, usage.beats[key]) for key, label in now.items() if key in usage.beats]
    yield _metric(
        "launcher_component_loop_lag_seconds",
        "gauge",
        "How long the event loop of a component took to answer; while it does not, how long it has not.",
        [(label, beat.lag) for label, beat in beats],
    )
    yield _metric(
        "launcher_component_loop_blocked",
        "gauge",
        "1 for a component whose event loop does not answer.",
        [(label, blocked(beat)) for label, beat in beats],
    )
    yield _metric(
        "launcher_component_check_seconds",
        "gauge",
        "How long the last check of the readiness of a component took.",
        [
            ({"component": name}, state.answer.latency)
            for name, state in view.fleet.components.items()
            if state.answer is not None
        ],
    )
    yield _metric(
        "launcher_log_lines_lost_total",
        "counter",
        "Log lines that were not written: the disk refused them, or the launcher did not read them in time.",
        [({"reason": reason}, count) for reason, count in usage.lost_lines.items()],
    )


def _of_processes(usage: Usage) -> Iterator[str]:
    """Tell what components with processes of their own cost, and apart from them what is no component's alone."""
    own: dict[str, list[int]] = {}
    for family in usage.families:
        if family.part is Part.COMPONENT:
            (name,) = family.components
            memory, count = own.get(name, [0, 0])
            own[name] = [memory + family.memory, count + len(family.members)]
    yield _metric(
        "launcher_component_cpu_seconds_total",
        "counter",
        "Time on a core that a component in processes of its own was seen to use, over all its incarnations.",
        [
            ({"component": name}, value)
            for (part, name), value in usage.cpu_totals.items()
            if part is Part.COMPONENT
        ],
    )
    yield _metric(
        "launcher_component_memory_bytes",
        "gauge",
        "Proportional set size of all processes of a component that has its own; elsewhere than on Linux the resident size.",
        [({"component": name}, memory) for name, (memory, _) in own.items()],
    )
    yield _metric(
        "launcher_component_processes",
        "gauge",
        "Processes of a component that has its own.",
        [({"component": name}, count) for name, (_, count) in own.items()],
    )
    rest = [family for family in usage.families if family.part is not Part.COMPONENT]
    yield _metric(
        "launcher_process_cpu_seconds_total",
        "counter",
        "Time on a core that was seen of the launcher, with all components that share its process; of the guard; of the zygote.",
        [
            ({"process": str(part)}, value)
            for (part, _), value in usage.cpu_totals.items()
            if part is not Part.COMPONENT
        ],
    )
    yield _metric(
        "launcher_process_memory_bytes",
        "gauge",
        "Memory of the launcher, with all components that share its process; of the guard; of the zygote.",
        [({"process": str(family.part)}, family.memory) for family in rest],
    )


def _seconds(value: float) -> float:
    return round(max(0.0, value), 3)
