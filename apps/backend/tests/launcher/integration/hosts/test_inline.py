"""What is special about running in the launcher's own process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading

import pytest
import uvicorn

from launcher.hosts.inline import InlineHost
from launcher.model.events import Exited, Started
from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import (
    IMPORTS_FOR_EVER,
    Driver,
    Project,
    Seen,
    agent,
    asgi,
    drive_inline,
    listening,
)
from tests.launcher.integration.hosts.test_asgi_contract import APP, get, port_of

IDLE = """
    import asyncio
    async def run():
        await asyncio.sleep(3600)
"""


def test_the_process_is_left_as_it_was(project: Project) -> None:
    """After the host has ended, output and logging are the process's own again."""
    project.write(jobs=IDLE)
    before = (
        sys.stdout,
        sys.stderr,
        logging.getLogger().handlers[:],
        logging.getLogger().level,
        gc.isenabled(),
    )
    drive_inline(project.spec(), [agent("worker", "jobs:run")], lambda driver: driver.up("worker"))
    root = logging.getLogger()
    assert (sys.stdout, sys.stderr, root.handlers[:], root.level, gc.isenabled()) == before


def test_environment_and_directory_are_the_declared_ones(project: Project) -> None:
    """Variables, working directory and module path are set before anything is imported."""
    project.write(
        inner__jobs="import os\nprint('at import', os.environ['SHARED'], os.environ['OWN'], os.getcwd())\nasync def run(): pass"
    )

    def scenario(driver: Driver) -> None:
        assert driver.line("at import").message == f"at import all own {project.root}"
        assert driver.line("at import").component == "worker"

    spec = project.spec(environment={"SHARED": "all"}, pythonpath=(str(project.root / "inner"),))
    drive_inline(spec, [agent("worker", "jobs:run", environment={"OWN": "own"})], scenario)


def test_an_interrupt_aborts_the_import(project: Project) -> None:
    """A signal during a long import is acted on at once; what was not imported is reported when it is launched."""
    project.write(jobs=IMPORTS_FOR_EVER, other=IDLE)
    seen = Seen()
    components = [agent("worker", "jobs:run"), agent("other", "other:run")]
    host = InlineHost(project.spec(), components, {}, seen.report, seen.log)
    before = signal.signal(signal.SIGUSR1, lambda *_: host.interrupt())

    def play() -> None:
        host.launch(components[0], 1)
        host.launch(components[1], 1)
        seen.until(lambda: any(line.message == "importing" for line in seen.lines), "import")
        os.kill(os.getpid(), signal.SIGUSR1)
        seen.until(lambda: sum(isinstance(event, Exited) for event in seen.events) == 2, "ends")
        asyncio.run(host.close())

    thread = threading.Thread(target=play)
    thread.start()
    try:
        host.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join()
    assert {event.exit.message for event in seen.events if isinstance(event, Exited)} == {
        "its import was interrupted"
    }


def test_an_interrupt_outside_of_imports_does_nothing(project: Project) -> None:
    """While the loop runs, an interrupt is no exception."""
    project.write(jobs=IDLE)
    seen = Seen()
    component = agent("worker", "jobs:run")
    host = InlineHost(project.spec(), [component], {}, seen.report, seen.log)

    def on_signal(*_: object) -> None:
        host.interrupt()
        host.request_stop("worker", 1)

    before = signal.signal(signal.SIGUSR1, on_signal)

    def play() -> None:
        host.launch(component, 1)
        seen.until(lambda: any(isinstance(event, Started) for event in seen.events), "start")
        os.kill(os.getpid(), signal.SIGUSR1)
        seen.until(lambda: any(isinstance(event, Exited) for event in seen.events), "end")
        asyncio.run(host.close())

    thread = threading.Thread(target=play)
    thread.start()
    try:
        host.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join()


def test_an_ended_host_refuses_launches(project: Project) -> None:
    """A launch after the end is an exit, not silence."""
    seen = Seen()
    host = InlineHost(project.spec(), [], {}, seen.report, seen.log)
    host.end()
    host.run()
    host.launch(agent("worker", "jobs:run"), 1)
    host.request_stop("worker", 1)
    (event,) = seen.events
    assert isinstance(event, Exited)
    assert event.exit.kind is ExitKind.UNSTARTABLE


