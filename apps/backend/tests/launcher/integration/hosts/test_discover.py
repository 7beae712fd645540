"""Asking an AgentLauncher for its agents, without importing it here."""

from __future__ import annotations

import sys

import pytest

from launcher.errors import LauncherError
from launcher.hosts.discover import discover_agents
from tests.launcher.integration.hosts.driver import Project

CREW = """
    import os
    print("noise on stdout")
    class Static:
        def __init__(self, needed=None): pass
        @staticmethod
        def available(): return ["writer", "editor"]
        def load_agents(self, names): ...
        def start_all(self): ...
        def stop_all(self): ...
    class Method(Static):
        def available(self): return (os.environ["FIRST"], "editor")
    class Async(Static):
        async def available(self): return {"writer": 1, "editor": 2}
    class Attribute(Static):
        available = ["writer", "editor"]
    class Silent:
        load_agents = start_all = stop_all = print
    class Broken(Static):
        def available(self): raise OSError("no directory")
    class Partial:
        def load_agents(self, names): ...
    def make(): return Static()
    instance = Static()
"""


@pytest.mark.parametrize("name", ["Static", "Method", "Async", "Attribute", "make"])
def test_names_in_any_form(project: Project, name: str) -> None:
    """available() may be static, a method, async, or an attribute; what the import prints does not matter."""
    project.write(crew=CREW)
    found = discover_agents(f"crew:{name}", (str(project.root),), str(project.root), {"FIRST": "writer"})
    assert found == ("writer", "editor")
    assert "crew" not in sys.modules


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("crew:Silent", "it has no available()", "agents = [...]"),
        ("crew:Broken", "crew.py:20: OSError: no directory", ""),
        ("crew:Partial", "crew:Partial has no start_all() and no stop_all()", "name a class with"),
        ("crew:instance", "is not a class but an instance of Static", "name a class"),
        ("crew:Statik", "crew has no attribute Statik", "did you mean Static?"),
        ("nothere:Crew", "there is no module nothere", "pythonpath"),
    ],
)
def test_what_cannot_be_asked_says_why(project: Project, target: str, message: str, hint: str) -> None:
    """A launcher that cannot be had or does not tell is an error with the reason."""
    project.write(crew=CREW)
    with pytest.raises(LauncherError) as caught:
        discover_agents(target, (str(project.root),), str(project.root), {})
    assert f"cannot ask {target} for its agents" in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_crash_is_told_by_its_last_line(project: Project) -> None:
    """A module that ends the process while being imported is told with what it printed last."""
    project.write(crew="import os\nprint('cannot go on', flush=True)\nos._exit(3)")
    with pytest.raises(LauncherError, match="cannot go on"):
        discover_agents("crew:Crew", (str(project.root),), str(project.root), {})
