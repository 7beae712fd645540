"""Whether an event loop turns: it is asked when somebody wants to know, and at no other time, so that an idle process stays asleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from launcher.model.usage import Beat

Left = Mapping[str, Sequence[str]]
"""The tasks that keep each component that stops, by its name."""


@dataclass(frozen=True, slots=True)
class Question:
    """An open question.

    Attributes:
        asked: when, monotonic seconds.
        answered: done when it is.
    """

    asked: float
    answered: asyncio.Future[None]


class Pulse:
    """One loop, as somebody sees it who asks from elsewhere; to be used on the thread of one running loop.

    A question stays open until it is answered, however long that takes; so a second one adds nothing.

    Args:
        ask: passes a question on; the loop is to answer it with `answer`. Returns whether there is a loop by now.
    """

    def __init__(self, ask: Callable[[int], bool]) -> None:
        self._ask = ask
        self._number = 0
        self._asked: float | None = None
        self._lag: float | None = None
        self._left: Left = {}
        self._answered: asyncio.Future[None] | None = None

    @property
    def known(self) -> bool:
        """Whether anything is known: an answer, or an open question."""
        return self._lag is not None or self._asked is not None

    def feel(self) -> Question | None:
        """Ask, unless a question is open, and return the one that is; nothing where there is no loop yet."""
        if self._asked is None or self._answered is None:
            now = time.monotonic()
            if not self._ask(self._number + 1):
                return None
            self._number += 1
            self._asked = now
            self._answered = asyncio.get_running_loop().create_future()
        return Question(self._asked, self._answered)

    def answer(self, number: int, at: float, left: Left) -> None:
        """Take an answer.

        Args:
            number: of the question.
            at: when the loop came to it, on the monotonic clock, which is one for all processes of a machine.
            left: see `Left`.
        """
        if number != self._number or self._asked is None:
            return
        self._lag, self._left, self._asked = max(0.0, at - self._asked), left, None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def beat(self, component: str, now: float) -> Beat | None:
        """Return what is known now, with the tasks of one component; nothing before the first question."""
        tasks = tuple(self._left.get(component, ()))
        if self._asked is not None:
            return Beat(now - self._asked, answered=False, tasks=tasks)
        return None if self._lag is None else Beat(self._lag, tasks=tasks)
