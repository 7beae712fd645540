"""Ports from the outside: who waits in vain is told so, sockets come from a service manager, and commands inherit theirs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.launcher.acceptance.project import (
    AGENT,
    PATIENCE,
    WEB,
    Launcher,
    Project,
    eventually,
    fetch,
    free_port,
)

PATIENT = "10m"
"""A hold that is longer than any test, so that a slow machine changes nothing."""

SHOP = """
    import http.server, os, signal, socket, threading
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = os.environ["LAUNCHER_INCARNATION"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    server = http.server.HTTPServer(("", 0), Answer, bind_and_activate=False)
    server.socket = socket.socket(fileno=3)
    # What it has accepted it answers, as any server should; what waits in the queue is the next one's.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
"""

CUCKOO = """
    import os, socket, sys
    # A service manager in small: sockets at 3, 4, …, and the number of the process that becomes the launcher.
    sockets = [socket.socket(fileno=int(number)).detach() for number in sys.argv[1].split(",")]
    for place, number in enumerate(sockets, 3):
        os.dup2(number, place)
    os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=sys.argv[2], LISTEN_PID=str(os.getpid()))
    os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def backend(project: Project, port: int) -> Project:
    """A web application and a command that inherits its socket."""
    return project.write(web=WEB, jobs=AGENT, shop=SHOP).declare(f"""
        [launcher]
        hold = "500ms"

        [components.api]
        app = "web:app"
        port = {port}

        [components.shop]
        command = "python shop.py"
        port = {free_port()}
        inherit_socket = true
        ready = "/"
    """)


def refusal(url: str) -> tuple[int, dict[str, Any], str]:
    """GET a URL that is answered with an error: status, document, and when to ask again."""
    try:
        fetch(url)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), error.headers["Retry-After"]
    raise AssertionError(f"{url} was served")


def everything(client: socket.socket) -> bytes:
    """Receive until the other side has ended."""
    received = b""
    while data := client.recv(4096):
        received += data
    return received


