"""The repository as a whole: what is tracked, what is built, and that its entry points fit together."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BACKEND = Path(__file__).resolve().parents[1]
ROOT = BACKEND.parents[1]
LAUNCHER = BACKEND / "src" / "launcher"

MAXIMUM_LINES = 400
# Spelt in pieces, so that this file does not hold what it looks for.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("anaconda", "org"),
    )
)
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
PERSONAL_PATH = re.compile(r"/(?:home|Users)/(?!app\b|user\b)[\w.-]+/")


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """Every text file git tracks, or would with `git add .`, by its path from the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing is tracked")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    texts = {}
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            texts[name] = data.decode(errors="replace")
    return texts


@pytest.fixture(scope="module")
def dev() -> dict[str, Any]:
    """The globals of the `dev` script, loaded without running it."""
    return runpy.run_path(str(ROOT / "dev"), run_name="dev")


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    """The parsed pyproject.toml of the backend."""
    return tomllib.loads((BACKEND / "pyproject.toml").read_text())


def pins(lock: Path) -> dict[str, tuple[str, int]]:
    """Read a lock file: version and number of hashes of each distribution."""
    entries = re.split(r"\n(?=\w)", lock.read_text())
    found: dict[str, tuple[str, int]] = {}
    for entry in entries:
        if match := re.match(r"([\w.-]+)==([^\s;\\]+)", entry):
            found[canonicalize_name(match[1])] = (match[2], entry.count("--hash=sha256:"))
    return found


def test_launcher_files_stay_short() -> None:
    """No file of the launcher is longer than 400 lines."""
    sizes = {path: len(path.read_text().splitlines()) for path in LAUNCHER.rglob("*.py")}
    assert sizes
    assert {str(path): lines for path, lines in sizes.items() if lines > MAXIMUM_LINES} == {}


def test_no_registry_is_named(tracked: dict[str, str]) -> None:
    """No tracked file names the host of a package registry, which would fail behind a mirror."""
    found = [(name, host) for name, text in tracked.items() for host in REGISTRIES if host in text]
    assert found == []


def test_no_path_of_a_machine_is_written_down(tracked: dict[str, str]) -> None:
    """No tracked file holds a path of the machine it was written on."""
    here = [f"{path}/" for path in (ROOT, Path.home()) if path != Path("/")]
    found = [
        (name, where)
        for name, text in tracked.items()
        for where in [*(path for path in here if path in text), *PERSONAL_PATH.findall(text)]
    ]
    assert found == []


def test_nothing_is_left_unfinished(tracked: dict[str, str]) -> None:
    """No tracked file carries a mark for work put off."""
    found = [(name, match[0]) for name, text in tracked.items() for match in UNFINISHED.finditer(text)]
    assert found == []


def test_lock_satisfies_every_declared_requirement(pyproject: dict[str, Any]) -> None:
    """Each requirement of pyproject.toml is pinned in the lock at a version it allows."""
    groups = dict(pyproject["dependency-groups"])
    product = [
        pyproject["project"]["dependencies"],
        *pyproject["project"]["optional-dependencies"].values(),
    ]
    # Other process managers are only measured: they have a lock, and an environment, of their own.
    apart = {"requirements-peers.lock": [groups.pop("peers"), *product]}
    here = {"requirements.lock": [pyproject["build-system"]["requires"], *groups.values(), *product]}
    for name, wanted in (apart | here).items():
        locked = pins(BACKEND / name)
        declared = [Requirement(line) for group in wanted for line in group]
        assert len(declared) > 15
        astray = [
            str(requirement)
            for requirement in declared
            if not requirement.specifier.contains(
                locked.get(canonicalize_name(requirement.name), ("0.dev0", 0))[0]
            )
        ]
        assert astray == [], "run: python3 dev lock"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-boot.lock", "requirements-peers.lock"])
def test_every_pin_has_hashes(name: str) -> None:
    """Each pinned distribution carries at least one hash, so that nothing else can be installed."""
    locked = pins(BACKEND / name)
    assert locked
    assert [pinned for pinned, (_, hashes) in locked.items() if hashes == 0] == []


