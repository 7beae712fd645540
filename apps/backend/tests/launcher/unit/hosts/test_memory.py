"""What the next zygote knows from the last one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from launcher.hosts.memory import FILE, Memory, foreseen, remembered
from launcher.model.spec import ComponentSpec, Kind, LauncherSpec

SPEC = LauncherSpec("test", "/", ())


def test_what_was_learned_is_there_again(tmp_path: Path) -> None:
    """Needs keep their order, hazards and reads their words."""
    memory = remembered(str(tmp_path))
    memory.learn("api", ["fastapi", "fastapi.routing", "numpy"])
    memory.learn("writer", ["numpy", "neo4j"])
    memory.hazards["numpy"] = "starts 3 threads"
    memory.read["LEVEL"] = "neo4j"
    memory.save()
    again = remembered(str(tmp_path))
    assert {name: list(needs) for name, needs in again.needs.items()} == {
        "api": ["fastapi", "fastapi.routing", "numpy"],
        "writer": ["numpy", "neo4j"],
    }
    assert (again.hazards, again.read) == ({"numpy": "starts 3 threads"}, {"LEVEL": "neo4j"})
    assert again.hazards_of("api") == {"numpy": "starts 3 threads"}
    again.forget(["numpy"])
    assert again.hazards_of("api") == {}


def test_nothing_new_is_not_written_again(tmp_path: Path) -> None:
    """A run that learned nothing leaves the file alone."""
    memory = remembered(str(tmp_path))
    memory.learn("api", ["fastapi"])
    memory.save()
    before = (tmp_path / FILE).stat().st_mtime_ns, (tmp_path / FILE).stat().st_ino
    again = remembered(str(tmp_path))
    again.save()
    assert ((tmp_path / FILE).stat().st_mtime_ns, (tmp_path / FILE).stat().st_ino) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:40],
        lambda text: "[]",
        lambda text: json.dumps({**json.loads(text), "version": 99}),
        lambda text: json.dumps({**json.loads(text), "python": "another"}),
        lambda text: json.dumps({**json.loads(text), "needs": {"api": [7]}}),
        lambda text: json.dumps({**json.loads(text), "modules": None}),
    ],
)
def test_a_damaged_memory_is_none(tmp_path: Path, damage: object) -> None:
    """Whatever the file holds, it is never an error."""
    memory = remembered(str(tmp_path))
    memory.learn("api", ["fastapi"])
    memory.save()
    path = tmp_path / FILE
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    assert remembered(str(tmp_path)).needs == {}


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """Without a run directory, or with one that has gone, nothing is kept."""
    for memory in (remembered(""), remembered(str(tmp_path / "gone"))):
        memory.learn("api", ["fastapi"])
        memory.save()
    assert list(tmp_path.iterdir()) == []


def test_a_start_is_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` tells what a start will be, from what the last one has taught."""
    component = ComponentSpec("api", Kind.ASGI, "api:app", environment={"LEVEL": "1"})
    assert foreseen(SPEC, component, Memory()) == "warm"
    assert foreseen(SPEC, component, Memory(needs={"api": {"numpy": None}}, hazards={"numpy": "waits"})) == (
        "warm, but for numpy (waits)"
    )
    assert foreseen(SPEC, component, Memory(read={"LEVEL": "lib"})).startswith("cold (LEVEL is set for it")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert foreseen(SPEC, component, Memory()) == "cold (only Linux can fork hosts that outlive a zygote)"
