"""Declarations in the documentation can be used as they stand, and errors read as they are quoted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from launcher.config.load import Request, load
from launcher.config.reference import reference
from launcher.core.plan import build
from launcher.errors import ConfigError, LauncherError
from tests.docs.pages import DOCS, ENGLISH, PAGES, Fence, fences, name, spoken

BLOCKS = [fence for page in PAGES for fence in fences(page) if fence.language == "toml"]
WHOLE = [fence for fence in BLOCKS if "[components." in fence.text]


def _id(fence: Fence) -> str:
    first = next((line for line in fence.text.splitlines() if line.startswith("[")), "")
    return f"{name(fence.page)} {first}"


def test_there_are_declarations() -> None:
    """The README and the guide show whole declarations, and every block of TOML is one."""
    assert ENGLISH in {fence.page for fence in WHOLE}
    assert len(WHOLE) > 5
    assert [_id(fence) for fence in BLOCKS if fence not in WHOLE] == []


@pytest.mark.parametrize("fence", WHOLE, ids=_id)
@pytest.mark.parametrize("mode", ["single", "multi"])
def test_declarations_load(fence: Fence, mode: str, tmp_path: Path) -> None:
    """Every declaration that a page shows is valid and makes a plan in both modes, with each of its profiles."""
    (tmp_path / "launcher.toml").write_text(fence.text)
    for env_file in (".env", ".env.local"):
        (tmp_path / env_file).touch()
    replaced = dict.fromkeys(re.findall(r'^unless = "(\w+)"', fence.text, re.MULTILINE), "tcp://127.0.0.1:1")
    assert build(load(Request(tmp_path, mode=mode, environ=replaced)).spec).components
    for profile in (None, *re.findall(r"^\[profiles\.(\w+)\]", fence.text, re.MULTILINE)):
        request = Request(tmp_path, mode=mode, profiles=(profile,) if profile else (), environ={})
        loaded = load(request)
        assert build(loaded.spec).components
        assert loaded.warnings == ()


PAIRS = sorted(
    {
        pair
        for page in PAGES
        for code in spoken(page)
        for pair in ([code] if " " not in code else re.findall(r"(?<= )\S+=\S+", code))
        if re.fullmatch(r"[a-z]+=[a-z.]+:[\w.:]+(@\d+)?", pair)
    }
)


@pytest.mark.parametrize("pair", PAIRS)
def test_components_on_the_command_line(pair: str, tmp_path: Path) -> None:
    """Every ``NAME=TARGET`` that a page shows declares a component of that name."""
    (component,) = load(Request(tmp_path, pairs=(pair,), environ={})).spec.components
    assert component.name == pair.partition("=")[0]


def test_the_reference_is_what_the_launcher_prints() -> None:
    """No key is missing in the reference: it is what ``launcher config --reference`` prints now."""
    assert (DOCS / "guide" / "reference.md").read_text() == reference()


APP = 'app = "api.main:app"'
QUOTED = {
    "unknown key prot": f"[components.api]\n{APP}\nprot = 1",
    "does not say what to run": "[components.api]\nport = 1",
    "app and run exclude each other": f'[components.api]\n{APP}\nrun = "jobs:run"',
    "port means nothing for an agent": '[components.worker]\nrun = "jobs:run"\nport = 1',
    "needs a port: api has 8000, the only default": f"[components.api]\n{APP}\n[components.admin]\n{APP}",
    "depends on postgers, which is neither a component nor a dependency": f'[components.api]\n{APP}\ndepends_on = ["postgers"]',
    "components wait for each other: a -> b -> a": (
        '[components.a]\nrun = "j:run"\ndepends_on = ["b"]\n[components.b]\nrun = "j:run"\ndepends_on = ["a"]'
    ),
    "a and b both want port 8000": f"[components.a]\n{APP}\nport = 8000\n[components.b]\n{APP}\nport = 8000",
    "a and b share a process but want different values of X": (
        '[components.a]\nrun = "j:run"\nenvironment = { X = "1" }\n[components.b]\nrun = "j:run"\nenvironment = { X = "2" }'
    ),
    "a and b share a process but want different working directories": (
        '[components.a]\nrun = "j:run"\ndirectory = "x"\n[components.b]\nrun = "j:run"\ndirectory = "y"'
    ),
    'has the unknown scheme "mysql"': f'[dependencies.db]\nurl = "mysql://x"\n[components.api]\n{APP}',
    "shop has no port whose socket it could inherit": '[components.shop]\ncommand = "shop"\ninherit_socket = true',
    "a connection to 127.0.0.1:8003 always succeeds, since the launcher holds that port": (
        '[components.shop]\ncommand = "shop"\nport = 8003\ninherit_socket = true\nready = "tcp://127.0.0.1:8003"'
    ),
    "groups cannot be run by this version": f'[launcher]\nmode = "groups"\n[components.api]\n{APP}',
}


def mistakes(directory: Path, text: str, **environ: str) -> list[str]:
    """Return what is said to be wrong with a declaration."""
    (directory / "launcher.toml").write_text(text)
    mode = None if "mode" in text else "single"
    with pytest.raises(LauncherError) as raised:
        build(load(Request(directory, mode=mode, environ=environ)).spec)
    assert isinstance(raised.value, ConfigError)
    return [problem.what for problem in raised.value.problems]


@pytest.mark.parametrize(("quoted", "text"), QUOTED.items(), ids=list(QUOTED))
def test_errors_read_as_quoted(quoted: str, text: str, tmp_path: Path) -> None:
    """An error that the page on troubleshooting quotes is what the launcher says of such a declaration."""
    assert f"`{quoted}`" in (DOCS / "guide" / "troubleshooting.md").read_text()
    said = mistakes(tmp_path, text)
    # Which of two components is named first is of no interest to the reader.
    assert any(sorted(quoted.split()) == sorted(words.split()) for words in said), said


def test_unknown_variables_read_as_quoted(tmp_path: Path) -> None:
    """A mistyped variable of the launcher is refused in the words of the page on troubleshooting."""
    quoted = "LAUNCHER_MOED is not a variable of the launcher"
    assert f"`{quoted}`" in (DOCS / "guide" / "troubleshooting.md").read_text()
    assert quoted in mistakes(tmp_path, f"[components.api]\n{APP}", LAUNCHER_MOED="multi")


def test_quoted_errors_are_all_tested() -> None:
    """The table of errors of the declaration holds nothing beyond what is tested here, but for what needs code or files."""
    elsewhere = {
        "cannot list its agents",
        "LAUNCHER_MOED is not a variable of the launcher",
        "there is no file …",
    }
    text = (DOCS / "guide" / "troubleshooting.md").read_text()
    table = text.partition("## The declaration\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) - elsewhere == set(QUOTED)
