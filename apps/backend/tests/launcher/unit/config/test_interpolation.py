"""Variables in texts, and files of variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.config.dotenv_files import read_dotenv
from launcher.config.interpolation import BadText, interpolated
from launcher.errors import Problem
from tests.launcher.unit.config.support import API, component, loaded, origin, problem, problems

KNOWN = {"A": "1", "EMPTY": "", "B": "${A}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${B}", "${A}"),
        ("${NO:-d}", "d"),
        ("${NO-d}", "d"),
        ("${NO:-}", ""),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${EMPTY}", ""),
        ("${NO:-${A}}", "1"),
        ("a${NO:-b}}", "ab}"),
        ("$${A}", "${A}"),
        ("$$", "$"),
        ("$A 5$", "$A 5$"),
        ("${A:?needed}", "1"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    """Every form is replaced as in a shell; values are not looked into again."""
    assert interpolated(text, KNOWN) == expected


@pytest.mark.parametrize(
    ("text", "what", "unset"),
    [
        ("${NO}", "needs the variable NO, which is not set", "NO"),
        ("${NO:?ask Ann}", "needs the variable NO, which is not set: ask Ann", "NO"),
        ("${EMPTY:?ask}", "needs the variable EMPTY, which is empty: ask", "EMPTY"),
        ("${A", "holds ${ without a closing }", ""),
        ("${}", "cannot make sense of ${}", ""),
        ("${1}", "cannot make sense of ${1}", ""),
        ("${A!}", "cannot make sense of ${A!}", ""),
    ],
)
def test_bad_forms(text: str, what: str, unset: str) -> None:
    """What cannot be replaced says why."""
    with pytest.raises(BadText) as caught:
        interpolated(text, KNOWN)
    assert caught.value.what == what
    assert caught.value.unset == unset


@settings(deadline=None)
@given(st.text())
def test_escaping_keeps_any_text(text: str) -> None:
    """A text whose dollar signs are doubled comes out as it was."""
    assert interpolated(text.replace("$", "$$"), {}) == text


def test_typed_values_may_hold_variables(tmp_path: Path) -> None:
    """A port, a truth value and a list can come from variables."""
    text = f'{API}port = "${{PORT:-8123}}"\ncritical = "${{C}}"\ndepends_on = "${{NEEDS}}"\n[components.a]\nrun = "a:b"\n[components.b]\nrun = "a:b"\n'
    api = component(loaded(tmp_path, text, environ={"C": "yes", "NEEDS": "a, b"}), "api")
    assert api.bind is not None
    assert (api.bind.port, api.critical, api.depends_on) == (8123, True, ("a", "b"))


def test_a_variable_stays_one_word_of_a_command(tmp_path: Path) -> None:
    """Words are split before variables are filled in, so a value cannot add arguments."""
    text = "[components.x]\ncommand = \"run --name ${NAME:-a b} '${NAME} c'\"\n"
    assert component(loaded(tmp_path, text, environ={"NAME": "x; rm -rf '"}), "x").command == (
        "run",
        "--name",
        "x; rm -rf '",
        "x; rm -rf ' c",
    )
    assert component(loaded(tmp_path, '[components.x]\ncommand = "run ${NAME:-a b}"\n'), "x").command == (
        "run",
        "a b",
    )


def test_text_from_the_environment_is_taken_as_it_is(tmp_path: Path) -> None:
    """A dollar sign in a variable of the launcher means itself."""
    result = loaded(tmp_path, API, environ={"LAUNCHER_COMPONENTS__API__ENVIRONMENT__X": "${A} $$"})
    assert component(result, "api").environment == {"X": "${A} $$"}


def test_unset_variable_counts_only_where_it_is_needed(tmp_path: Path) -> None:
    """A component that is left out may lack its variables."""
    text = (
        f'{API}[components.x]\nrun = "a:b"\nenvironment.U = "${{NO}}"\n[dependencies.db]\nurl = "${{NO}}"\n'
    )
    assert loaded(tmp_path, text, only=("api",)).spec.dependencies == ()
    found = problem(tmp_path, text)
    assert found.where == "launcher.toml:5: components.x.environment.U"
    assert "set NO in the environment or in .env" in found.hint


def test_masked_origin(tmp_path: Path) -> None:
    """A value that was filled in from a secret is shown without it."""
    text = f'{API}ready = "http://h/${{API_TOKEN}}/x"\nenvironment.D = "${{URL}}"\n'
    result = loaded(tmp_path, text, environ={"API_TOKEN": "hunter2", "URL": "redis://:hunter3@h"})
    assert origin(result, "components.api.ready") == ('"http://h/***/x"', "launcher.toml:3")
    assert origin(result, "components.api.environment.D") == ('"redis://:***@h"', "launcher.toml:4")
    assert component(result, "api").environment["D"] == "redis://:hunter3@h"


DOTENV = [
    ("A=1", {"A": "1"}),
    ("export A=1", {"A": "1"}),
    ("A='1 # 2' # 3", {"A": "1 # 2"}),
    ('A="x\\ny"', {"A": "x\ny"}),
    ("A=~pun|u@|0n$=", {"A": "~pun|u@|0n$="}),
    ("A=ü", {"A": "ü"}),
    ("A=1\nB=${A}2", {"A": "1", "B": "12"}),
    ("B=${NO:-d}", {"B": "d"}),
    ("A=${SHELL_SAYS}", {"A": "yes"}),
    ("SHELL_SAYS=no\nA=${SHELL_SAYS}", {"SHELL_SAYS": "no", "A": "yes"}),
    ("A=\nB", {"A": ""}),
    ("# A=1\n\n", {}),
    ("A='x\ny'", {"A": "x\ny"}),
]


@pytest.mark.parametrize(("text", "expected"), DOTENV)
def test_dotenv(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    """The grammar is that of python-dotenv; references see the real environment first."""
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    found: list[Problem] = []
    read = read_dotenv([(tmp_path / ".env", ".env")], {"SHELL_SAYS": "yes"}, found)
    assert {name: variable.value for name, variable in read.items()} == expected
    assert not found


def test_dotenv_mistakes(tmp_path: Path) -> None:
    """A line that cannot be read is named by its number, without its value."""
    found = problems(tmp_path, API, 'A=1\n\nB="hunter2\nC=1\n=3\n')
    assert [each.where for each in found] == [".env:3", ".env:5"]
    assert found[0].what == "cannot be read: B=…"
    assert found[0].hint == 'close the quote: B="…"'


def test_dotenv_order(tmp_path: Path) -> None:
    """The real environment wins over .env, and what is declared wins over both, with a word about it."""
    text = f'[environment]\nC = "file"\n{API}'
    result = loaded(tmp_path, text, "A=dotenv\nB=dotenv\nC=dotenv\n", environ={"B": "real"})
    assert result.spec.environment == {"A": "dotenv", "C": "file"}
    assert result.warnings == (
        'C of .env:3 has no effect: launcher.toml:2 sets another value (write C = "${C:-…}" there to let .env win)',
    )
    assert origin(result, "environment.A") == ('"dotenv"', ".env:1")


def test_dotenv_secrets(tmp_path: Path) -> None:
    """What .env builds from a secret is not shown either."""
    result = loaded(tmp_path, API, "TOKEN=hunter2\nHEADER=Bearer ${TOKEN}\n")
    assert result.spec.environment["HEADER"] == "Bearer hunter2"
    assert "hunter2" not in repr(result.origins)


def test_several_files_of_variables(tmp_path: Path) -> None:
    """Later files win, and an empty list reads none."""
    (tmp_path / ".env.local").write_text("A=local\n")
    both = f'[launcher]\nenv_file = [".env", ".env.local"]\n{API}'
    assert loaded(tmp_path, both, "A=1\nB=1\n").spec.environment == {"A": "local", "B": "1"}
    assert loaded(tmp_path, f"[launcher]\nenv_file = []\n{API}").spec.environment == {}
    assert loaded(tmp_path, both, environ={"LAUNCHER_ENV_FILE": ".env.local"}).spec.environment == {
        "A": "local"
    }


def test_variables_that_only_the_launcher_sets(tmp_path: Path) -> None:
    """A file of variables cannot pretend to be the launcher."""
    found = problem(tmp_path, API, "LAUNCHER_COMPONENT=x\nLAUNCHER_LEGACY=1\n")
    assert found.where == ".env:1: LAUNCHER_COMPONENT"
    assert found.what == "has no effect in a file of variables"
