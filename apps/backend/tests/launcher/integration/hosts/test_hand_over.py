"""Under load, one incarnation after the other takes over on the same listening socket: no request fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import DEADLINE, Driver, Project, Seen, asgi, listening
from tests.launcher.integration.hosts.raw import Client

HAND_OVERS = 20
KEPT_ALIVE = 8
FRESH = 4
BETWEEN = 100
"""Responses between two hand-overs, so that each of them comes under load."""

APP = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
"""


class Load:
    """Clients that ask without a pause, and never twice for the same."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._changed = threading.Condition()
        self._over = threading.Event()
        self.answered = 0
        self.told = 0
        self.failures: list[BaseException] = []

    @contextmanager
    def on(self) -> Iterator[Load]:
        kinds = [self._keep_alive] * KEPT_ALIVE + [self._fresh] * FRESH
        threads = [threading.Thread(target=self._run, args=(kind,)) for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def more(self, count: int) -> None:
        """Wait until so many more requests were answered, or one failed."""
        with self._changed:
            wanted = self.answered + count
            assert self._changed.wait_for(lambda: self.failures or self.answered >= wanted, DEADLINE)

    def _run(self, kind: Callable[[], None]) -> None:
        try:
            kind()
        except (OSError, AssertionError) as failure:
            with self._changed:
                self.failures.append(failure)
                self._changed.notify_all()

    def _keep_alive(self) -> None:
        while not self._over.is_set():
            with closing(Client(self._port)) as client:
                while not (self._over.is_set() or client.is_closed() or self._ask(client)):
                    pass

    def _fresh(self) -> None:
        while not self._over.is_set():
            with closing(Client(self._port)) as client:
                self._ask(client)

    def _ask(self, client: Client) -> bool:
        """Whether the server said that this was the last response."""
        response = client.ask()
        assert (response.status, response.body) == (200, b"hello")
        with self._changed:
            self.answered += 1
            self.told += response.closes
            self._changed.notify_all()
        return response.closes


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("stack")
def test_no_request_fails_in_a_hand_over(project: Project, drive: Callable[..., Seen]) -> None:
    """The next incarnation accepts before the last one stops; clients on old and on new connections do not notice."""
    project.write(web=APP)

    def scenario(driver: Driver) -> None:
        driver.up("api")
        with Load(sockets["api"][0].getsockname()[1]).on() as load:
            for incarnation in range(1, HAND_OVERS + 1):
                load.more(BETWEEN)
                driver.up("api", incarnation + 1)
                assert driver.down("api", incarnation).kind is ExitKind.RETURNED
            load.more(BETWEEN)
        assert load.failures == []
        assert load.told > HAND_OVERS  # kept-alive connections were indeed open, and were closed in order

    with listening("api") as sockets:
        drive(
            project.spec(), [asgi("api", "web:app", access_log=False, stop_grace=DEADLINE)], scenario, sockets
        )
