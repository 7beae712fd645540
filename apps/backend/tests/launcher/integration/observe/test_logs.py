"""Log files on a real file system: rotation, threads, and everything that can go wrong with a disk."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.errors import RunDirectoryError
from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import LogStore, decode, encode, file_name


def line(message: str, component: str = "api", time: float = 1.5) -> LogLine:
    return LogLine(time, component, Stream.STDOUT, message, 1)


def messages(path: Path) -> list[str]:
    return [json.loads(text)["message"] for text in path.read_text().splitlines()]


words = st.text(st.characters(categories=["L"]), max_size=10)
lines = st.builds(
    LogLine,
    time=st.floats(0, 4e9).map(lambda value: round(value, 3)),
    component=st.text(max_size=10),
    stream=st.sampled_from(Stream),
    message=st.text(max_size=60),
    incarnation=st.integers(0, 1000),
    level=st.sampled_from(["", "INFO", "ERROR"]),
    logger=words,
    extra=st.dictionaries(words, st.integers() | st.text(max_size=5), max_size=3),
)


@given(lines)
def test_every_line_survives(written: LogLine) -> None:
    """What is written is read back, whatever characters it holds, and is one line of JSON."""
    data = encode(written)
    assert data.count(b"\n") == 1
    assert decode(data) == written


def test_bytes_that_are_not_text_survive() -> None:
    """What the reader of a pipe could not decode is kept as it was, in a file that is valid UTF-8."""
    message = b"caf\xe9 \xff".decode("utf-8", "surrogateescape")
    data = encode(line(message))
    assert data.decode("utf-8")
    decoded = decode(data)
    assert decoded is not None
    assert decoded.message.encode("utf-8", "surrogateescape") == b"caf\xe9 \xff"


def test_what_json_does_not_know_becomes_text() -> None:
    """A log record may carry anything, even what cannot be shown."""

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    loop: list[object] = []
    loop.append(loop)
    extra = {"path": Path("/x"), "nan": float("nan"), "rude": Rude(), "loop": loop, "fine": [1, None]}
    data = encode(LogLine(0, "api", Stream.LOG, "m", extra=extra))
    assert json.loads(data)["extra"] == {
        "path": "/x",
        "nan": "nan",
        "rude": "<Rude that cannot be shown>",
        "loop": "[[...]]",
        "fine": [1, None],
    }


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"time": 1}', '{"time": "x", "component": "a"}', '{"extra": 3}', "[" * 5000],
)
def test_torn_and_foreign_lines_are_no_lines(text: str) -> None:
    """A reader skips them."""
    assert decode(text) is None


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("agents.writer", "agents.writer.jsonl"),
        ("", "launcher.jsonl"),
        ("../x", "_._x.jsonl"),
        ("a/b", "a_b.jsonl"),
        (".x", "_x.jsonl"),
    ],
)
def test_a_name_never_leaves_the_directory(component: str, name: str) -> None:
    """Whatever a component is called, its file is one file of the log directory."""
    assert file_name(component) == name


def test_lines_are_there_at_once(tmp_path: Path) -> None:
    """A written line needs no flush; lines of nobody have a file as well; nobody else may read."""
    store = LogStore(tmp_path / "a" / "logs")
    store.write(line("one"))
    store.write(line("nobody's", component=""))
    assert messages(tmp_path / "a" / "logs" / "api.jsonl") == ["one"]
    assert messages(tmp_path / "a" / "logs" / "launcher.jsonl") == ["nobody's"]
    assert (tmp_path / "a" / "logs").stat().st_mode & 0o077 == 0
    assert (tmp_path / "a" / "logs" / "api.jsonl").stat().st_mode & 0o077 == 0
    store.close()


def test_rotation_keeps_the_order_and_the_limit(tmp_path: Path) -> None:
    """Files are bounded in size and number, and together hold the last lines without a gap."""
    store = LogStore(tmp_path, max_bytes=1000, backups=2)
    for number in range(100):
        store.write(line(f"{number:03}"))
    store.close()
    files = [tmp_path / "api.jsonl.2", tmp_path / "api.jsonl.1", tmp_path / "api.jsonl"]
    kept = [message for path in files for message in messages(path)]
    assert kept == [f"{number:03}" for number in range(100)][-len(kept) :]
    assert len(kept) >= 20
    assert all(path.stat().st_size <= 1000 for path in files)
    assert not (tmp_path / "api.jsonl.3").exists()


def test_a_restarted_launcher_appends(tmp_path: Path) -> None:
    """Old lines stay, and count for the rotation."""
    for number in range(10):
        store = LogStore(tmp_path, max_bytes=500, backups=1)
        store.write(line(f"{number}"))
        store.close()
    assert (tmp_path / "api.jsonl.1").exists()
    assert messages(tmp_path / "api.jsonl")[-1] == "9"


def test_without_backups_only_the_current_file_is_kept(tmp_path: Path) -> None:
    """Backups = 0 begins anew when the file is full."""
    store = LogStore(tmp_path, max_bytes=300, backups=0)
    for number in range(20):
        store.write(line(f"{number}"))
    store.close()
    assert [path.name for path in tmp_path.glob("api*")] == ["api.jsonl"]
    assert messages(tmp_path / "api.jsonl")[-1] == "19"


def test_many_threads_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Each thread's lines are whole and in its order, through rotations."""
    store = LogStore(tmp_path, max_bytes=20_000, backups=50)

    def work(name: str) -> None:
        for number in range(300):
            store.write(line(f"{name}-{number}", component="api" if number % 2 else "worker"))

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    for component, odd in (("api", 1), ("worker", 0)):
        found = [message for path in tmp_path.glob(f"{component}.jsonl*") for message in messages(path)]
        assert sorted(found) == sorted(f"t{t}-{n}" for t in range(6) for n in range(300) if n % 2 == odd)
    assert store.lost == 0