def test_dev_pins_the_uv_its_lock_holds(dev: dict[str, Any]) -> None:
    """The uv that dev installs is the one whose hashes are recorded."""
    assert pins(BACKEND / "requirements-boot.lock")["uv"][0] == dev["UV_PIN"]


@pytest.mark.parametrize("name", ["dev", ".ci/run"])
def test_entry_points_are_executable(name: str) -> None:
    """The entry points can be called without naming an interpreter."""
    assert os.access(ROOT / name, os.X_OK)


def test_node_scripts_only_call_dev(dev: dict[str, Any]) -> None:
    """Every pnpm script is one call of dev with a verb that exists."""
    scripts = json.loads((ROOT / "package.json").read_text())["scripts"]
    verbs = {*dev["VERBS"], *dev["LAUNCHER_VERBS"]}
    assert scripts
    for script in scripts.values():
        words = script.split()
        assert words[:2] == ["python3", "dev"]
        assert words[2] in verbs


def test_make_targets_are_verbs_of_dev(dev: dict[str, Any]) -> None:
    """Every target of the Makefile is a verb of dev."""
    listed = re.search(r"^VERBS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed is not None
    assert set(listed[1].split()) <= {*dev["VERBS"], *dev["LAUNCHER_VERBS"]}


def test_dev_refuses_an_unknown_verb_at_once() -> None:
    """A mistyped verb costs exit code 2 and a message on stderr, before anything is installed."""
    done = subprocess.run(
        [sys.executable, ROOT / "dev", "tset"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown verb tset" in done.stderr


def test_launcher_knows_the_verbs_dev_hands_on(dev: dict[str, Any]) -> None:
    """Each verb that dev passes to the launcher stands in the launcher's own help."""
    done = subprocess.run(
        [sys.executable, "-m", "launcher", "--help"], capture_output=True, text=True, check=True, cwd=BACKEND
    )
    words = set(re.findall(r"[a-z]+", done.stdout))
    assert set(dev["LAUNCHER_VERBS"]) - words == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it would be published, built with nothing fetched."""
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target], cwd=BACKEND, check=True
    )
    (built,) = target.glob("*.whl")
    return built


def test_wheel_holds_the_launcher_alone(wheel: Path, pyproject: dict[str, Any]) -> None:
    """The wheel carries every file of the launcher, its page, its type marker, and nothing of the reference backend."""
    names = zipfile.ZipFile(wheel).namelist()
    version = pyproject["project"]["version"]
    assert {name.split("/")[0] for name in names} == {"launcher", f"unified_launcher-{version}.dist-info"}
    files = [*LAUNCHER.rglob("*.py"), *(LAUNCHER / "web" / "static").iterdir(), LAUNCHER / "py.typed"]
    assert {str(path.relative_to(LAUNCHER.parent)) for path in files} <= set(names)


@pytest.mark.slow
def test_wheel_works_in_a_fresh_environment(wheel: Path, pyproject: dict[str, Any], tmp_path: Path) -> None:
    """Installed with its declared dependencies only, the wheel gives a launcher that tells its version."""
    cached = sorted((ROOT / ".boot").glob("uv-*/bin/uv"))
    uv = shutil.which("uv") or (str(cached[-1]) if cached else None)
    if uv is None:
        pytest.skip("no uv: neither on PATH nor installed by dev")
    venv = tmp_path / "venv"
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    interpreter = os.path.realpath(sys.executable)
    subprocess.run([uv, "venv", "--quiet", "--python", interpreter, venv], env=environment, check=True)
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python", wheel]
    install += ["--constraint", BACKEND / "requirements.lock"]
    # Everything was fetched once for this very environment; only a cleaned cache makes the network needed.
    if subprocess.run([*install, "--offline"], env=environment, capture_output=True, check=False).returncode:
        subprocess.run(install, env=environment, check=True)
    told = subprocess.run(
        [venv / "bin" / "launcher", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert pyproject["project"]["version"] in told.stdout
