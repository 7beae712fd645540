"""What every agent does around its own work: reading a stream at least once, retrying, giving up, stopping in time.

An agent is one task. It reads entries as a member of its consumer group and acknowledges one only after its
work on it is durable, so an entry whose agent is killed is delivered again. Its work must therefore be
repeatable.

Three things can go wrong with an entry:

* a service is away (`ServiceUnavailable`): the same entry is tried again with a growing pause until the
  service is back; this does not count against the entry;
* the work raises anything else: the entry is tried again later, and after `Pace.max_deliveries` deliveries it
  is a dead letter;
* the process dies: Redis counts the deliveries, so an entry that kills its agent again and again also becomes
  a dead letter.

An error outside the work on an entry that waiting cannot mend (a refused password, say) ends the agent:
`wait` raises it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from services.article_queue import ArticleQueue, Entry, GroupMissing, Seat
from services.errors import ServiceUnavailable, brief
from services.redis_streams import RedisService


class Work(Protocol):
    """What makes one agent different from another."""

    async def open(self) -> None:
        """Connect; raises `ServiceUnavailable` while a service is away."""

    async def handle(self, entry: Entry) -> bool:
        """Do the work on one entry, durably and repeatably; True if the others should hear of it."""

    async def give_up(self, entry: Entry, reason: str) -> None:
        """Record durably that there will be no result for this entry."""

    async def sweep(self) -> None:
        """Look, from time to time, for anything that was missed."""

    async def close(self) -> None:
        """Disconnect; safe after a failed `open`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how long; all times in seconds.

    `block`: one wait for new entries; `batch`: entries taken at once; `retry` and `retry_cap`: first and
    longest pause before another attempt (doubling in between); `adopt_after`: when an unacknowledged entry of
    another consumer counts as abandoned; `start_within`: how long `start` waits for the services;
    `stop_within`: how long `stop` lets the work in hand finish.
    """

    block: float = 5.0
    batch: int = 10
    max_deliveries: int = 5
    retry: float = 0.5
    retry_cap: float = 30.0
    sweep_every: float = 30.0
    adopt_after: float = 60.0
    start_within: float = 5.0
    stop_within: float = 3.0

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`-th failure in a row, counting from 1."""
        return float(min(self.retry_cap, self.retry * 2 ** min(attempt - 1, 30)))


