"""What the control groups say of processes that were killed for want of memory."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from launcher.hosts.ends import of_status
from launcher.hosts.oom import oom_kills

V2 = "low 0\nhigh 3\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param("0::/app.slice/me\n", {"app.slice/me/memory.events": V2}, 2, id="version 2"),
        pytest.param("0::/elsewhere\n", {"memory.events": V2}, 2, id="version 2 in a container"),
        pytest.param("0::/\n4:memory:/me\n", {"memory/me/memory.oom_control": V1}, 5, id="version 1"),
        pytest.param("4:memory:/me\n", {"memory/memory.oom_control": V1}, 5, id="version 1 in a container"),
        pytest.param(
            "3:cpu:/me\n0::/me\n",
            {"cpu/me/memory.oom_control": V1, "unified/me/memory.events": V2},
            2,
            id="both",
        ),
        pytest.param("0::/me\n", {}, 0, id="not counted"),
        pytest.param("", {}, 0, id="no groups"),
    ],
)
def test_kills_are_counted(tmp_path: Path, membership: str, files: dict[str, str], expected: int) -> None:
    """Both versions of control groups are understood, where they are mounted as they should be and as containers do."""
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert oom_kills(tmp_path / "cgroup", tmp_path / "fs") == expected


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    """Where there are none, nothing was killed; this machine gives some number."""
    assert oom_kills(tmp_path / "nowhere") == 0
    assert oom_kills() >= 0


def test_want_of_memory_is_the_hint_of_a_kill() -> None:
    """SIGKILL while the system killed for want of memory says so; our own kill and other signals keep their hints."""
    assert "want of memory" in of_status(-signal.SIGKILL, killed=False, starved=True).hint
    assert "dmesg" in of_status(-signal.SIGKILL, killed=False).hint
    assert of_status(-signal.SIGKILL, killed=True, starved=True).hint == ""
    assert "native extension" in of_status(-signal.SIGSEGV, killed=False, starved=True).hint