def listens(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


# ---- nobody serves -------------------------------------------------------------------------------------------------------------------


def test_who_waits_in_vain_is_told(backend: Project, mode: str) -> None:
    """A stopped component's clients are answered by the launcher, those of the others are not, until it is started again."""
    backend.up_and_ready("--mode", mode)
    urls = {name: backend.component(name)["url"] for name in ("api", "shop")}
    for name, served in (("api", "hello"), ("shop", "2")):
        assert backend.run("stop", name).returncode == 0
        status, document, again = refusal(urls[name])
        assert (status, again) == (503, "30")
        assert document == {
            "error": f"{name} is not serving: stopped",
            "component": name,
            "phase": "stopped",
        }
        assert backend.component(name)["held"] is True
        assert backend.run("start", name).returncode == 0
        assert fetch(urls[name]) == (200, served)
        assert backend.component(name)["held"] is False


def test_a_start_that_fails_is_told_from_the_queue(project: Project, mode: str, port: int) -> None:
    """A component that waits and then fails: whoever connected in the meantime is answered, and the others go on."""
    project.write(web=WEB, broken="raise RuntimeError('no')", jobs=AGENT).declare(f"""
        [launcher]
        hold = "300ms"
        keep_going = true

        [components.api]
        app = "broken:app"
        port = {port}

        [components.worker]
        run = "jobs:run"
    """)
    project.up_and_ready("--mode", mode)
    status, document, _ = refusal(f"http://127.0.0.1:{port}/")
    assert (status, document["phase"]) == (503, "failed")
    assert "no" not in document["error"].split()


def test_a_restart_of_an_inheriting_command_loses_nobody(backend: Project) -> None:
    """Clients that never pause see one incarnation and then the next, and no error in between."""
    backend.environment["LAUNCHER_HOLD"] = PATIENT
    backend.up_and_ready()
    url = backend.component("shop")["url"]
    restarting = subprocess.Popen(
        [sys.executable, "-m", "launcher", "restart", "shop"], cwd=backend.root, stdout=subprocess.DEVNULL
    )
    seen = []
    with restarting:
        while restarting.poll() is None:
            seen.append(fetch(url))
    assert seen == sorted(seen)
    assert set(seen) <= {(200, "1"), (200, "2")}
    assert fetch(url) == (200, "2")


# ---- a service manager ---------------------------------------------------------------------------------------------------------------


class FakeManager:
    """The end that a service manager listens at, and sockets that it hands over."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "notify")
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._end.settimeout(PATIENCE)
        self._end.bind(self.path)

    def close(self) -> None:
        self._end.close()

    def told(self) -> tuple[int, list[str]]:
        """Return who said something, as the kernel says, and what."""
        data, ancillary, _, _ = self._end.recvmsg(4096, socket.CMSG_SPACE(12))
        return struct.unpack("iII", ancillary[0][2])[0], data.decode().split("\n")

    def until(self, line: str, pid: int) -> list[str]:
        """Return everything that is told until a line comes; all of it must come from this process."""
        lines: list[str] = []
        while line not in lines:
            sender, more = self.told()
            assert sender == pid
            lines += more
        return lines


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeManager]:
    with closing(FakeManager(tmp_path_factory.mktemp("manager"))) as made:
        yield made


def handed(project: Project, sockets: list[socket.socket], names: str, *arguments: str) -> Launcher:
    """Start ``launcher up`` as a service manager does, with sockets."""
    cuckoo = project.root / "cuckoo.py"
    project.write(cuckoo=CUCKOO)
    numbers = [each.fileno() for each in sockets]
    process = subprocess.Popen(
        [
            *(sys.executable, str(cuckoo), ",".join(map(str, numbers)), names),
            *(sys.executable, "-m", "launcher", "up", *arguments),
        ],
        cwd=project.root,
        env=project._environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=numbers,
        start_new_session=True,
    )
    launcher = Launcher(process, project)
    project.started.append(launcher)
    return launcher


def test_the_service_manager_is_told_by_the_process_it_knows(
    backend: Project, manager: FakeManager, mode: str
) -> None:
    """READY=1 when the start is settled, STOPPING=1 when the stop begins, signs of life meanwhile; all from the process it started."""
    backend.environment |= {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"}
    launcher = backend.up("--mode", mode)
    before = manager.until("READY=1", launcher.pid)
    assert any(line.startswith("STATUS=starting: 0 of 2 ready") for line in before)
    assert "STATUS=up: 2 of 2 ready" in [*before, *manager.until("WATCHDOG=1", launcher.pid)]
    launcher.signal(signal.SIGTERM)
    assert "READY=1" not in manager.until("STOPPING=1", launcher.pid)
    assert launcher.finished()[0] == 0


def test_a_start_that_fails_is_not_ready(project: Project, manager: FakeManager, port: int) -> None:
    """The service manager never hears READY=1 of a start that is given up."""
    project.environment["NOTIFY_SOCKET"] = manager.path
    project.write(broken="raise RuntimeError('no')").declare(f"""
        [components.api]
        app = "broken:app"
        port = {port}
    """)
    launcher = project.up()
    assert "READY=1" not in manager.until("STOPPING=1", launcher.pid)
    assert launcher.finished()[0] == 1


def test_a_start_in_the_background_tells_nothing(backend: Project, manager: FakeManager) -> None:
    """It is not the process that a service manager watches; sockets for it are refused."""
    backend.environment["NOTIFY_SOCKET"] = manager.path
    assert backend.run("up", "-d").returncode == 0
    assert backend.run("down").returncode == 0
    manager._end.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.told()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code, said = handed(backend, [listener], "api", "-d").finished()
    assert code == 2
    assert "leave out --detach" in said


def test_sockets_come_from_the_service_manager(backend: Project, mode: str) -> None:
    """The components serve the sockets that were handed over, whose queue is older than the launcher and outlives it."""
    backend.environment["LAUNCHER_HOLD"] = PATIENT
    with socket.create_server(("127.0.0.1", 0)) as api, socket.create_server(("127.0.0.1", 0)) as shop:
        urls = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in (api, shop)]
        with socket.create_connection(api.getsockname(), timeout=PATIENCE) as early:
            early.sendall(b"GET / HTTP/1.0\r\n\r\n")
            launcher = handed(backend, [api, shop], "api:shop", "--mode", mode)
            assert b"hello" in everything(early)
        backend.wait("shop")
        assert [backend.component(name)["url"] for name in ("api", "shop")] == urls
        assert [fetch(url)[0] for url in urls] == [200, 200]
        launcher.signal(signal.SIGTERM)
        assert launcher.finished()[0] == 0
        with socket.create_connection(api.getsockname(), timeout=PATIENCE) as late:
            late.sendall(b"GET / HTTP/1.0\r\n\r\n")
            again = handed(backend, [api, shop], "api:shop", "--mode", mode)
            assert b"hello" in everything(late)
        again.signal(signal.SIGTERM)
        assert again.finished()[0] == 0


def test_a_socket_for_nobody_is_refused(backend: Project) -> None:
    """The start ends before anything runs, and says what the socket could be for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code, said = handed(backend, [listener], "backend.socket").finished()
    assert code == 1
    assert "error: socket 3 (backend.socket) of the service manager" in said
    assert "hint: set FileDescriptorName= to the name of a component" in said


def test_components_see_nothing_of_the_service_manager(
    project: Project, manager: FakeManager, mode: str
) -> None:
    """What the variables say is meant for the launcher alone, also for code that shares its process."""
    project.environment |= {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "9000000"}
    project.write(
        jobs="""
        import asyncio, os
        async def run():
            print("sees", [name for name in os.environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))])
            await asyncio.Event().wait()
        """
    ).declare("""
        [components.worker]
        run = "jobs:run"
    """)
    project.up_and_ready("--mode", mode)
    assert (
        "sees []"
        in eventually(
            "the line", lambda: [out for out in [project.run("logs", "worker").stdout] if "sees" in out]
        )[0]
    )


@pytest.mark.skipif(
    not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed"
)
def test_systemd_itself_hands_over(project: Project, port: int) -> None:
    """The tool of systemd starts the launcher at the first connection, and that connection is answered."""
    project.write(web=WEB).declare("""
        [components.api]
        app = "web:app"
        port = 1
    """)
    tool = ("systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=api")
    project.wrapper = (*tool, *(f"-E{name}" for name in os.environ))
    launcher = project.up("--mode", "multi")
    eventually("systemd listens", lambda: listens(port))
    assert fetch(f"http://127.0.0.1:{port}") == (200, "hello")
    launcher.signal(signal.SIGTERM)
    assert launcher.finished()[0] == 0
