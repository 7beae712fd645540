"""A disk that is full, and one that cannot be written: a file system of the test's own, in a namespace of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STORY = """
import json, subprocess, sys
from pathlib import Path
from tests.launcher.integration.stores.keeping import keeping

disk = Path(sys.argv[1])
told = {}
with keeping(f"sqlite:///{disk / 'state.db'}") as kept:
    kept.put(3)
    kept.settle()

    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    kept.put(1000)
    kept.failing()
    told["full"] = kept.writer.state().reason
    filler.unlink()
    kept.settle()
    told["after full"] = kept.numbers() == kept.everything()

kept.writer.close()
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
with keeping(f"sqlite:///{disk / 'state.db'}") as later:
    later.put(3)
    later.failing()
    told["read-only"] = later.writer.state().reason
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    later.settle()
    told["after read-only"] = later.numbers() == [*kept.everything(), *later.everything()]
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_a_disk_that_is_full_and_then_read_only(tmp_path: Path) -> None:
    """Both are outages, each with its reason; afterwards nothing is missing and nothing is there twice."""
    prefix = ["unshare", "-Urm", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=400k tmpfs {tmp_path}"
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, mount], check=False, capture_output=True).returncode
    ):
        pytest.skip("no namespaces here")
    script = tmp_path.with_suffix(".py")
    script.write_text(STORY)
    done = subprocess.run(
        [*prefix, f'{mount} && exec "$@"', "-", sys.executable, script, tmp_path],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PYTHONPATH": f"{Path(__file__).parents[4]}", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "full" in told["full"]
    assert "read" in told["read-only"]
    assert told["after full"] is True
    assert told["after read-only"] is True
