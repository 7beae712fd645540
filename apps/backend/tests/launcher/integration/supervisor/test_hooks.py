"""Hooks are told by real commands and real servers, of which some are slow, broken or gone."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from launcher.model.events import Transition
from launcher.model.spec import HookSpec, LauncherSpec
from launcher.model.state import Desired, Phase
from launcher.supervisor import hooks as module
from launcher.supervisor.deliver import Invocation, Post, RunCommand
from launcher.supervisor.hooks import WAITING, Hooks
from launcher.supervisor.journal import Entry
from tests.launcher.integration.hosts.driver import alive, eventually

PATIENCE = 60.0


class Server:
    """A real HTTP server that answers with the next of its statuses, the last one again and again."""

    def __init__(self, *statuses: int, hold: threading.Event | None = None) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        left = list(statuses)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.headers.append(dict(self.headers))
                server.got.append(json.loads(body))
                if hold is not None:
                    hold.wait(PATIENCE)
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/t0k3n"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(*statuses: int, hold: threading.Event | None = None) -> Iterator[Server]:
    server = Server(*statuses, hold=hold)
    try:
        yield server
    finally:
        if hold is not None:
            hold.set()
        server.close()


@contextmanager
def silent() -> Iterator[str]:
    """An address that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextmanager
def dripping() -> Iterator[str]:
    """A server that sends one byte of its answer now and then, so that no single wait is long."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not over.wait(0.02):
                    try:
                        connection.send(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        over.set()
        thread.join()


def refused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def entry(seq: int, component: str = "api", after: Phase = Phase.FAILED) -> Entry:
    reason = "see postgresql://app:s3cret@db/news"
    return Entry(seq, 1.7e9, Transition(component, 1, Phase.READY, after, Desired.UP, "Exited", 1.0, reason))


class Told:
    """What the launcher's log is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, message: str, level: str) -> None:
        self.lines.append((message, level))


def hooks(tmp_path: Path, told: Told, **given: Any) -> Hooks:
    hook = HookSpec("oncall", frozenset({Phase.FAILED}), **given)
    return Hooks(LauncherSpec("news", str(tmp_path), (), hooks=(hook,), environment={"OF_ALL": "1"}), told)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between attempts."""
    monkeypatch.setattr(module, "pause", lambda _number: 0.0)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


# ---- one attempt ------------------------------------------------------------------------------------------------------------


def ran(code: str, tmp_path: Path, timeout: float = PATIENCE) -> Any:
    invocation = Invocation(python(code), dict(os.environ), str(tmp_path))
    return RunCommand(invocation, b'{"a": 1}').make(timeout)


def test_a_command_gets_the_document(tmp_path: Path) -> None:
    """It is on standard input, to its end, in the directory of the project."""
    assert ran("import json, sys; open('got', 'w').write(str(json.load(sys.stdin)['a']))", tmp_path) is None
    assert (tmp_path / "got").read_text() == "1"


def test_a_command_that_reads_nothing_and_writes_much(tmp_path: Path) -> None:
    """Neither an unread document nor endless output keeps it from ending."""
    assert ran("print('x' * 1_000_000)", tmp_path) is None


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    """The status and what it said last are the reason."""
    trouble = ran(
        "import sys; print('first', flush=True); print('no such user', file=sys.stderr); sys.exit(3)",
        tmp_path,
    )
    assert trouble.reason == "exited with 3: no such user"
    assert ran("import os; os.kill(os.getpid(), 9)", tmp_path).reason == "ended by SIGKILL"


def test_a_command_that_hangs_is_killed_with_its_group(tmp_path: Path) -> None:
    """Its time over, neither it nor what it has started lives on."""
    code = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
open("pids.new", "w").write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
time.sleep(1000)
"""
    attempt = RunCommand(Invocation(python(code), dict(os.environ), str(tmp_path)), b"")
    troubles: list[Any] = []
    thread = threading.Thread(target=lambda: troubles.append(attempt.make(1000)))
    thread.start()
    eventually((tmp_path / "pids").exists, "its process numbers")
    attempt.cancel()
    thread.join(PATIENCE)
    assert troubles[0].reason == "ended by SIGKILL"
    pids = [int(text) for text in (tmp_path / "pids").read_text().split()]
    eventually(lambda: not any(map(alive, pids)), "the end of both")
    assert ran("import time; time.sleep(1000)", tmp_path, timeout=0.2).reason == "did not end within 0.2 s"


