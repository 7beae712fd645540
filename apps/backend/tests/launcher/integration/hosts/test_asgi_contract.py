"""What every host promises to ASGI applications: one suite for both placements."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from launcher.model.spec import TaskDeath
from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import (
    DEADLINE,
    Driver,
    Project,
    Seen,
    asgi,
    eventually,
    listening,
)

Drive = Callable[..., Seen]

APP = """
    import asyncio, contextlib, sys
    from fastapi import FastAPI, WebSocket
    from fastapi.responses import StreamingResponse

    @contextlib.asynccontextmanager
    async def lifespan(app):
        print("startup")
        yield
        print("shutdown")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def root():
        print("asked")
        return {"hello": "world"}

    @app.get("/slow")
    async def slow():
        print("slow begins")
        await asyncio.sleep(0.3)
        return {"slow": True}

    @app.get("/leave")
    async def leave():
        sys.exit(5)

    @app.get("/events")
    async def events():
        async def stream():
            yield "data: 1\\n\\n"
            await asyncio.sleep(3600)
        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        await socket.send_text("hello")
        await socket.receive_text()

    def make():
        return app

    def needs(x):
        return app
"""


def port_of(sockets: dict[str, list[socket.socket]], name: str = "api") -> int:
    port: int = sockets[name][0].getsockname()[1]
    return port


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)


def get(port: int, path: str = "/") -> tuple[int, bytes]:
    connection = connect(port)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("changes", [{}, {"factory": True}])
def test_an_application_serves_from_start_to_stop(
    project: Project, drive: Drive, changes: dict[str, bool]
) -> None:
    """Lifespan, requests and their output belong to the component; after a stop clients wait instead of being refused."""
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        assert get(port) == (200, b'{"hello":"world"}')
        assert driver.line("asked").component == "api"
        access = driver.line('"GET / HTTP/1.1" 200')
        assert (access.component, access.logger) == ("api", "uvicorn.access")
        assert driver.down("api").kind is ExitKind.RETURNED
        messages = [line.message for line in driver.seen.lines]
        assert messages.index("startup") < messages.index("asked") < messages.index("shutdown")
        # Nobody serves, but the port is held: the request is answered by the next incarnation.
        answer: list[tuple[int, bytes]] = []
        client = threading.Thread(target=lambda: answer.append(get(port)))
        client.start()
        driver.up("api", 2)
        client.join()
        assert answer[0][0] == 200

    with listening("api") as sockets:
        port = port_of(sockets)
        target = "web:make" if changes else "web:app"
        drive(project.spec(), [asgi("api", target, **changes)], scenario, sockets)


def test_headers_are_those_of_plain_uvicorn(project: Project, drive: Drive) -> None:
    """A response has the same headers in the same order as under `uvicorn module:app`."""
    project.write(web=APP)

    def raw(port: int) -> list[str]:
        connection = connect(port)
        connection.request("GET", "/")
        headers = [f"{name}: {value}" for name, value in connection.getresponse().getheaders()]
        connection.close()
        return [re.sub(r"\d", "0", re.sub(r"date: .*GMT", "date: GMT", line)) for line in headers]

    with listening("plain") as plain:
        port = port_of(plain, "plain")
        stock = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "web:app",
                "--fd",
                str(plain["plain"][0].fileno()),
                "--log-level",
                "error",
            ],
            cwd=project.root,
            pass_fds=[plain["plain"][0].fileno()],
            stdout=subprocess.DEVNULL,
        )
        try:
            expected = raw(port)
        finally:
            stock.kill()
            stock.wait()
    assert [line.partition(":")[0] for line in expected][:2] == ["date", "server"]

    def scenario(driver: Driver) -> None:
        driver.up("api")
        assert raw(port_of(sockets)) == expected

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_a_running_request_is_answered_before_the_stop(project: Project, drive: Drive) -> None:
    """A stop waits for requests that are being answered."""
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        answer: list[tuple[int, bytes]] = []
        client = threading.Thread(target=lambda: answer.append(get(port_of(sockets), "/slow")))
        client.start()
        driver.line("slow begins")
        driver.down("api")
        client.join()
        assert answer == [(200, b'{"slow":true}')]

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_open_streams_do_not_hold_up_the_stop(project: Project, drive: Drive) -> None:
    """A stop with an event stream and a websocket open takes less than the grace that requests are given."""
    from websockets.sync.client import connect as connect_ws

    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        stream = connect(port_of(sockets))
        stream.request("GET", "/events")
        assert stream.getresponse().readline() == b"data: 1\n"
        with connect_ws(f"ws://127.0.0.1:{port_of(sockets)}/ws") as ws:
            assert ws.recv() == "hello"
            assert driver.down("api").kind is ExitKind.RETURNED
        stream.close()
        assert not any("timeout graceful shutdown exceeded" in line.message for line in driver.seen.lines)
        assert any(line.message == "shutdown" for line in driver.seen.lines)

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app", stop_grace=DEADLINE)], scenario, sockets)


def lifespan(before: str = "pass", after: str = "pass") -> str:
    return f"""
    import asyncio, contextlib
    from fastapi import FastAPI
    async def doomed():
        await asyncio.sleep(0.01)
        raise LookupError("worker lost")
    @contextlib.asynccontextmanager
    async def lifespan(app):
        {before}
        yield
        {after}
    app = FastAPI(lifespan=lifespan)
    """


def test_a_failing_startup_is_blamed(project: Project, drive: Drive) -> None:
    """The real exception of a failed lifespan startup is what is reported."""
    project.write(web=lifespan(before="raise ConnectionError('no database')"))

    def scenario(driver: Driver) -> None:
        driver.launch("api")
        ended = driver.exited("api")
        assert ended.kind is ExitKind.RAISED
        assert ended.message == "web.py:9: ConnectionError: no database"

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_system_exit_in_the_lifespan_ends_the_component_only(project: Project, drive: Drive) -> None:
    """sys.exit during startup is an exit with that code."""
    project.write(web=lifespan(before="raise SystemExit(4)"))

    def scenario(driver: Driver) -> None:
        driver.launch("api")
        ended = driver.exited("api")
        assert (ended.kind, ended.code) == (ExitKind.EXITED, 4)

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_a_failing_shutdown_is_reported(project: Project, drive: Drive) -> None:
    """An exception after the yield of a lifespan is not lost."""
    project.write(web=lifespan(after="raise OSError('cannot flush')"))

    def scenario(driver: Driver) -> None:
        driver.up("api")
        ended = driver.down("api")
        assert ended.kind is ExitKind.RAISED
        assert "OSError: cannot flush" in ended.message

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_a_startup_that_never_ends_can_be_stopped(project: Project, drive: Drive) -> None:
    """A stop during a lifespan startup gives the startup up at once, with its clean-up."""
    project.write(
        web=lifespan(
            before="""
        print("begun")
        try:
            await asyncio.sleep(3600)
        finally:
            print("cleaned up")"""
        )
    )

    def scenario(driver: Driver) -> None:
        driver.launch("api")
        driver.line("begun")
        assert driver.down("api").kind is ExitKind.RETURNED
        driver.line("cleaned up")

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


@pytest.mark.parametrize("policy", list(TaskDeath))
def test_a_background_task_of_the_lifespan_is_watched(
    project: Project, drive: Drive, policy: TaskDeath
) -> None:
    """A task that the lifespan started and nobody awaits is noticed when it dies, although the application serves on."""
    project.write(web=lifespan(before="task = asyncio.create_task(doomed(), name='consumer')"))

    def scenario(driver: Driver) -> None:
        driver.up("api")
        if policy is TaskDeath.LOG:
            assert "LookupError: worker lost" in driver.line("task 'consumer'").message
            assert get(port_of(sockets))[0] == 404
        else:
            assert "LookupError: worker lost" in driver.exited("api").message

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app", on_task_death=policy)], scenario, sockets)


def test_a_task_group_of_the_lifespan_is_watched(project: Project, drive: Drive) -> None:
    """A lifespan that dies of its task group while the application serves ends the component, with the inner exception."""
    project.write(
        web="""
        import asyncio, contextlib
        from fastapi import FastAPI
        async def doomed():
            await asyncio.sleep(0.01)
            raise LookupError("worker lost")
        @contextlib.asynccontextmanager
        async def lifespan(app):
            async with asyncio.TaskGroup() as group:
                group.create_task(doomed())
                yield
        app = FastAPI(lifespan=lifespan)
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("api")
        assert "web.py:6: LookupError: worker lost" in driver.exited("api").message

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


