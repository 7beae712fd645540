"""Clients that post articles to a backend which comes and goes, and do not give up."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from tests.launcher.acceptance.project import PATIENCE, Launcher, eventually

CLIENTS = 4
PAUSE = 0.05
"""Seconds a client waits before it tries the same article again."""

UNANSWERED = (OSError, http.client.HTTPException)
"""What a client sees of a backend that is not there, or ends before it has answered."""


def article(number: int) -> dict[str, str]:
    """A short article with something for every agent to find."""
    name = f"Mr. Walker{chr(65 + number % 26)}"
    body = f"{name} came to Rivertown in May. He found it a good and peaceful place. Rivertown was glad."
    return {"id": f"article-{number:04}", "title": f"Title {number}", "body": body}


class Posting:
    """Articles on their way; each is posted again and again, with the same id, until the backend says that it has it."""

    def __init__(self, port: int, articles: int) -> None:
        self._port = port
        self._left: SimpleQueue[int] = SimpleQueue()
        for number in range(articles):
            self._left.put(number)
        self._stopping = threading.Event()
        self._allowed = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._answered: dict[str, int] = {}
        self.attempts: Counter[str] = Counter()
        """How often an attempt ended in which way: a status, or the name of an exception."""

    @property
    def answered(self) -> dict[str, int]:
        """The status of the answer that each accepted article got, by id."""
        with self._lock:
            return dict(self._answered)

    def allow(self, more: int) -> None:
        """Let the clients post this many more articles."""
        self._allowed.release(more)

    def wait_for(self, articles: int, launcher: Launcher) -> None:
        """Return when at least this many articles were accepted by the backend of a launcher.

        Patience begins anew with each of them: a backend that is slow because the machine is busy is not one that hangs.
        """
        accepted = len(self.answered)
        while accepted < articles:
            self._wait_for_more_than(accepted, articles, launcher)
            accepted = len(self.answered)

    def _wait_for_more_than(self, accepted: int, articles: int, launcher: Launcher) -> None:
        eventually(
            f"another article is accepted after {accepted} of {articles}",
            lambda: len(self.answered) > accepted,
            launcher=launcher,
            account=lambda: f"attempts: {dict(self.attempts)}",
        )

    def client(self) -> None:
        """Post articles that are allowed until none is left or it is over."""
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while not self._stopping.is_set():
            if not self._allowed.acquire(timeout=PAUSE):
                continue
            try:
                number = self._left.get_nowait()
            except Empty:
                break
            self._insist(line, article(number))
        line.close()

    def stop(self) -> None:
        """Let the clients end."""
        self._stopping.set()

    def _insist(self, line: http.client.HTTPConnection, content: dict[str, str]) -> None:
        while not self._stopping.is_set():
            outcome = self._attempt(line, content)
            with self._lock:
                self.attempts[str(outcome)] += 1
                if outcome in (200, 201):
                    self._answered[content["id"]] = int(outcome)
                    return
            self._stopping.wait(PAUSE)

    @staticmethod
    def _attempt(line: http.client.HTTPConnection, content: dict[str, str]) -> int | str:
        try:
            line.request("POST", "/articles", json.dumps(content), {"Content-Type": "application/json"})
            answer = line.getresponse()
            answer.read()
        except UNANSWERED as problem:
            line.close()
            return type(problem).__name__
        return answer.status


@contextmanager
def posting(port: int, articles: int) -> Iterator[Posting]:
    """Clients that post for the time of the block, as far as they are allowed to."""
    posts = Posting(port, articles)
    clients = [threading.Thread(target=posts.client, name=f"client {number}") for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield posts
    finally:
        posts.stop()
        for client in clients:
            client.join()
