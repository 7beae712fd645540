"""The run directory is found without reading the rest of the declaration, and agrees with what loading says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.config.lines import places
from launcher.config.locate import MAX_SOCKET_PATH, find_file, locate
from launcher.errors import ConfigError, RunDirectoryError
from tests.launcher.unit.config.support import API, loaded, project

FORMS = [
    "",
    '[launcher]\nrun_dir = "run"\n',
    "[launcher]\nrun_dir = 'run' # here\nlog_dir = '/tmp/l'\n",
    'launcher.run_dir = "run"\n',
    'launcher = { name = "x", run_dir = "r}n", log_dir = "../l" }\n',
    '[launcher]\nrun_dir = """run"""\n',
    '[launcher]\nrun_dir = "r\\u0075n"\n',
    '[launcher]\nrun_dir = "${BASE}/run"\nlog_dir = "${NONE:-l}"\n',
    '[launcher]\nrun_dir = "${FROM_ENV_FILE}/run"\n',
    '[launcher]\nenv_file = ["other.env"]\nrun_dir = "x"\n',
    '[other."launcher"]\nrun_dir = "no"\n["launcher"]\n"run_dir" = "yes"\n',
    '[launcher]\nname = """\n[launcher]\nrun_dir = "no"\n"""\n',
]
ENVIRONMENTS: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("LAUNCHER_RUN_DIR=plain\n", {}),
    ('LAUNCHER_RUN_DIR="a b"\n', {}),
    ("LAUNCHER_LOG_DIR=logs/x\nLAUNCHER_MODE=single\n", {"LAUNCHER_RUN_DIR": "/tmp/real"}),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("env", "environ"), ENVIRONMENTS)
def test_agrees_with_load(tmp_path: Path, form: str, env: str, environ: dict[str, str]) -> None:
    """However the directories are written, looking for them and loading give the same."""
    (tmp_path / "other.env").write_text("LAUNCHER_LOG_DIR=from-other\n")
    environ = {"BASE": "/tmp/base", **environ}
    text = form + API.replace("[components.api]", "[components.api]") if "[other." not in form else form
    project(tmp_path, text, f"FROM_ENV_FILE=/tmp/dotenv\n{env}")
    found = locate(tmp_path, environ)
    if "[other." in form:
        expected = environ.get("LAUNCHER_RUN_DIR") or {"": "yes", "LAUNCHER_RUN_DIR=plain\n": "plain"}.get(
            env, "a b"
        )
        assert found.run_dir == tmp_path / expected
        return
    spec = loaded(tmp_path, environ=environ).spec
    assert (str(found.run_dir), str(found.log_dir), str(found.root)) == (
        spec.run_dir,
        spec.log_dir,
        spec.root,
    )
    assert (found.socket.name, found.lock.name, found.socket.parent) == (
        "control.sock",
        "lock",
        found.run_dir,
    )


def test_broken_file(tmp_path: Path) -> None:
    """A mistake elsewhere in the file does not hide a running launcher."""
    project(tmp_path, '[launcher]\nwhat is this ( "\nrun_dir = "run"\n[components.api\napp = \n')
    assert locate(tmp_path, {}).run_dir == tmp_path / "run"


def test_long_paths(tmp_path: Path) -> None:
    """A socket that would not fit goes to a short directory of the user, unless the place was asked for."""
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    project(deep, API)
    found = locate(deep, {"XDG_RUNTIME_DIR": "/run/user/7"})
    assert found.run_dir.parent == Path(f"/run/user/7/launcher-{os.getuid()}")
    assert len(found.run_dir.name) == 12
    assert found.log_dir == found.run_dir / "logs"
    assert locate(deep, {}).run_dir == Path(f"/tmp/launcher-{os.getuid()}") / found.run_dir.name
    assert loaded(deep, environ={"XDG_RUNTIME_DIR": "/run/user/7"}).spec.run_dir == str(found.run_dir)
    for ask in (locate, lambda directory, environ: loaded(directory, environ=environ)):
        with pytest.raises(RunDirectoryError) as caught:
            ask(deep, {"LAUNCHER_RUN_DIR": "run"})
        assert f"the system allows {MAX_SOCKET_PATH}" in caught.value.message
        assert "shorter path" in caught.value.hint


def test_longest_path_that_fits(tmp_path: Path) -> None:
    """The limit is counted in bytes, and exact."""
    length = MAX_SOCKET_PATH - len(str(tmp_path)) - len("//control.sock")
    project(tmp_path, API)
    assert locate(tmp_path, {"LAUNCHER_RUN_DIR": "r" * length}).run_dir.name == "r" * length
    with pytest.raises(RunDirectoryError):
        locate(tmp_path, {"LAUNCHER_RUN_DIR": "r" * (length + 1)})


def test_search(tmp_path: Path) -> None:
    """The nearest file up to the root of the repository is taken; outside a repository only the directory itself."""
    inner = tmp_path / "repo" / "a" / "b"
    inner.mkdir(parents=True)
    outer, repo, near = (
        tmp_path / "launcher.toml",
        tmp_path / "repo" / "pyproject.toml",
        inner.parent / "launcher.toml",
    )
    outer.write_text(API)
    assert find_file(inner, {}) is None
    assert find_file(tmp_path, {}) is not None
    (tmp_path / "repo" / ".git").mkdir()
    assert find_file(inner, {}) is None
    repo.write_text('[project]\nname = "launcher"\n')
    assert find_file(inner, {}) is None
    repo.write_text('tool.launcher.components.api.app = "a:app"\n')
    assert getattr(find_file(inner, {}), "path", None) == repo
    near.write_text(API)
    assert getattr(find_file(inner, {}), "path", None) == near
    assert getattr(find_file(inner, {"LAUNCHER_FILE": str(outer)}), "path", None) == outer
    assert getattr(find_file(inner, {"LAUNCHER_FILE": str(outer)}, near), "path", None) == near
    with pytest.raises(ConfigError) as caught:
        find_file(inner, {}, Path())
    assert "is a directory without launcher.toml" in caught.value.problems[0].what


def test_no_file(tmp_path: Path) -> None:
    """A project without a file has a run directory, too."""
    assert locate(tmp_path, {}).run_dir == tmp_path / ".launcher"


def test_lines() -> None:
    """Every way of writing a key has its line."""
    text = '# c\n[a.b]\nc = 1 # x\n\'d e\' = """\n[no]\n"""\nf.g = [\n 1, # ]\n 2,\n]\nh = { i = 1, j = { k = \'x}\' } }\n\n[[l]]\nm = 2020-01-01\n'
    found = {path: place.line for path, place in places(text).items()}
    assert found == {
        ("a",): 2,
        ("a", "b"): 2,
        ("a", "b", "c"): 3,
        ("a", "b", "d e"): 4,
        ("a", "b", "f"): 7,
        ("a", "b", "f", "g"): 7,
        ("a", "b", "h"): 11,
        ("a", "b", "h", "i"): 11,
        ("a", "b", "h", "j"): 11,
        ("a", "b", "h", "j", "k"): 11,
        ("l",): 13,
        ("l", "m"): 14,
    }