@pytest.mark.parametrize(
    ("target", "changes", "message", "hint"),
    [
        ("web:make", {}, "web:make is not an ASGI application but a function", "factory = true"),
        ("web:FastAPI", {}, "a class", "factory"),
        ("web:asyncio", {}, "a module", "FastAPI()"),
        ("web:needs", {"factory": True}, "cannot be called without arguments", "defaults"),
        ("web:ap", {}, "web has no attribute ap", "did you mean app?"),
        ("web", {}, "does not name an object", "api.main:app"),
    ],
)
def test_what_is_no_application_says_so(
    project: Project, drive: Drive, target: str, changes: dict[str, bool], message: str, hint: str
) -> None:
    """A target that is not an ASGI application is unstartable, with what to write instead."""
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.launch("api")
        ended = driver.exited("api")
        assert ended.kind is ExitKind.UNSTARTABLE
        assert message in ended.message
        assert hint in ended.hint

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", target, **changes)], scenario, sockets)


RAW = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["root_path"].encode()})

    class Double:
        def __init__(self, scope):
            self.scope = scope
        async def __call__(self, receive, send):
            await app(self.scope, receive, send)
"""


@pytest.mark.parametrize("target", ["raw:app", "raw:Double"])
def test_applications_without_lifespan_are_served(project: Project, drive: Drive, target: str) -> None:
    """Raw ASGI applications, of the older kind too, need no lifespan; root_path is passed on and access logs can be off."""
    project.write(raw=RAW)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        assert get(port_of(sockets)) == (200, b"/base")
        assert driver.down("api").kind is ExitKind.RETURNED
        assert not [line for line in driver.seen.lines if line.logger == "uvicorn.access"]

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", target, root_path="/base", access_log=False)], scenario, sockets)


def test_two_applications_share_nothing(project: Project, drive: Drive) -> None:
    """Each application has its own port, lifespan, output and end."""
    project.write(web=APP, other=APP.replace('"hello": "world"', '"other": "world"'))

    def scenario(driver: Driver) -> None:
        driver.up("api")
        driver.up("admin")
        assert json.loads(get(port_of(sockets))[1]) == {"hello": "world"}
        assert json.loads(get(port_of(sockets, "admin"))[1]) == {"other": "world"}
        driver.down("api")
        assert get(port_of(sockets, "admin"))[0] == 200

        def asked() -> list[str]:
            return [line.component for line in driver.seen.lines if line.message == "asked"]

        eventually(lambda: len(asked()) == 3, "the line of the last request")
        assert asked() == ["api", "admin", "admin"]

    with listening("api", "admin") as sockets:
        drive(project.spec(), [asgi("api", "web:app"), asgi("admin", "other:app")], scenario, sockets)


def test_a_request_that_calls_sys_exit_fails_alone(project: Project, drive: Drive) -> None:
    """As under plain uvicorn, sys.exit in a handler is an error of that request."""
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        assert get(port_of(sockets), "/leave")[0] == 500
        assert get(port_of(sockets))[0] == 200

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_killing_cuts_connections(project: Project, drive: Drive) -> None:
    """A kill does not wait for anybody."""
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        stream = connect(port_of(sockets))
        stream.request("GET", "/events")
        response = stream.getresponse()
        assert response.readline() == b"data: 1\n"
        driver.kill("api")
        assert driver.exited("api").killed
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        stream.close()

    with listening("api") as sockets:
        drive(project.spec(), [asgi("api", "web:app", stop_grace=DEADLINE)], scenario, sockets)