def test_a_removed_file_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines do not vanish into a file that somebody has deleted."""
    monkeypatch.setattr("launcher.observe.logs.RECHECK", 0.0)
    store = LogStore(tmp_path)
    store.write(line("before"))
    (tmp_path / "api.jsonl").unlink()
    store.write(line("after"))
    store.close()
    assert messages(tmp_path / "api.jsonl") == ["after"]


def test_what_is_lost_with_a_removed_directory_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody removes the whole directory: it is made anew, and what was written to nowhere meanwhile is counted and said once."""
    said: list[str] = []
    store = LogStore(tmp_path / "logs", on_trouble=said.append)
    for number in range(3):
        store.write(line(f"lost {number}"))
    shutil.rmtree(tmp_path / "logs")
    store.write(line("lost too"))
    monkeypatch.setattr("launcher.observe.logs.RECHECK", 0.0)
    store.write(line("kept"))
    store.write(line("kept too"))
    store.close()
    assert messages(tmp_path / "logs" / "api.jsonl") == ["kept", "kept too"]
    assert store.lost == 4
    assert said == [f"{tmp_path}/logs/api.jsonl was removed and is made anew; lines lost: at most 4"]


def test_a_file_that_is_moved_away_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign program that rotates by renaming has every line in one of the two files, and nothing is said."""
    said: list[str] = []
    store = LogStore(tmp_path, on_trouble=said.append)
    store.write(line("one"))
    (tmp_path / "api.jsonl").rename(tmp_path / "moved")
    store.write(line("two"))
    monkeypatch.setattr("launcher.observe.logs.RECHECK", 0.0)
    store.write(line("three"))
    store.close()
    assert messages(tmp_path / "moved") == ["one", "two"]
    assert messages(tmp_path / "api.jsonl") == ["three"]
    assert (store.lost, said) == (0, [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_outage_that_does_not_end_is_counted_at_the_end(tmp_path: Path) -> None:
    """A disk that stays full is said when it begins and, with the number of lines, when the launcher ends."""
    said: list[str] = []
    (tmp_path / "api.jsonl").symlink_to("/dev/full")
    store = LogStore(tmp_path, on_trouble=said.append)
    for _ in range(3):
        store.write(line("lost"))
    store.close()
    assert len(said) == 2
    assert said[1] == f"{tmp_path}/api.jsonl is not written; lines lost: 3"
    assert store.lost == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_finaliser_may_write_while_a_line_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the collector collects in the middle of a write may print: nothing waits for itself, and both lines are there."""
    store = LogStore(tmp_path)

    class Last:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            store.write(line("finalised"))

    def collecting(descriptor: int) -> os.stat_result:
        gc.collect()
        return fstat(descriptor)

    fstat = os.fstat
    monkeypatch.setattr(os, "fstat", collecting)
    Last()
    thread = threading.Thread(target=store.write, args=(line("written"),), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    store.close()
    assert messages(tmp_path / "api.jsonl") == ["finalised", "written"]


def test_a_full_disk_is_said_once_counted_and_retried(tmp_path: Path) -> None:
    """No exception, one message for the outage, one for its end, and the lines in between are counted."""
    said: list[str] = []
    (tmp_path / "api.jsonl").symlink_to("/dev/full")
    store = LogStore(tmp_path, on_trouble=said.append)
    for _ in range(3):
        store.write(line("lost"))
    assert store.lost == 3
    assert len(said) == 1
    assert "No space left on device" in said[0]
    store._files["api.jsonl"]._release()
    (tmp_path / "api.jsonl").unlink()
    store.write(line("kept"))
    store.close()
    assert messages(tmp_path / "api.jsonl") == ["kept"]
    assert len(said) == 2
    assert "lines lost: 3" in said[1]


def test_a_line_that_was_cut_by_a_full_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    """With a limit on the size of files the kernel takes a part of a line; the file stays readable."""
    program = """
import resource, sys
from launcher.model.logs import LogLine, Stream
from launcher.observe.logs import LogStore
said = []
store = LogStore(sys.argv[1], on_trouble=said.append)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
for number in range(30):
    store.write(LogLine(0, "api", Stream.STDOUT, f"{number}"))
lost = store.lost
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
store.write(LogLine(0, "api", Stream.STDOUT, "last"))
print(lost, len(said))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    lost, said = map(int, ended.stdout.split())
    texts = (tmp_path / "api.jsonl").read_text().splitlines()
    whole = [decoded.message for text in texts if (decoded := decode(text))]
    assert whole == [*(str(number) for number in range(30 - lost)), "last"]
    assert len(texts) - len(whole) <= 1
    assert said == 2


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """It is refused at once, with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError) as caught:
        LogStore(tmp_path / "file" / "logs")
    assert "launcher.log_dir" in caught.value.hint


def test_trouble_with_the_listener_is_no_trouble(tmp_path: Path) -> None:
    """A callback that raises does not reach whoever writes; nothing is written after the end."""

    def rude(_text: str) -> None:
        raise RuntimeError

    (tmp_path / "api.jsonl").mkdir()
    store = LogStore(tmp_path, on_trouble=rude)
    store.write(line("x"))
    assert store.lost == 1
    store.close()
    store.write(line("late", component="other"))
    assert not (tmp_path / "other.jsonl").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=40), st.integers(1, 2000))
def test_no_line_is_lost_by_rotation(tmp_path: Path, sizes: list[int], limit: int) -> None:
    """Whatever the sizes of lines and files, with enough backups every line is kept once."""
    directory = tmp_path / os.urandom(8).hex()
    store = LogStore(directory, max_bytes=limit, backups=50)
    for number, size in enumerate(sizes):
        store.write(line(f"{number}:" + "x" * size))
    store.close()
    found = [message for path in directory.glob("api.jsonl*") for message in messages(path)]
    assert sorted(int(message.partition(":")[0]) for message in found) == list(range(len(sizes)))