def test_a_command_that_leaves_a_child_behind_is_not_waited_for(tmp_path: Path) -> None:
    """A child that holds the output open neither blocks us nor outlives the command."""
    code = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
open("pid", "w").write(str(child.pid))
"""
    assert ran(code, tmp_path) is None
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not alive(pid), "the end of the child")


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    """It is told as the system tells it."""
    trouble = RunCommand(Invocation(["./missing"], {}, str(tmp_path)), b"").make(1)
    assert trouble is not None
    assert trouble.reason == "./missing cannot be started: No such file or directory"


@pytest.mark.parametrize(
    ("status", "again"),
    [(200, None), (204, None), (500, True), (503, True), (429, True), (404, False), (302, False)],
)
def test_answers(status: int, again: bool | None) -> None:
    """2xx is success; another attempt makes sense after 5xx and after "too often", not after other refusals or redirects."""
    with serving(status) as server:
        trouble = Post(server.url, b'{"a": 1}').make(PATIENCE)
        assert (trouble and trouble.again) is again
        assert server.got == [{"a": 1}]
        assert server.headers[0]["Content-Type"] == "application/json"


def test_a_password_is_sent_as_authentication() -> None:
    """User and password of the address are not part of the request line."""
    with serving(200) as server:
        assert Post(server.url.replace("127", "us%40er:pass@127", 1), b"{}").make(PATIENCE) is None
        assert server.headers[0]["Authorization"] == "Basic dXNAZXI6cGFzcw=="
        assert server.headers[0]["Host"].startswith("127.0.0.1:")


@pytest.mark.parametrize("server", [silent, dripping])
def test_a_server_that_does_not_answer_is_given_up(server: Callable[[], Any]) -> None:
    """Time is over when it is over, whether nothing comes or a byte now and then."""
    with server() as url:
        trouble = Post(url, b"{}").make(0.3)
        assert trouble is not None
        assert trouble.reason == "did not answer within 0.3 s"
        assert trouble.again


def test_nobody_listens() -> None:
    """A refused connection is told as such."""
    trouble = Post(refused(), b"{}").make(PATIENCE)
    assert trouble is not None
    assert trouble.reason == "Connection refused"


def test_an_attempt_can_be_cancelled_before_it_is_made(tmp_path: Path) -> None:
    """Whoever ends it too early ends it all the same."""
    command = RunCommand(
        Invocation(python("import time; time.sleep(1000)"), dict(os.environ), str(tmp_path)), b""
    )
    command.cancel()
    assert command.make(PATIENCE) is not None
    with silent() as url:
        post = Post(url, b"{}")
        post.cancel()
        assert post.make(PATIENCE) is not None


# ---- many -------------------------------------------------------------------------------------------------------------------


def test_a_command_is_told_of_what_it_asked_for(tmp_path: Path, told: Told) -> None:
    """In order, with a few variables and those of all components, without passwords; of other phases it is not told."""
    code = """
import json, os, sys
document = json.load(sys.stdin)
own = [os.environ[name] for name in ("LAUNCHER_HOOK", "LAUNCHER_COMPONENT", "LAUNCHER_PHASE", "LAUNCHER_REASON", "OF_ALL")]
with open("told", "a") as file:
    file.write(f"{document['seq']} {document['text']} {own}\\n")
