"""The writer, and stores that fail it in every way that can be had for real."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.core.outbox import Rhythm
from launcher.model.spec import StateSpec
from launcher.model.stores import Record, Snapshot
from launcher.stores import redis as redis_store
from launcher.stores import sqlite as sqlite_store
from launcher.stores.base import StoreTrouble
from launcher.stores.choose import opened
from launcher.stores.memory import MemoryStore
from tests.launcher.integration.stores.keeping import ME, Kept, eventually, keeping
from tests.launcher.valkey import Valkey, running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that hang are given up soon; for tests to which one outage more does not matter."""
    monkeypatch.setattr(redis_store, "PATIENCE", 0.5)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.db"


def test_everything_is_written_in_order(file: Path) -> None:
    """What was put before the start and after it is in the store, with a snapshot; the end writes a last one."""
    kept = Kept(f"sqlite:///{file}")
    kept.put(3)
    kept.writer.start()
    kept.put(1200)
    kept.settle()
    assert kept.numbers() == kept.everything()
    kept.put()
    kept.writer.close()
    assert kept.numbers() == kept.everything()
    assert kept.snapshots[-1] is True
    assert not any(kept.snapshots[:-1])
    assert kept.said == []


def test_runs_follow_each_other(file: Path) -> None:
    """A later launcher begins a new run; numbers begin again, and what was before is still there."""
    with keeping(f"sqlite:///{file}") as earlier:
        earlier.put(2)
        earlier.settle()
    with keeping(f"sqlite:///{file}") as kept:
        kept.put(2)
        kept.settle()
    records = kept.records()
    assert [record.seq for record in records] == [1, 2, 1, 2]
    assert records[0].run == records[1].run < records[2].run == records[3].run


def test_a_change_without_a_transition_is_seen(file: Path) -> None:
    """A snapshot is written when somebody says that it is out of date."""
    with keeping(f"sqlite:///{file}") as kept:
        kept.writer.touch()
        eventually("a snapshot is written", lambda: kept.writer.state().reachable)
        assert kept.records() == []


class Counting(MemoryStore):
    """Counts its writes, and lets a test hold one up."""

    def __init__(self) -> None:
        super().__init__(10_000)
        self.writes = 0
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()

    def write(self, launcher: str, run: int, records: Sequence[Record], snapshot: Snapshot | None) -> None:
        self.begun.set()
        self.go.wait()
        super().write(launcher, run, records, snapshot)
        self.writes += 1


def test_a_burst_is_written_together() -> None:
    """What happens while a write is under way is written at once afterwards, however much it is."""
    store = Counting()
    store.go.clear()
    with keeping("memory://", store=store) as kept:
        kept.put()
        assert store.begun.wait(60)
        kept.put(400)
        store.go.set()
        kept.settle()
        assert store.writes == 2
        assert [record.seq for record in store.records(ME)][::-1] == kept.everything()


def test_a_store_that_hangs_holds_up_nobody() -> None:
    """While a write hangs, everything else returns, and the end comes within the time it was given."""
    store = Counting()
    store.go.clear()
    kept = Kept("memory://", store=store, limit=10)
    kept.writer.start()
    kept.put()
    assert store.begun.wait(60)
    kept.put(1000)
    kept.writer.touch()
    assert kept.writer.state().waiting == 10
    kept.writer.close(patience=0.05)
    assert kept.said == ["state store the store: 1001 transitions could not be written before the end"]
    store.go.set()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are looked at in /proc")
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_nothing_wakes_up_at_rest(kind: str, file: Path, shared_valkey: Valkey) -> None:
    """When all is written and nothing happens, the thread sleeps."""

    def wakings() -> list[str]:
        """Counted after another process has come and gone, so that there was time for some."""
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        status = Path(f"/proc/self/task/{kept.writer._thread.native_id}/status").read_text()
        return [line for line in status.splitlines() if "ctxt_switches" in line]

    with keeping(f"sqlite:///{file}" if kind == "sqlite" else shared_valkey.url, beat=3600.0) as kept:
        kept.put(3)
        kept.settle()
        before = wakings()
        assert wakings() == before


