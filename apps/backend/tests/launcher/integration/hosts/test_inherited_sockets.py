"""Commands that inherit their listening socket, as programs see it that know systemd's protocol."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import replace

import pytest

from launcher.hosts import exec_with_sockets
from launcher.hosts.command import CommandHost
from launcher.model.events import BecameReady, BecameUnready
from launcher.model.spec import Bind, ComponentSpec, Kind, Probe, ProbeKind
from tests.launcher.integration.hosts.driver import (
    Driver,
    Project,
    Scenario,
    Seen,
    _drive_on_thread,
    listening,
    python,
)

TOLD = """
    import json, os, socket
    given = [socket.socket(fileno=3 + n) for n in range(int(os.environ["LISTEN_FDS"]))]
    print(json.dumps({
        **{name: os.environ.get(name) for name in ("LISTEN_FDS", "LISTEN_FDNAMES", "PORT")},
        "for us": os.environ["LISTEN_PID"] == str(os.getpid()),
        "ports": [each.getsockname()[1] for each in given],
        "open": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],  # the last one is that of the listing
        "blocking": os.get_blocking(3),
        "leads": os.getsid(0) == os.getpid(),
        "name": open("/proc/self/cmdline").read().split(chr(0))[1:3],
    }))
"""

SERVER = """
    import http.server, os, socket
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = os.environ["LAUNCHER_INCARNATION"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass
    server = http.server.HTTPServer(("", 0), Answer, bind_and_activate=False)
    server.socket = socket.socket(fileno=3)
    print("serving")
    server.serve_forever()
"""


def inheriting(spec: ComponentSpec, port: int) -> ComponentSpec:
    """Return a command with its port held."""
    return replace(spec, bind=Bind(port), inherit_socket=True)


def drive(
    project: Project, spec: ComponentSpec, sockets: Sequence[socket.socket], scenario: Scenario
) -> Seen:
    """Run a scenario against a command host that has these sockets for the command."""
    return _drive_on_thread(
        lambda seen: CommandHost(project.spec(), seen.report, seen.log, {spec.name: sockets}),
        [spec],
        scenario,
    )


@pytest.mark.parametrize("count", [1, 2])
def test_what_the_program_gets(project: Project, count: int) -> None:
    """The sockets are 3, 4, …, blocking and the only ones; the variables are meant for just this process, which is the command itself."""
    with listening("one", "two") as made:
        sockets = [made["one"][0], made["two"][0]][:count]
        for each in sockets:
            each.setblocking(False)  # as a program before may have left it
        port = sockets[0].getsockname()[1]
        spec = inheriting(python("shop", TOLD), port)
        seen = drive(project, spec, sockets, lambda driver: driver.to_the_end("shop"))
        (line,) = seen.lines
        assert json.loads(line.message) == {
            "LISTEN_FDS": str(count),
            "LISTEN_FDNAMES": ":".join(["shop"] * count),
            "PORT": str(port),
            "for us": True,
            "ports": [each.getsockname()[1] for each in sockets],
            "open": list(range(3 + count)),
            "blocking": True,
            "leads": True,
            "name": ["-u", "-c"],
        }


@pytest.mark.parametrize("locale", ["C", "", None])
def test_its_environment_is_not_touched(
    project: Project, monkeypatch: pytest.MonkeyPatch, locale: str | None
) -> None:
    """The interpreter in between leaves no trace, not even the locale that it would choose for itself."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    own = {} if locale is None else {"LC_CTYPE": locale}
    argv = ("sh", "-c", "env | grep -e ^LC_ -e ^PYTHON -e ^__ | sort; echo end")
    with listening("shop") as sockets:
        seen: list[list[str]] = []
        for given in ((), sockets["shop"]):
            spec = replace(ComponentSpec("shop", Kind.COMMAND, command=argv), environment=own)
            lines = drive(project, spec, given, lambda driver: driver.to_the_end("shop")).lines
            seen.append([line.message for line in lines if line.message != "LC_CTYPE="])
    assert seen[0] == seen[1]


def test_a_restart_loses_no_connection(project: Project) -> None:
    """Who connects while no program runs is answered by the next one."""
    with listening("shop") as sockets:
        (listener,) = sockets["shop"]
        host, port = listener.getsockname()
        spec = inheriting(python("shop", SERVER), port)

        def scenario(driver: Driver) -> None:
            driver.launch("shop", 1)
            driver.line("serving")
            assert urllib.request.urlopen(f"http://{host}:{port}", timeout=30).read() == b"1"
            driver.down("shop", 1)
            with socket.create_connection((host, port), timeout=30) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                driver.launch("shop", 2)
                assert client.makefile("rb").read().endswith(b"\r\n\r\n2")
            driver.down("shop", 2)

        drive(project, spec, [listener], scenario)


def test_uvicorn_serves_the_descriptor(project: Project) -> None:
    """A server that knows nothing of the launcher is given the descriptor by its own option."""
    project.write(
        web="""
        async def app(scope, receive, send):
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello"})
        """
    )
    with listening("shop") as sockets:
        (listener,) = sockets["shop"]
        host, port = listener.getsockname()
        argv = (sys.executable, "-m", "uvicorn", "--fd", "3", "--lifespan", "off", "web:app")
        spec = inheriting(ComponentSpec("shop", Kind.COMMAND, command=argv), port)

        def scenario(driver: Driver) -> None:
            driver.launch("shop")
            assert urllib.request.urlopen(f"http://{host}:{port}", timeout=30).read() == b"hello"
            driver.down("shop")

        drive(project, spec, [listener], scenario)


def test_a_program_that_cannot_be_executed(project: Project) -> None:
    """What the system refuses only at the last moment is said by the program in between."""
    (project.root / "garbage").write_text("\x00\x01 nonsense")
    (project.root / "garbage").chmod(0o755)
    with listening("shop") as sockets:
        spec = inheriting(ComponentSpec("shop", Kind.COMMAND, command=("./garbage",)), 1)
        seen = drive(project, spec, sockets["shop"], lambda driver: driver.to_the_end("shop"))
        assert [line.message for line in seen.lines] == ["./garbage cannot be executed: Exec format error"]


@pytest.mark.parametrize("order", ["3,4", "4,3", "5,3", "7,8", "4"])
def test_descriptors_do_not_get_in_each_others_way(order: str) -> None:
    """Wherever the sockets were, they come to 3, 4, … in the order given, and nothing else is left open."""
    code = f"""
import fcntl, os, subprocess, sys
for number in (3, 4, 5, 6, 7, 8):
    os.close(number) if os.path.exists(f"/proc/self/fd/{{number}}") else None
numbers = [{order},]
pipes = []
for number in range(20, 20 + len(numbers)):
    reader, writer = os.pipe()
    pipes.append(fcntl.fcntl(reader, fcntl.F_DUPFD, 40))
    os.write(writer, str(len(pipes)).encode())
    os.close(reader); os.close(writer)
for number, pipe in zip(numbers, pipes):
    os.dup2(pipe, number)
    os.close(pipe)
read = "import os; print([os.read(3 + n, 9).decode() for n in range(%d)], sorted(os.listdir('/proc/self/fd'))[:-1])" % len(numbers)
os.execv(sys.executable, [sys.executable, "-I", "-S", {exec_with_sockets.__file__!r}, {order!r}, "", sys.executable, "-c", read])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count = len(order.split(","))
    fds = sorted(str(number) for number in range(3 + count))
    assert done.stdout.strip() == f"{[str(n + 1) for n in range(count)]} {fds}"


# ---- what a command tells of itself --------------------------------------------------------------------------------------------------


def test_it_tells_why_it_is_not_ready_and_when_it_is_again(project: Project) -> None:
    """A status is the reason until it is ready; reloading and stopping make it unready, READY=1 ready again; the rest means nothing."""
    spec = python(
        "job",
        """
        import os, socket, time
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.connect(os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1))
        newline = chr(10)
        for message in (
            "STATUS=loading 40 %", "MAINPID=1", "READY=1" + newline + "STATUS=fine", "STATUS=serving", "READY=1",
            "RELOADING=1" + newline + "MONOTONIC_USEC=1", "READY=1", "STOPPING=1" + newline + "STATUS=out of paper", "STOPPING=1",
        ):
            notify.send(message.encode())
        time.sleep(3600)
        """,
        ready=Probe(ProbeKind.NOTIFY),
    )

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        driver.seen.until(
            lambda: any(
                isinstance(event, BecameUnready) and event.reason == "out of paper"
                for event in driver.seen.events
            ),
            "the last message",
        )
        driver.down("job")

    seen = drive(project, spec, (), scenario)
    told = [
        event.reason if isinstance(event, BecameUnready) else "ready"
        for event in seen.events
        if isinstance(event, BecameReady | BecameUnready)
    ]
    assert told == ["loading 40 %", "ready", "reloading", "ready", "out of paper"]
