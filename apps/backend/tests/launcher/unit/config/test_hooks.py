"""Hooks in a declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.config.secrets import destination
from launcher.model.spec import HookSpec
from launcher.model.state import Phase
from tests.launcher.unit.config.support import API, loaded, origin, problem

AGENTS = '[components.agents]\nlauncher = "a:L"\nagents = ["writer"]\n'


def test_a_hook_has_defaults(tmp_path: Path) -> None:
    """Only what to do must be said: failures of all components are told, three times at most."""
    result = loaded(tmp_path, f'{API}[hooks.oncall]\ncommand = "notify --now"\n')
    assert result.spec.hooks == (
        HookSpec("oncall", frozenset({Phase.FAILED}), command=("notify", "--now"), timeout=10, attempts=3),
    )


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Phases, components, time and attempts; variables are filled in."""
    text = (
        f'{API}{AGENTS}[hooks.chat]\nurl = "https://chat.example/${{TOKEN}}"\non = ["failed", "ready"]\n'
        'components = ["api", "agents", "agents.w*"]\ntimeout = "2s"\nattempts = 5\n'
    )
    result = loaded(tmp_path, text, environ={"TOKEN": "t0k3n"})
    (hook,) = result.spec.hooks
    assert hook.url == "https://chat.example/t0k3n"
    assert hook.on == {Phase.FAILED, Phase.READY}
    assert hook.components == ("api", "agents", "agents.w*")
    assert (hook.timeout, hook.attempts) == (2.0, 5)


def test_the_address_is_a_secret(tmp_path: Path) -> None:
    """Of an address only where it leads is shown: chat services put their password into the path."""
    result = loaded(
        tmp_path, f'{API}[hooks.chat]\nurl = "https://bot:pw@chat.example:8443/hooks/t0k3n?x=1"\n'
    )
    assert origin(result, "hooks.chat.url") == ('"https://chat.example:8443/***"', "launcher.toml:4")
    assert origin(result, "hooks.chat.on") == ('["failed"]', "default")
    assert "t0k3n" not in repr(result.spec)
    assert destination("http://127.0.0.1:9/") == "http://127.0.0.1:9"
    assert destination("http://a.example?key=1") == "http://a.example/***"


@pytest.mark.parametrize(
    ("lines", "what", "hint"),
    [
        ("", "does not say what to do", "command ="),
        ('url = "http://a.b"\ncommand = "x"', "command and url exclude each other", "two hooks"),
        ('url = "chat.example/t0k3n"', "begins with http:// or https://", "https://chat.example.com"),
        ('url = "http:///t0k3n"', "names no address", "https://"),
        ('url = "http://a.b:99999/t0k3n"', "a port that does not exist", "https://"),
        ('command = "a && b"', "not run by a shell", "sh"),
        ('command = "x"\non = ["faild"]', 'must be one of "waiting"', 'did you mean "failed"?'),
        ('command = "x"\non = 1', "must be a list of texts", ""),
        ('command = "x"\ncomponents = ["apy"]', "unknown component apy", "did you mean api?"),
        ('command = "x"\nattempts = 0', "must be at least 1", ""),
        ('command = "x"\nattempts = 11', "must be at most 10", ""),
        ('command = "x"\nwhen = "failed"', "unknown key when", ""),
        ('url = "https://a.b/${NOWHERE}"', "NOWHERE", ""),
    ],
)
def test_mistakes(tmp_path: Path, lines: str, what: str, hint: str) -> None:
    """Every mistake is told with its place and what to write, and never with the address."""
    found = problem(tmp_path, f"{API}[hooks.h]\n{lines}\n")
    assert "launcher.toml" in found.where
    assert what in found.what
    assert hint in found.hint
    assert "t0k3n" not in found.what + found.hint


def test_agents_that_are_not_known(tmp_path: Path) -> None:
    """Where the code of an entry of agents was not asked, any of its agents may be meant."""
    text = f'{API}[components.agents]\nlauncher = "a:L"\n[hooks.h]\ncommand = "x"\ncomponents = ["agents.writer", "agents"]\n'
    assert loaded(tmp_path, text).spec.hooks[0].components == ("agents.writer", "agents")