ENDLESS = """
import sys
from tests.launcher.integration.stores.keeping import Kept

kept = Kept(sys.argv[1])
kept.writer.start()
while True:
    kept.put()
    if kept.count % 50 == 0:
        kept.settle()
"""


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("enough", [1, 260, 700])
def test_a_writer_that_is_killed(kind: str, enough: int, file: Path, valkey: Valkey, tmp_path: Path) -> None:
    """``kill -9`` in the middle of writes leaves what was written whole, without a gap, and the next run goes on behind it."""
    url = f"sqlite:///{file}" if kind == "sqlite" else valkey.url
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    paths = os.pathsep.join([str(Path(__file__).parents[4]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    reader = Kept(url)
    with subprocess.Popen([sys.executable, script, url], env=environment) as process:
        try:
            eventually("some are written", lambda: len(reader.numbers()) >= enough)
        finally:
            process.kill()
    before = reader.numbers()
    assert before == list(range(1, len(before) + 1))
    reader.put(2)
    reader.writer.start()
    reader.settle()
    reader.writer.close()
    assert reader.numbers() == [*before, 1, 2]


def test_signs_of_life(file: Path) -> None:
    """With a beat, snapshots are written although nothing happens."""
    with keeping(f"sqlite:///{file}", beat=0.01) as kept:
        kept.writer.touch()
        eventually("some snapshots are written", lambda: len(kept.snapshots) > 3)


def test_a_store_that_fails_in_an_unforeseen_way() -> None:
    """Whatever a store raises, the writer goes on, and what the store said is not repeated: it may hold a password."""

    class Broken(MemoryStore):
        broken = True

        def begin(self, launcher: str, at: int) -> int:
            if self.broken:
                raise ZeroDivisionError("s3cret")
            return super().begin(launcher, at)

    store = Broken(100)
    with keeping("memory://", store=store) as kept:
        kept.put(2)
        kept.failing()
        assert kept.writer.state().reason == "it failed in an unforeseen way (ZeroDivisionError)"
        store.broken = False
        kept.settle()
        assert "s3cret" not in "".join(kept.said)


# ---- a server ------------------------------------------------------------------------------------------------------------------


def outage(kept: Kept, cause: Callable[[], object], reason: str, end: Callable[[], object]) -> None:
    """Go through one outage: it is noticed, told once with its reason, over at last, and nothing is lost."""
    kept.put(3)
    kept.settle()
    kept.said.clear()
    cause()
    kept.put(3)
    kept.failing()
    kept.put(30)
    state = kept.writer.state()
    assert reason in state.reason, state
    assert state.waiting >= 30
    end()
    kept.settle()
    assert kept.numbers() == kept.everything()
    eventually("the end of the outage is told", lambda: len(kept.said) > 1)
    assert len(kept.said) == 2, kept.said
    assert "cannot be written" in kept.said[0]
    assert reason in kept.said[0]
    assert "written again" in kept.said[1]


def test_a_server_that_is_restarted(valkey: Valkey) -> None:
    """A server that crashes and comes back with its data is caught up with."""
    valkey.kill()
    valkey._options += ["--appendonly", "yes", "--appendfsync", "always"]
    valkey.start()
    with keeping(valkey.url) as kept:
        outage(kept, valkey.kill, "refused", valkey.start)


def test_a_server_that_forgets(valkey: Valkey) -> None:
    """A server that comes back empty gets what it has not acknowledged, and what comes; the numbers tell what it has lost."""
    with keeping(valkey.url) as kept:
        kept.put(5)
        kept.settle()
        valkey.kill()
        kept.put(4)
        kept.failing()
        valkey.start()
        kept.put()
        kept.settle()
        assert kept.numbers() == [6, 7, 8, 9, 10]


def test_a_server_that_is_not_there_yet(valkey: Valkey) -> None:
    """A launcher may start before its store."""
    valkey.kill()
    with keeping(valkey.url) as kept:
        kept.put(7)
        kept.failing()
        valkey.start()
        kept.settle()
        assert kept.numbers() == kept.everything()


def test_a_server_that_hangs(valkey: Valkey) -> None:
    """A stopped server loses nothing and gets nothing twice, although it reads what was sent to it before and after."""
    with keeping(valkey.url) as kept:
        outage(kept, valkey.freeze, "no answer", valkey.thaw)


def test_a_server_that_hangs_while_too_much_happens(valkey: Valkey) -> None:
    """What did not fit is one gap at its place; writes that were under way arrive late, and disturb nothing."""
    with keeping(valkey.url, limit=10) as kept:
        kept.put(3)
        kept.settle()
        valkey.freeze()
        kept.put(5)
        kept.failing()
        kept.put(20)
        first = kept.writer.state()
        assert (first.waiting, first.lost) == (10, 15)
        kept.put(20)
        valkey.thaw()
        kept.settle()
        covered = [
            number
            for each in kept.numbers()
            for number in (range(each[0], each[1] + 1) if isinstance(each, tuple) else (each,))
        ]
        assert covered == kept.everything()
        assert sum(isinstance(each, tuple) for each in kept.numbers()) == 1
        eventually("the loss is told", lambda: "could not be kept" in kept.said[-1])


def test_a_server_that_is_full(valkey: Valkey) -> None:
    """A server without memory refuses whole writes; when it has memory again, nothing is missing."""
    with valkey.client() as admin, keeping(valkey.url) as kept:
        outage(
            kept,
            lambda: admin.config_set("maxmemory", "1"),
            "its memory is full",
            lambda: admin.config_set("maxmemory", "0"),
        )


def test_a_server_that_becomes_a_replica(valkey: Valkey) -> None:
    """A server that takes no writes is an outage like any other."""
    with valkey.client() as admin, keeping(valkey.url) as kept:
        outage(
            kept,
            lambda: admin.replicaof("127.0.0.1", 1),
            "replica",
            lambda: admin.replicaof("NO", "ONE"),
        )


def test_a_key_that_somebody_else_uses(valkey: Valkey) -> None:
    """What is in the way is named; once it is gone, all goes on."""
    with valkey.client() as admin, keeping(valkey.url) as kept:
        admin.set(f"launcher:{ME}:transitions", "mine")
        kept.put(2)
        kept.failing()
        assert "used for something else" in kept.writer.state().reason
        admin.delete(f"launcher:{ME}:transitions")
        kept.settle()
        assert kept.numbers() == kept.everything()


SECRETS = st.text(st.characters(codec="utf-8"), max_size=30).map(lambda text: f"Zq{text}qZ")


@given(secret=SECRETS, there=st.booleans())
@settings(max_examples=50)
def test_no_password_is_told(shared_valkey: Valkey, secret: str, there: bool) -> None:
    """Whatever password is refused, or cannot even be sent: no message, hint or traceback holds it, plain or escaped."""
    port = shared_valkey.port if there else 1
    store = opened(StateSpec(url=f"redis://:{quote(secret, safe='')}@127.0.0.1:{port}/0"))
    try:
        for attempt in (lambda: store.begin(ME, 1), store.snapshots, lambda: list(store.records(ME))):
            with pytest.raises(StoreTrouble) as told:
                attempt()
            shown = "".join(traceback.format_exception(told.value))
            assert "Zq" not in f"{shown}{told.value.hint}{told.value!r}"
    finally:
        store.close()


@pytest.mark.parametrize("password", ["", "wr0ng-s3cret"])
def test_a_wrong_password(tmp_path: Path, password: str) -> None:
    """A server that refuses the password is said to do so, and neither password is shown; the right one helps."""
    with running(tmp_path, password="r1ght-s3cret") as server:
        server.password = password
        with keeping(server.url) as kept:
            kept.put(2)
            kept.failing()
            state = kept.writer.state()
            assert "password" in state.reason
            shown = f"{state} {kept.said}"
            assert "s3cret" not in shown
            server.password = "r1ght-s3cret"
            with server.client() as admin:
                admin.config_set("requirepass", password)
            server.password = password
            kept.settle()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("127.0.0.1", "no-such-host.invalid"), "cannot be resolved"),
        (("/0", "/0?nonsense=s3cret"), "parameter that is not understood"),
        (("/0", "/0?socket_timeout=s3cret"), "parameter that is not understood"),
        (("/0", "/99"), "no database of this number"),
    ],
    ids=str,
)
def test_urls_that_lead_nowhere(shared_valkey: Valkey, change: tuple[str, str], reason: str) -> None:
    """What only a try can tell is told in words, without anything of the URL."""
    with keeping(shared_valkey.url.replace(*change)) as kept:
        kept.put()
        kept.failing()
        state = kept.writer.state()
        assert reason in state.reason
        assert "s3cret" not in f"{state}{kept.said}"


