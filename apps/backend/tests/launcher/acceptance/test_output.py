"""Whatever a component writes, through the real command line: it is kept, shown safely, and disturbs nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

from launcher.model.logs import MAX_LINE
from tests.launcher.acceptance.project import eventually

if TYPE_CHECKING:
    from tests.launcher.acceptance.project import Project

ODD = r"""
    import asyncio
    import logging
    import os
    import sys

    OUT = sys.stdout.buffer

    def write():
        OUT.write(b"caf\xc3\xa9 \xff\xfe\n")
        OUT.write(b"nul \x00 bell \x07\n")
        OUT.write(b"\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07\n")
        OUT.write(b"10%\r50%\r100%\r\n")
        OUT.write(b"windows\r\n")
        OUT.write(bytes(range(128, 256)) + b"\n")
        OUT.write(b"x" * 100_000 + b"\n")
        OUT.write(b'{"event": "saved", "level": "error", "rows": 3, "timestamp": "t"}\n')
        OUT.write(b"\n")
        OUT.flush()
        logging.getLogger("shop").warning("sold", extra={"price": 5})
        print("no end", end="")

    async def run():
        write()
        raise SystemExit(3)

    if __name__ == "__main__":
        write()
        sys.stdout.flush()
        os.kill(os.getpid(), 9)
"""


def lines(project: Project, name: str) -> list[dict[str, Any]]:
    """Every line of a component in its file, but for those of the launcher."""
    path = project.root / ".launcher" / "logs" / f"{name}.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in found if line["stream"] != "launcher"]


def test_odd_output(project: Project, mode: str) -> None:
    """Bytes that are no text, control characters, progress bars, long lines, JSON, and a line that death cut short."""
    project.write(odd=ODD).declare(
        """
        [components.inside]
        run = "odd:run"
        restart = "never"
        [components.outside]
        command = ["python", "odd.py"]
        restart = "never"
        """
    )
    project.up("--mode", mode, "--keep-going").finished()
    for name in ("inside", "outside"):
        found = lines(project, name)
        messages = [line["message"] for line in found if line["stream"] == "stdout"]
        assert messages[:6] == [
            "caf\u00e9 \\xff\\xfe",
            "nul \0 bell \a",
            "\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\a",
            "10%\r50%\r100%",
            "windows",
            "".join(f"\\x{byte:02x}" for byte in range(128, 256)),
        ]
        assert messages[6] == "x" * MAX_LINE + f"… [cut: {100_000 - MAX_LINE} characters more]"
        assert messages[7:] == ["saved", "", "no end"]
        saved = next(line for line in found if line["message"] == "saved")
        assert (saved["level"], saved["extra"]) == ("ERROR", {"rows": 3, "timestamp": "t"})
        shown = project.run("logs", name, "-n", "all").stdout
        assert not set(shown) & {"\0", "\a", "\x1b", "\r"}
        assert "| 100%\n" in shown
        assert "ERROR saved  rows=3\n" in shown
        assert f"{name} |" in shown.splitlines()[0].replace("  ", " ")
    sold = next(line for line in lines(project, "inside") if line["message"] == "sold")
    assert (sold["level"], sold["logger"], sold["extra"]) == ("WARNING", "shop", {"price": 5})


TALKER = """
    import asyncio

    async def run():
        number = 0
        while True:
            print(f"line {number} " + "x" * 200)
            number += 1
            await asyncio.sleep(0.001)
"""


def test_a_full_disk_does_not_end_supervision(project: Project) -> None:
    """With no room for another byte in any log, components run, are restarted and stopped; the loss is said, and counted at the end."""
    project.write(talker=TALKER).declare('[components.talker]\nrun = "talker:run"\n')
    project.wrapper = ("sh", "-c", 'ulimit -f 40; exec "$@"', "-")
    launcher = project.up_and_ready("--mode", "multi", "--quiet")
    log = project.root / ".launcher" / "logs" / "talker.jsonl"
    # ulimit counts blocks of 512 or 1024 bytes, by the shell.
    eventually("the file is full", lambda: log.stat().st_size in {40 * 512, 40 * 1024})
    os.kill(project.component("talker")["pid"], signal.SIGKILL)
    eventually("another one", lambda: project.component("talker").get("incarnation") == 2)
    project.wait("talker")
    launcher.signal(signal.SIGTERM)
    code, output = launcher.finished()
    assert code == 0
    said = [line for line in output.splitlines() if "talker.jsonl" in line and "warning" in line]
    assert len(said) == 2, output
    assert "lines are lost until it works again" in said[0]
    assert "is not written; lines lost: " in said[1]


def test_logs_that_are_removed_come_again(project: Project) -> None:
    """`rm -r` of the logs of a running backend costs what it removes: the next lines are written, a follower goes on, the loss is said once."""
    project.write(talker=TALKER).declare('[components.talker]\nrun = "talker:run"\n')
    launcher = project.up_and_ready("--mode", "multi", "--quiet")
    log = project.root / ".launcher" / "logs" / "talker.jsonl"
    eventually("lines", lambda: log.exists() and log.stat().st_size > 1000)
    shutil.rmtree(log.parent)
    eventually("lines again", lambda: log.exists() and log.stat().st_size > 1000)
    assert project.component("talker")["phase"] == "ready"
    assert "line" in project.run("logs", "talker", "-n", "1").stdout
    launcher.signal(signal.SIGTERM)
    _, output = launcher.finished()
    assert output.count("talker.jsonl was removed and is made anew; lines lost: at most") == 1