@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt()"])
def test_exits_from_callbacks_are_survived(project: Project, raised: str) -> None:
    """sys.exit in a plain callback, which no task can be blamed for, is logged, and everybody goes on."""
    project.write(
        jobs=f"""
        import asyncio
        def leave():
            raise {raised}
        async def run():
            asyncio.get_running_loop().call_soon(leave)
            await asyncio.sleep(3600)
        """,
        other=IDLE,
    )

    def scenario(driver: Driver) -> None:
        driver.up("other")
        driver.up("worker")
        assert "jobs.py:4" in driver.line("only a task can end its component").message
        driver.down("worker")
        assert not driver.is_over("other")

    drive_inline(project.spec(), [agent("worker", "jobs:run"), agent("other", "other:run")], scenario)


def test_cancelling_every_task_harms_nobody_else(project: Project) -> None:
    """A component that cancels all tasks of its loop, as shutdown code does, leaves the host able to report every end."""
    project.write(
        jobs="""
        import asyncio
        async def run():
            await asyncio.sleep(0)
            for task in asyncio.all_tasks():
                task.cancel()
            await asyncio.sleep(3600)
        """,
        other=IDLE,
    )

    def scenario(driver: Driver) -> None:
        driver.up("other")
        driver.launch("worker")
        assert driver.exited("worker").kind is ExitKind.RAISED
        assert driver.exited("other").message == "it was cancelled by its own code"
        driver.up("other", 2)

    drive_inline(project.spec(), [agent("worker", "jobs:run"), agent("other", "other:run")], scenario)


def test_a_module_that_needs_a_loop_is_imported_on_one(project: Project) -> None:
    """What can be imported under plain uvicorn, where a loop runs during the import, can be imported here."""
    project.write(
        jobs="""
        import asyncio
        loop = asyncio.get_running_loop()
        async def run():
            print("same loop", loop is asyncio.get_running_loop())
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        assert driver.line("same loop").message == "same loop True"

    drive_inline(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_logging_configured_by_the_user_still_works(project: Project) -> None:
    """Handlers of the user's own dictConfig write to the captured stderr, attributed as text; others are not silenced by it."""
    project.write(
        earlier="""
        import logging
        log = logging.getLogger("earlier")
        async def run():
            log.warning("not silenced")
        """,
        jobs="""
        import logging.config
        logging.config.dictConfig({
            "version": 1,
            "formatters": {"f": {"format": "MINE %(message)s"}},
            "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
            "loggers": {"mine": {"handlers": ["h"], "level": "DEBUG", "propagate": False}},
        })
        async def run():
            logging.getLogger("mine").debug("hello")
            logging.getLogger("other").warning("and others")
        """,
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        assert driver.line("MINE hello").component == "worker"
        assert driver.line("and others").component == "worker"
        driver.launch("earlier")
        assert driver.line("not silenced").component == "earlier"

    drive_inline(project.spec(), [agent("earlier", "earlier:run"), agent("worker", "jobs:run")], scenario)


def test_never_retrieved_errors_are_attributed(project: Project) -> None:
    """What asyncio complains about later is logged under the component whose task it was."""
    project.write(
        web="""
        import asyncio
        from fastapi import FastAPI
        app = FastAPI()
        async def fails():
            raise ValueError("in the background of a request")
        @app.get("/")
        async def root():
            asyncio.create_task(fails())
            return {}
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("api")
        assert get(port_of(sockets))[0] == 200
        assert driver.line("never retrieved").component == "api"
        assert not driver.is_over("api")

    with listening("api") as sockets:
        drive_inline(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_an_idle_server_does_not_tick(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ten wake-ups per second of stock uvicorn do not happen, and the date header is there all the same."""

    def tick(*_: object) -> None:
        raise AssertionError("uvicorn ticked")

    monkeypatch.setattr(uvicorn.Server, "on_tick", tick)
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        assert get(port_of(sockets))[0] == 200
        assert driver.down("api").kind is ExitKind.RETURNED

    with listening("api") as sockets:
        drive_inline(project.spec(), [asgi("api", "web:app")], scenario, sockets)


def test_plain_asyncio_does_as_well(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvloop everything works on asyncio's own loop: attribution, task deaths, exits from tasks."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    project.write(
        web=APP,
        jobs="""
        import asyncio, sys
        async def leave():
            print(type(asyncio.get_running_loop()).__module__)
            sys.exit(3)
        async def run():
            asyncio.create_task(leave())
            await asyncio.sleep(3600)
        """,
    )

    def scenario(driver: Driver) -> None:
        driver.up("api")
        driver.launch("worker")
        assert driver.exited("worker").code == 3
        assert driver.line("asyncio.unix_events").component == "worker"
        assert get(port_of(sockets))[0] == 200
        assert driver.line("asked").component == "api"

    with listening("api") as sockets:
        drive_inline(project.spec(), [asgi("api", "web:app"), agent("worker", "jobs:run")], scenario, sockets)