@pytest.mark.parametrize(
    ("scheme", "answer", "reason"),
    [
        ("rediss", b"-ERR no TLS here\r\n", "no connection with TLS"),
        ("redis", b"HTTP/1.1 400 Bad Request\r\n\r\n", "not understood"),
        ("redis", b"", "the connection was closed"),
        ("redis", b"-LOADING s3cret\r\n" * 3, "loading its data"),
        (
            "redis",
            b"-ERR unknown command 'AUTH', with args beginning with: 's3cret'\r\n" * 9,
            "it refuses what is asked",
        ),
    ],
)
def test_servers_that_are_no_servers(scheme: str, answer: bytes, reason: str) -> None:
    """Whoever else listens on the port: it is said in words of our own, not with what was answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    with client:
                        client.recv(65536)
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        with keeping(f"{scheme}://:s3cret@127.0.0.1:{port}/0") as kept:
            kept.put()
            kept.failing()
            state = kept.writer.state()
            assert reason in state.reason
            assert "s3cret" not in f"{state}{kept.said}"
        listening.shutdown(socket.SHUT_RDWR)


def test_a_server_that_comes_back_just_before_the_end(valkey: Valkey) -> None:
    """At the end it is tried at once, however long the next try would have been away."""
    valkey.kill()
    with keeping(valkey.url) as kept:
        kept.put(3)
        kept.failing()
        kept.writer._rhythm = Rhythm(ME, failures=60, tried_at=time.monotonic())
        valkey.start()
        kept.writer.close(patience=60.0)
        assert kept.numbers() == kept.everything()


def acl(server: Valkey, *rules: str) -> str:
    """Make a user with these rights; return its URL."""
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "news", "reset", "on", ">s3cret", *rules)
    return server.url.replace("redis://", "redis://news:s3cret@")


def test_the_rights_that_are_needed(valkey: Valkey) -> None:
    """A user with the rights that the guide names can do everything; with fewer it is said what is missing."""
    few = acl(valkey, "~launcher:*", "+@read", "+@connection", "+@transaction")
    with keeping(few) as kept:
        kept.put(3)
        kept.failing()
        assert "may not do" in kept.writer.state().reason
        assert "s3cret" not in str(kept.writer.state())
        acl(valkey, "~launcher:*", "+@read", "+@write", "+@transaction", "+@connection")
        kept.settle()
        assert kept.numbers() == kept.everything()
        store = opened(kept.spec)
        assert len(store.snapshots()) == 1
        store.close()


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_fails_again_and_again(valkey: Valkey, seed: int) -> None:
    """Killed and frozen at any moment, ever again: all that happened is there once and in order, or is told as a gap."""
    valkey.kill()
    valkey._options += ["--appendonly", "yes", "--appendfsync", "always"]
    valkey.start()
    chance = random.Random(seed)
    with keeping(valkey.url, limit=30) as kept:
        for _ in range(6):
            kept.put(chance.randrange(40))
            how = chance.choice([(valkey.kill, valkey.start), (valkey.freeze, valkey.thaw)])
            how[0]()
            kept.put(chance.randrange(1, 60))
            if chance.random() < 0.7:
                kept.failing()
            kept.put(chance.randrange(40))
            how[1]()
            if chance.random() < 0.5:
                kept.settle()
        kept.settle()
        covered = [
            number
            for each in kept.numbers()
            for number in (range(each[0], each[1] + 1) if isinstance(each, tuple) else (each,))
        ]
        assert covered == kept.everything()


def test_a_server_forgets_launchers_of_which_nothing_is_left(shared_valkey: Valkey) -> None:
    """What has expired leaves no trace once another launcher begins; who still has a history is not touched."""
    with shared_valkey.client() as admin:
        admin.flushall()
        store = opened(StateSpec(url=shared_valkey.url))
        store.write("gone", 1, [], Snapshot({}, 0.001))
        store.write("there", 1, [Record(1, {})], Snapshot({}, 0.001))
        eventually("the snapshots expire", lambda: not store.snapshots())
        store.begin(ME, 1)
        store.close()
        assert admin.smembers(redis_store.KNOWN) == {b"there"}


def test_two_writers_that_are_taken_for_one(valkey: Valkey) -> None:
    """Launchers with the same name and directory, as in cloned containers, both keep all that happens to them."""
    with keeping(valkey.url) as one, keeping(valkey.url) as other:
        for _ in range(5):
            one.put(2)
            one.settle()
            other.put(3)
            other.settle()
        numbers = [record.body["number"] for record in one.records()]
        assert sorted(numbers) == sorted([*one.everything(), *other.everything()])
        assert one.said == other.said == []


# ---- a file --------------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_locked(file: Path) -> None:
    """Another process may hold the file for as long as it likes."""
    with keeping(f"sqlite:///{file}") as kept:
        kept.put()
        kept.settle()
        other = sqlite3.connect(file, isolation_level=None)
        outage(kept, lambda: other.execute("BEGIN IMMEDIATE"), "locked", lambda: other.execute("COMMIT"))
        other.close()


def test_a_file_that_is_broken(file: Path) -> None:
    """A file that is none of SQLite's is left alone and named; when it is moved away, another one is made."""
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)
    with keeping(f"sqlite:///{file}") as kept:
        kept.put(4)
        kept.failing()
        state = kept.writer.state()
        assert (state.reason, state.hint) == (
            "file is not a database",
            "it is no SQLite file: name another one, or move it away",
        )
        assert file.read_bytes() == b"no database" * 1000
        file.rename(file.with_name("broken"))
        kept.settle()
        assert kept.numbers() == kept.everything()