class Agent:
    """One agent: `await start()`, later `await stop()`; `await wait()` tells how it ended. It can be started again."""

    def __init__(
        self, seat: Seat, redis: RedisService, queue: ArticleQueue, work: Work, pace: Pace | None = None
    ) -> None:
        self._seat = seat
        self._redis = redis
        self._queue = queue
        self._work = work
        self._pace = pace or Pace()
        self._log = logging.getLogger(f"agents.{seat.group}")
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._interruptible = False
        self._seated = False
        self._in_hand: Entry | None = None
        self._retry_due: float | None = None
        self._sweep_due = 0.0

    @property
    def name(self) -> str:
        """The agent's name, which is also the name of its consumer group."""
        return self._seat.group

    async def start(self) -> None:
        """Connect, join the consumer group and begin to read; returns once that is done.

        Raises `ServiceUnavailable` if a service is still away after `Pace.start_within`, RuntimeError if
        already started.
        """
        if self._task is not None:
            raise RuntimeError(f"agent {self.name} is started already")
        try:
            await self._connect()
        except BaseException:
            await self._disconnect()
            raise
        self._stopping = False
        self._retry_due = self._sweep_due = time.monotonic()
        self._task = asyncio.create_task(self._run(), name=f"agent {self.name}")
        self._log.info("started")

    async def stop(self) -> None:
        """End the agent within about `Pace.stop_within`; safe to call at any time.

        Work in hand may finish; what does not is left unacknowledged, to be delivered again.
        """
        task = self._task
        if task is None:
            return
        self._stopping = True
        if not self._interruptible:
            await asyncio.wait([task], timeout=self._pace.stop_within)
        task.cancel()
        await asyncio.wait([task])
        await self._put_back()
        await self._disconnect()
        self._task = None
        self._log.info("stopped")

    async def wait(self) -> None:
        """Return when the agent has been stopped; raises the error that ended it otherwise."""
        task = self._task
        if task is not None:
            await asyncio.wait([task])
            if not task.cancelled() and (problem := task.exception()) is not None:
                raise problem

    async def _connect(self) -> None:
        deadline = time.monotonic() + self._pace.start_within
        attempt = 0
        while True:
            try:
                await self._redis.connect()
                await self._queue.take_seat(self._seat)
                self._seated = True
                await self._work.open()
            except ServiceUnavailable:
                attempt += 1
                pause = self._pace.pause(attempt)
                if time.monotonic() + pause > deadline:
                    raise
                await asyncio.sleep(pause)
            else:
                return

    async def _disconnect(self) -> None:
        try:
            await self._work.close()
        finally:
            await self._redis.disconnect()

    async def _put_back(self) -> None:
        entry, self._in_hand = self._in_hand, None
        if entry is not None:
            # Best effort: without it the entry is delivered again all the same, only counted once more.
            with contextlib.suppress(ServiceUnavailable, GroupMissing, TimeoutError):
                await asyncio.wait_for(self._queue.put_back(self._seat, entry), self._pace.stop_within)

    async def _run(self) -> None:
        outages = 0
        while not self._stopping:
            try:
                await self._round()
                outages = 0
            except GroupMissing:
                self._seated = False
            except ServiceUnavailable as problem:
                outages += 1
                await self._wait_out(outages, problem)

    async def _round(self) -> None:
        """Join the group if need be, look for what was missed, retry what failed, and wait for what is new."""
        if not self._seated:
            await self._queue.take_seat(self._seat)
            self._seated = True
        if time.monotonic() >= self._sweep_due:
            await self._queue.adopt(self._seat, int(self._pace.adopt_after * 1000))
            await self._work.sweep()
            self._sweep_due = time.monotonic() + self._pace.sweep_every
            self._retry_due = time.monotonic()
        if self._retry_due is not None and time.monotonic() >= self._retry_due:
            self._retry_due = None
            await self._retry_unfinished()
        for entry in await self._new_entries():
            await self._process(entry)
            if self._stopping:
                return

    async def _new_entries(self) -> list[Entry]:
        until = min(self._sweep_due, self._retry_due or self._sweep_due)
        block = min(self._pace.block, max(until - time.monotonic(), 0.001))
        async with self._may_be_interrupted():
            if self._stopping:
                return []
            return await self._queue.read_new(self._seat, self._pace.batch, max(int(block * 1000), 1))

    async def _retry_unfinished(self) -> None:
        """Work through what this consumer holds unacknowledged, one by one: only the entry in hand counts as delivered."""
        after = "0"
        while not self._stopping:
            entries = await self._queue.read_unfinished(self._seat, 1, after)
            if not entries:
                return
            await self._process(entries[0])
            after = entries[0].id

    async def _process(self, entry: Entry) -> None:
        """Work on one entry until it is acknowledged, buried, or left for a later attempt."""
        self._in_hand = entry
        outages = 0
        while True:
            try:
                await self._attempt(entry)
                break
            except ServiceUnavailable as problem:
                outages += 1
                await self._wait_out(outages, problem)
                if self._stopping:
                    await self._put_back()
                    return
        self._in_hand = None

    async def _attempt(self, entry: Entry) -> None:
        if not entry.fields:
            # The article was settled, and its entry deleted, while this agent still held it.
            await self._queue.finish(self._seat, entry, announce=False)
        elif entry.deliveries > self._pace.max_deliveries:
            await self._bury(entry, f"the agent ended {entry.deliveries - 1} times while working on it")
        else:
            await self._work_on(entry)

    async def _work_on(self, entry: Entry) -> None:
        try:
            announce = await self._work.handle(entry)
        except ServiceUnavailable:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever the work raises is the entry's failure, not the agent's
            await self._failed(entry, problem)
        else:
            await self._queue.finish(self._seat, entry, announce=announce)

    async def _failed(self, entry: Entry, problem: Exception) -> None:
        reason = f"{type(problem).__name__}: {brief(problem)}"
        if entry.deliveries >= self._pace.max_deliveries:
            await self._bury(entry, reason)
            return
        pause = self._pace.pause(entry.deliveries)
        self._log.warning("article %s failed (%s); trying again in %.1f s", entry.article, reason, pause)
        due = time.monotonic() + pause
        self._retry_due = due if self._retry_due is None else min(due, self._retry_due)

    async def _bury(self, entry: Entry, reason: str) -> None:
        await self._work.give_up(entry, reason)
        await self._queue.bury(self._seat, entry, reason)
        self._log.error(
            "gave up on article %s after %d deliveries: %s", entry.article, entry.deliveries, reason
        )

    async def _wait_out(self, outages: int, problem: ServiceUnavailable) -> None:
        pause = self._pace.pause(outages)
        self._log.warning("%s; trying again in %.1f s", problem, pause)
        async with self._may_be_interrupted():
            if not self._stopping:
                await asyncio.sleep(pause)

    @asynccontextmanager
    async def _may_be_interrupted(self) -> AsyncIterator[None]:
        """A wait that `stop` cancels at once, since nothing is lost by it."""
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False
