"""Repositories that know nothing of the launcher are understood by reading them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launcher.config.discover import find_agent_launchers, find_apps
from launcher.config.init import init_text
from tests.launcher.unit.config.support import loaded, names

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
AGENTS = "class AgentLauncher:\n    def load_agents(self): ...\n    async def start_all(self): ...\n    async def stop_all(self): ...\n"

CASES = [
    ({"main.py": APP}, [("main:app", ".", False)]),
    ({"app/main.py": APP, "app/__init__.py": ""}, [("app.main:app", ".", False)]),
    ({"app/main.py": APP}, [("main:app", "app", False)]),
    ({"app/main.py": "from app.db import x\n" + APP}, [("app.main:app", ".", False)]),
    ({"app/main.py": "from .db import x\n" + APP}, [("app.main:app", ".", False)]),
    ({"src/api/main.py": APP, "src/api/__init__.py": ""}, [("api.main:app", "src", False)]),
    ({"src/api/main.py": "from api.routes import x\n" + APP}, [("api.main:app", "src", False)]),
    ({"src/app/main.py": APP, "src/app/__init__.py": ""}, [("app.main:app", "src", False)]),
    ({"main.py": "import fastapi\nserver = fastapi.FastAPI()\n"}, [("main:server", ".", False)]),
    ({"main.py": "from fastapi import FastAPI as F\napi: F = F()\n"}, [("main:api", ".", False)]),
    (
        {"main.py": "from fastapi import FastAPI\nz = FastAPI()\napi = FastAPI()\napp = FastAPI()\n"},
        [("main:app", ".", False), ("main:api", ".", False), ("main:z", ".", False)],
    ),
    ({"main.py": "from fastapi import FastAPI\nif True:\n    app = FastAPI()\n"}, [("main:app", ".", False)]),
    ({"main.py": "from x import create_app\napp = create_app()\n"}, [("main:app", ".", False)]),
    ({"main.py": "from core.server import app\n"}, [("main:app", ".", False)]),
    (
        {"main.py": "from fastapi import FastAPI\ndef create_app() -> FastAPI:\n    return FastAPI()\n"},
        [("main:create_app", ".", True)],
    ),
    (
        {"main.py": "from fastapi import FastAPI\ndef build(x=1) -> FastAPI:\n    return FastAPI()\n"},
        [("main:build", ".", True)],
    ),
    (
        {
            "main.py": "from fastapi import FastAPI\ndef create_app(settings) -> FastAPI:\n    return FastAPI()\n"
        },
        [],
    ),
    (
        {"main.py": "from starlette.applications import Starlette\napp = Starlette()\n"},
        [("main:app", ".", False)],
    ),
    ({"b.py": APP, "app.py": APP}, [("app:app", ".", False), ("b:app", ".", False)]),
    (
        {"main.py": APP, "pyproject.toml": '[tool.fastapi]\nentrypoint = "web.site:go"\n'},
        [("web.site:go", ".", False), ("main:app", ".", False)],
    ),
    (
        {"src/web/site.py": "", "pyproject.toml": '[tool.fastapi]\nentrypoint = "web.site:go"\n'},
        [("web.site:go", "src", False)],
    ),
    ({"main.py": "def (:\nFastAPI"}, []),
    ({"pyproject.toml": "[tool"}, []),
    ({"main.py": "print('FastAPI')\n"}, []),
    (
        {
            ".venv/main.py": APP,
            "node_modules/main.py": APP,
            "tests/test_main.py": APP,
            "env3/pyvenv.cfg": "",
            "env3/app.py": APP,
        },
        [],
    ),
    ({"pkg/__init__.py": APP}, [("pkg:app", ".", False)]),
]


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("files", "expected"), CASES)
def test_apps(tmp_path: Path, files: dict[str, str], expected: list[tuple[str, str, bool]]) -> None:
    """Applications are found where `fastapi dev` finds them, and further on, the likeliest first."""
    write(tmp_path, files)
    assert [(found.target, found.path, found.factory) for found in find_apps(tmp_path)] == expected


def test_nothing_is_imported(tmp_path: Path) -> None:
    """Reading a repository does not run it."""
    write(tmp_path, {"main.py": f"{APP}raise SystemExit(1)\n"})
    before = set(sys.modules)
    assert find_apps(tmp_path)
    assert not {name for name in set(sys.modules) - before if name.startswith(("main", "fastapi"))}


def test_agent_launchers(tmp_path: Path) -> None:
    """A class with the three methods is an agent launcher; one that lacks any is not."""
    write(
        tmp_path,
        {
            "src/agents/launcher.py": AGENTS,
            "src/agents/__init__.py": "",
            "half.py": "class Half:\n    def load_agents(self): ...\n",
        },
    )
    assert [(found.target, found.path) for found in find_agent_launchers(tmp_path)] == [
        ("agents.launcher:AgentLauncher", "src")
    ]


@pytest.mark.parametrize(
    "files",
    [
        {},
        *(files for files, _ in CASES[:4]),
        {"main.py": APP, "b.py": APP, "agents.py": AGENTS},
        CASES[14][0],
    ],
)
def test_init(tmp_path: Path, files: dict[str, str]) -> None:
    """What is written for any repository loads without an error, and declares what was found."""
    write(tmp_path, files)
    text = init_text(tmp_path)
    result = loaded(tmp_path, text, discover_agents=lambda *_given: ("writer",))
    expected = ["api"] if find_apps(tmp_path) else []
    expected += ["agents.writer"] if find_agent_launchers(tmp_path) else []
    assert names(result) == (expected or ["web"])
    assert not result.warnings


def test_init_names_the_path(tmp_path: Path) -> None:
    """The directory that makes the code importable is written down, beside the project directory."""
    write(tmp_path, {"src/api/main.py": APP, "src/api/__init__.py": ""})
    assert 'pythonpath = ["src", "."]' in init_text(tmp_path)


def test_init_with_an_odd_directory(tmp_path: Path) -> None:
    """A directory whose name needs quoting does not break the file."""
    odd = tmp_path / 'a"b\\c'
    odd.mkdir()
    assert loaded(odd, init_text(odd)).spec.name == "a-b-c"