def test_a_file_that_becomes_broken(file: Path) -> None:
    """A file that is damaged while it is written is noticed, and one that takes its place is used."""
    with keeping(f"sqlite:///{file}") as kept:
        kept.put(4)
        kept.settle()
        for each in file.parent.iterdir():
            each.unlink()
        file.write_bytes(b"damaged" * 1000)
        kept.put(3)
        kept.failing()
        file.unlink()
        kept.settle()
        assert kept.numbers() == [5, 6, 7]


def test_a_file_that_is_taken_away(file: Path) -> None:
    """What follows is written into a new file, not into one that has no name any more."""
    with keeping(f"sqlite:///{file}") as kept:
        kept.put(2)
        kept.settle()
        for each in file.parent.iterdir():
            each.unlink()
        kept.put(2)
        kept.settle()
        assert kept.numbers() == [3, 4]
        assert kept.said == []


def test_a_file_in_a_place_that_cannot_be(tmp_path: Path) -> None:
    """A directory that cannot be made is an outage, with what to do about it."""
    (tmp_path / "state").write_text("a file")
    with keeping(f"sqlite:///{tmp_path / 'state' / 'state.db'}") as kept:
        kept.put()
        kept.failing()
        assert "directory" in kept.writer.state().hint
        (tmp_path / "state").unlink()
        kept.settle()


def test_a_file_of_a_later_version(file: Path) -> None:
    """A file that a later launcher has written is not touched."""
    with keeping(f"sqlite:///{file}") as kept:
        kept.put()
        kept.settle()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with keeping(f"sqlite:///{file}") as kept:
        kept.put()
        kept.failing()
        assert "later version" in kept.writer.state().reason


def test_only_its_owner_may_read_the_file(file: Path) -> None:
    """What is kept of a backend is nobody else's business."""
    with keeping(f"sqlite:///{file}") as kept:
        kept.put()
        kept.settle()
        assert {each.stat().st_mode & 0o077 for each in file.parent.iterdir()} == {0}


def test_old_launchers_are_forgotten(file: Path) -> None:
    """A launcher that has not written for long is forgotten when another one begins, with all that it wrote."""
    now = time.time()
    old = sqlite_store.SqliteStore(file, 100, 60.0, lambda: now - 120)
    old.write("old", 1, [Record(1, {})], None)
    old.close()
    new = sqlite_store.SqliteStore(file, 100, 60.0, lambda: now)
    assert [record.seq for record in new.records("old")] == [1]
    new.begin(ME, 2)
    assert list(new.records("old")) == []
    new.close()
