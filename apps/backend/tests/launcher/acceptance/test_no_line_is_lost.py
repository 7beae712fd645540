"""No line of a component is lost when it is killed: the benchmark in small."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.logs import Load, run


def test_kill_9_costs_no_line(tmp_path: Path) -> None:
    """Python components and commands that are killed while they write: every line is in the files and at the follower, once and in order."""
    outcome = run(Load(components=4, lines=2000, kills=12), tmp_path, random.Random(4))
    assert outcome.wrong == []
    assert outcome.kills > 0
    assert outcome.said == 8000