"""
    some = hooks(tmp_path, told, command=python(code))
    for seq, phase in enumerate((Phase.FAILED, Phase.READY, Phase.FAILED), 1):
        some.on_entry(entry(seq, after=phase))
    some.close(PATIENCE)
    reason = "see postgresql://app:***@db/news"
    own = ["oncall", "api", "failed", reason, "1"]
    assert (tmp_path / "told").read_text().splitlines() == [
        f"{seq} news: api is failed: {reason} {own}" for seq in (1, 3)
    ]
    assert told.lines == []


@pytest.mark.usefixtures("fast")
def test_another_attempt_is_made(tmp_path: Path, told: Told) -> None:
    """A server that is down for a moment costs no notification, and is no news."""
    with serving(500, 503, 200) as server:
        some = hooks(tmp_path, told, url=server.url)
        some.on_entry(entry(1))
        eventually(lambda: len(server.got) == 3, "three attempts")
        some.close(PATIENCE)
        assert [document["seq"] for document in server.got] == [1, 1, 1]
    assert told.lines == []


@pytest.mark.usefixtures("fast")
def test_an_outage_is_said_once(tmp_path: Path, told: Told) -> None:
    """However many notifications fail, the log is told once, without the secret in the address, and once when it works again."""
    with serving(*[500] * 6, 200) as server:
        some = hooks(tmp_path, told, url=server.url, attempts=2)
        for seq in range(1, 5):
            some.on_entry(entry(seq))
        eventually(lambda: len(server.got) == 7, "all attempts")
        some.close(PATIENCE)
        assert [document["seq"] for document in server.got] == [1, 1, 2, 2, 3, 3, 4]
    (failed, warning), (works, info) = told.lines
    assert (warning, info) == ("WARNING", "INFO")
    assert failed.startswith("hook oncall (http://127.0.0.1:")
    assert "answered 500" in failed
    assert "t0k3n" not in failed
    assert works == "hook oncall works again; notifications lost: 3"


@pytest.mark.usefixtures("fast")
def test_a_refusal_is_not_repeated(tmp_path: Path, told: Told) -> None:
    """What a server will never take is offered once."""
    with serving(404) as server:
        some = hooks(tmp_path, told, url=server.url, attempts=5)
        some.on_entry(entry(1))
        eventually(lambda: told.lines, "the failure")
        some.close(PATIENCE)
        assert len(server.got) == 1


def test_a_slow_hook_is_waited_for_by_nobody(tmp_path: Path, told: Told) -> None:
    """While it takes its time, notifications wait within a bound; the oldest are dropped, which is said once, and counted."""
    hold = threading.Event()
    with serving(200, hold=hold) as server:
        some = hooks(tmp_path, told, url=server.url, timeout=1000)
        some.on_entry(entry(0))
        eventually(lambda: server.got, "the first")
        for seq in range(1, 3 * WAITING + 1):
            some.on_entry(entry(seq))
        (said,) = told.lines
        assert f"{WAITING} notifications wait" in said[0]
        hold.set()
        eventually(lambda: len(told.lines) == 2, "the end of the backlog")
        some.close(PATIENCE)
        kept = [document["seq"] for document in server.got]
        assert kept == [0, *range(2 * WAITING + 1, 3 * WAITING + 1)]
    assert told.lines[1][0] == f"hook oncall works again; notifications lost: {2 * WAITING}"


def test_the_end_is_bounded(tmp_path: Path, told: Told) -> None:
    """What cannot be told by the end is given up, with its number, and its process is killed."""
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(1000)"
    some = hooks(tmp_path, told, command=python(code), timeout=1000)
    for seq in range(3):
        some.on_entry(entry(seq))
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "its process")
    began = time.monotonic()
    some.close(0.2)
    assert time.monotonic() - began < PATIENCE
    assert told.lines == [("hook oncall was not told in time; notifications lost at the end: 3", "WARNING")]
    eventually(lambda: not alive(int((tmp_path / "pid").read_text())), "its end")
    some.on_entry(entry(4))
    assert len(told.lines) == 1


def test_the_end_makes_no_second_attempt(tmp_path: Path, told: Told) -> None:
    """At the end everything that waits is tried once, and no pause is waited for."""
    with serving(500) as server:
        some = hooks(tmp_path, told, url=server.url, attempts=10)
        some.on_entry(entry(1))
        eventually(lambda: server.got, "the first attempt")
        some.on_entry(entry(2))
        some.close(PATIENCE)
        assert [document["seq"] for document in server.got][-1] == 2
        assert len(server.got) <= 4
    assert len(told.lines) == 1


def test_without_hooks_there_is_nothing(tmp_path: Path, told: Told) -> None:
    """A backend without hooks, and a hook that is never told, have no thread."""
    threads = threading.active_count()
    none = Hooks(LauncherSpec("news", str(tmp_path), ()), told)
    quiet = hooks(tmp_path, told, url="http://127.0.0.1:9/")
    for some in (none, quiet):
        some.on_entry(entry(1, after=Phase.READY))
        assert threading.active_count() == threads
        some.close()
