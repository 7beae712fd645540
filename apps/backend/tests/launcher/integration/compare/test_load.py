"""Requests and programs, against a real server and with real processes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from launcher.compare import load
from launcher.compare.load import CONNECTIONS, WARM_UP, ask, run_load


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: well, with 404, never to the end, or not at all."""

    protocol_version = "HTTP/1.1"
    connections: set[tuple[str, int]]

    def do_GET(self) -> None:
        type(self).connections.add(self.client_address)
        if self.path == "/mute":
            self.close_connection = True
            return
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            while True:
                self.wfile.write(b"more\n")
        self.send_response(404 if self.path == "/missing?x=1" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        return


class Server(ThreadingHTTPServer):
    """Says nothing about clients that hang up."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a server."""
    Handler.connections = set()
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_request_is_timed_on_few_connections(server: str) -> None:
    """All that count are timed, the first ones are not, and connections are kept alive."""
    answers = ask({"api": f"{server}/", "other": f"{server}/x"}, requests=20)
    assert set(answers) == {"api", "other"}
    for answer in answers.values():
        assert len(answer.milliseconds) == 20 * CONNECTIONS
        assert answer.statuses == {200: (20 + WARM_UP) * CONNECTIONS}
        assert min(answer.milliseconds) > 0
        assert answer.trouble() == ""
    assert len(Handler.connections) == 2 * CONNECTIONS


def test_answers_nobody_wants_are_told(server: str) -> None:
    """A refusal is timed and told with its status; the query is sent along."""
    answer = ask({"api": f"{server}/missing?x=1"}, requests=1)["api"]
    assert answer.trouble() == "with 404"
    assert len(answer.milliseconds) == CONNECTIONS


def test_no_answers_are_counted_and_not_timed(server: str) -> None:
    """A server that hangs up gives no times."""
    answer = ask({"api": f"{server}/mute"}, requests=1)["api"]
    assert answer.milliseconds == []
    assert answer.lost == (1 + WARM_UP) * CONNECTIONS
    assert answer.trouble() == "not at all"


def test_a_stream_without_an_end_is_left(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that goes on for ever counts as none, and asking ends with its time."""
    monkeypatch.setattr(load, "ANSWER_TIMEOUT", 0.05)
    monkeypatch.setattr(load, "LONGEST", 0.2)
    answer = ask({"api": f"{server}/endless"}, requests=1000)["api"]
    assert answer.milliseconds == []
    assert CONNECTIONS <= answer.lost < 1000


PROGRAM = "import os, sys; print(os.environ['GREETING'], os.getcwd()); sys.exit(int(sys.argv[1]))"


@pytest.mark.parametrize("code", [0, 3])
def test_a_program_runs_where_and_how_it_is_told(tmp_path: Path, code: int) -> None:
    """Its exit code and its time are kept, and what it prints is in the file."""
    output = tmp_path / "output"
    done = run_load([sys.executable, "-c", PROGRAM, str(code)], tmp_path, {"GREETING": "hello"}, output)
    assert done.code == code
    assert done.seconds > 0
    assert output.read_text().split() == ["hello", str(tmp_path)]


def test_a_program_that_goes_on_is_killed(tmp_path: Path) -> None:
    """It is killed with what it has started, and has no exit code."""
    program = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000)'])"
    )
    done = run_load([sys.executable, "-c", program], tmp_path, {}, tmp_path / "output", patience=0.3)
    assert done.code is None


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    """It is the caller's business to say so."""
    with pytest.raises(FileNotFoundError):
        run_load([str(tmp_path / "nothing")], tmp_path, {}, tmp_path / "output")
