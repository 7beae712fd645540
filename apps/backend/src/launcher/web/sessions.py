"""Logins of browsers: a code that can be used once is exchanged for a session.

A browser cannot be given the token: it would stand in an address, and so in its history. The code stands there instead, and is worth nothing
a moment later.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CODE_SECONDS = 60.0
"""How long a code can be used: the time that a browser may take to start."""

CODES = 16
"""Codes that can be used at a time; one more replaces the oldest."""

SESSIONS = 64
"""Sessions that are remembered; one more ends the oldest. All of them end with the launcher."""


class Sessions:
    """The codes that can still be used, and the sessions that were begun.

    Args:
        origin: of the interface that browsers log in to, such as ``http://127.0.0.1:8100``.
        clock: monotonic seconds.
    """

    def __init__(self, origin: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.origin = origin
        self._clock = clock
        self._codes: OrderedDict[str, float] = OrderedDict()
        self._sessions: OrderedDict[str, None] = OrderedDict()

    @property
    def cookie(self) -> str:
        """Name of the cookie; it holds the port, since browsers share cookies between all ports of a machine."""
        return f"launcher-{self.origin.rpartition(':')[2]}"

    def new_code(self) -> str:
        """Return a code that can be exchanged once, within ``CODE_SECONDS``."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = self._clock() + CODE_SECONDS
        while len(self._codes) > CODES:
            self._codes.popitem(last=False)
        return code

    def begin(self, code: str) -> str:
        """Exchange a code for a session; empty when it is none, was used, or is too old."""
        found = _find(code, self._codes)
        if not found or self._codes.pop(found) < self._clock():
            return ""
        session = secrets.token_urlsafe(32)
        self._sessions[session] = None
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def knows(self, session: str) -> bool:
        """Whether this is a session that was begun here."""
        return bool(_find(session, self._sessions))


def _find(given: str, known: Iterable[str]) -> str:
    """Return what equals the given secret, or nothing; how long that takes tells nobody how close a guess was."""
    found = ""
    for secret in known:
        if same(given, secret):
            found = secret
    return found


def same(given: str, secret: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return secrets.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
