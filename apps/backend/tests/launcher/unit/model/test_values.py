"""The values of the model: addresses, exits, log lines, and what they refuse."""

from __future__ import annotations

import dataclasses
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.model import effects, events, logs, spec, state
from launcher.model.logs import MAX_LINE, clipped
from launcher.model.spec import Bind, ComponentSpec, DependencySpec, Kind, LauncherSpec, Probe, Restart
from launcher.model.state import ALIVE, AT_REST, Exit, ExitKind, Phase


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        (Bind(8000), "http://127.0.0.1:8000"),
        (Bind(8000, "0.0.0.0"), "http://127.0.0.1:8000"),
        (Bind(8000, "::"), "http://[::1]:8000"),
        (Bind(8000, "::1"), "http://[::1]:8000"),
        (Bind(80, "192.0.2.7"), "http://192.0.2.7:80"),
        (Bind(80, "localhost"), "http://localhost:80"),
    ],
)
def test_the_address_of_a_bind(bind: Bind, url: str) -> None:
    """A bind is shown as a browser wants it, wildcards as the loopback address."""
    assert bind.url == url


@pytest.mark.parametrize(
    ("kind", "ok", "fatal"),
    [
        (ExitKind.RETURNED, True, False),
        (ExitKind.RAISED, False, False),
        (ExitKind.EXITED, False, False),
        (ExitKind.SIGNALLED, False, False),
        (ExitKind.UNSTARTABLE, False, True),
        (ExitKind.UNREACHABLE, False, True),
        (ExitKind.UNHEALTHY, False, False),
    ],
)
def test_what_an_exit_means(kind: ExitKind, ok: bool, fatal: bool) -> None:
    """Only a return is good, and only what cannot start as declared is beyond help."""
    assert (Exit(kind).ok, Exit(kind).fatal) == (ok, fatal)


def test_every_phase_lives_rests_or_waits() -> None:
    """Phases with an incarnation and phases at rest are different ones; between them lies waiting."""
    assert not ALIVE & AT_REST
    assert set(Phase) - ALIVE - AT_REST == {Phase.WAITING, Phase.BACKOFF}


def test_secrets_are_not_shown_by_accident() -> None:
    """The URL of a dependency and the traceback of an exit do not turn up in a log that shows the value."""
    assert "secret" not in repr(DependencySpec("postgres", "postgresql://user:secret@db/app"))
    assert "secret" not in repr(Exit(ExitKind.RAISED, "boom", traceback="secret = 1"))


def test_defaults() -> None:
    """The figures that the documentation names."""
    component = ComponentSpec("api", Kind.ASGI)
    assert (component.start_timeout, component.stop_grace, component.stop_signal) == (60.0, 10.0, "SIGTERM")
    restart = Restart()
    assert (restart.policy, restart.delay, restart.max_delay) == ("always", 0.2, 30.0)
    assert (restart.immediate_after, restart.reset_after) == (10.0, 60.0)
    assert (restart.max_restarts, restart.window) == (5, 60.0)
    probe = Probe(spec.ProbeKind.HTTP)
    assert (probe.interval, probe.period, probe.timeout, probe.failures) == (0.2, 10.0, 1.0, 3)
    assert LauncherSpec("backend", "/srv", ()).stop_timeout == 30.0


def test_a_long_line_is_cut_and_marked() -> None:
    """What is cut off is counted."""
    assert clipped("x" * MAX_LINE) == "x" * MAX_LINE
    assert clipped("abcdef", 4) == "abcd… [cut: 2 characters more]"


@given(st.text(), st.integers(0, 50))
def test_a_clipped_line_keeps_its_beginning(message: str, limit: int) -> None:
    """Nothing that fits is touched, and the beginning always stays."""
    cut = clipped(message, limit)
    assert cut.startswith(message[:limit])
    assert (cut == message) is (len(message) <= limit)


@pytest.mark.parametrize("module", [effects, events, logs, spec, state], ids=lambda module: module.__name__)
def test_values_do_not_change(module: types.ModuleType) -> None:
    """Every value of the model is frozen, so that a state is its own snapshot."""
    values = [
        kind
        for kind in vars(module).values()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    assert values
    assert [kind.__name__ for kind in values if not kind.__dataclass_params__.frozen] == []  # type: ignore[attr-defined]  # no public name
    assert [kind.__name__ for kind in values if "__slots__" not in vars(kind)] == []
