"""What the variants write, and what is read of the launcher."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.peers.backend import GATEWAY, Place, generate, new_life
from benchmarks.peers.variants import VARIANTS, Variant
from benchmarks.peers.variants.base import OnCrash, Scope
from benchmarks.peers.variants.launcher import LauncherMulti, zygote_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A backend of a gateway and two agents."""
    generate(tmp_path / "backend", 3)
    return new_life(tmp_path / "backend", 3, {})


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_every_service_is_told_to_the_manager(variant: Variant, place: Place) -> None:
    """Command and configuration name every service and the port, wherever the variant runs all of them."""
    sources = "".join(path.read_text() for path in place.directory.rglob("hand.py"))
    command = variant.begin(place)
    written = [path.read_text() for path in place.directory.iterdir() if path.is_file()]
    told = " ".join([*command, *written, sources if variant.name == "hand" else ""])
    agents = [] if variant.scope is Scope.GATEWAY else place.agents
    assert [service for service in ("gateway", *agents) if service not in told] == []


def test_a_life_begins_with_nobody_ready(place: Place) -> None:
    """Marks of an earlier life are gone in the next, which has a mark of its own."""
    (place.marks / "agent01").write_text("17")
    assert place.marked() == {"agent01": 17}
    following = new_life(place.directory, 3, {})
    assert following.marked() == {}
    assert following.mark != place.mark


def test_the_launcher_says_when_it_noticed(place: Place) -> None:
    """The first line of the launcher about the kill counts; earlier kills and lines of the component do not."""
    lines = [
        ("2026-01-01T00:00:01Z", "launcher", "ready -> starting: ended by SIGKILL"),
        ("2026-01-01T00:00:05Z", "stdout", "SIGKILL"),
        ("2026-01-01T00:00:06.5Z", "launcher", "ready -> starting: ended by SIGKILL"),
        ("2026-01-01T00:00:07Z", "launcher", "starting -> ready"),
    ]
    log = place.directory / ".launcher" / "logs" / f"{GATEWAY}.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(
        "".join(
            json.dumps(dict(zip(("time", "stream", "message"), line, strict=True))) + "\n" for line in lines
        )
    )
    since = 1767225600.0 + 4  # 2026-01-01T00:00:04Z
    assert LauncherMulti().noticed(place, since) == since + 2.5
    assert LauncherMulti().noticed(place, since + 100) is None


@pytest.mark.parametrize("words", [["launcher.hosts.zygote"], []], ids=["started", "forked"])
def test_the_zygote_is_told_from_what_it_has_forked(words: list[str]) -> None:
    """The process with the command line or the name of a zygote is found, and not its younger copy; where there is none, none is."""
    naming = "" if words else "open('/proc/self/comm', 'w').write('launcher:zygote');"
    program = f"import os; {naming} os.fork(); print(flush=True); os.read(0, 1)"
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"\n", b"\n"]
        (forked,) = psutil.Process(process.pid).children()
        assert zygote_of(process.pid) == process.pid
        process.stdin.write(b"..")
        process.stdin.close()
        forked.wait(30)
    assert zygote_of(process.pid) is None


def test_only_managers_that_restart_have_to_be_killed() -> None:
    """A variant whose gateway shares its process with everything else is not one that restarts."""
    assert all(
        variant.on_crash is not OnCrash.RESTARTS for variant in VARIANTS.values() if variant.same_process
    )
