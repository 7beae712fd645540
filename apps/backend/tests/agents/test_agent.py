"""What every agent promises around its work, against a real server; the work itself is scripted."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.base import Agent, Pace
from services.article_queue import ArticleQueue, Entry, Seat
from services.errors import ServiceUnavailable
from services.redis_streams import RedisService
from services.settings import Settings
from tests.backend_servers import free_port, redis_of, until

QUICK = Pace(
    block=0.2,
    max_deliveries=3,
    retry=0.01,
    retry_cap=0.05,
    sweep_every=0.1,
    adopt_after=0.001,
    start_within=0.05,
    stop_within=0.2,
)


@dataclass(slots=True)
class Scripted:
    """Work that does what the test says, and remembers what it was given."""

    behave: Callable[[Entry], Awaitable[None]]
    handled: list[str] = field(default_factory=list)
    given_up: list[tuple[str, str]] = field(default_factory=list)
    open_now: bool = False

    def is_open(self) -> bool:
        return self.open_now

    async def open(self) -> None:
        self.open_now = True

    async def handle(self, entry: Entry) -> bool:
        self.handled.append(entry.article)
        await self.behave(entry)
        return True

    async def give_up(self, entry: Entry, reason: str) -> None:
        self.given_up.append((entry.article, reason))

    async def sweep(self) -> None:
        pass

    async def close(self) -> None:
        self.open_now = False


async def well(_entry: Entry) -> None:
    """Work that succeeds."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A queue to look at, and a way to make agents on it."""

    settings: Settings
    queue: ArticleQueue
    redis: RedisService

    def agent(self, work: Scripted, pace: Pace = QUICK, consumer: str = "test") -> Agent:
        redis = RedisService(self.settings.redis_url)
        queue = ArticleQueue(redis, self.settings.namespace)
        return Agent(Seat(queue.articles, "worker", consumer), redis, queue, work, pace)

    async def idle(self) -> bool:
        """Whether everything on the stream has been delivered and acknowledged."""
        async with self.redis.client() as client:
            groups = await client.xinfo_groups(self.queue.articles)
        return all(group["pending"] == 0 and group["lag"] == 0 for group in groups)

    async def dead(self) -> list[dict[str, str]]:
        async with self.redis.client() as client:
            letters: Any = await client.xrange(f"{self.settings.namespace}:dead")
        return [fields for _, fields in letters]


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with redis_of(settings) as redis:
        yield Bench(settings, ArticleQueue(redis, settings.namespace), redis)


async def test_every_entry_is_handled_acknowledged_and_announced(bench: Bench) -> None:
    """Entries from before and after the start, each once, in order."""
    work = Scripted(well)
    agent = bench.agent(work)
    await bench.queue.enqueue("before")
    await agent.start()
    await bench.queue.enqueue("after")
    await until(lambda: _has(work.handled, 2), "both were handled")
    await until(bench.idle, "both were acknowledged")
    await agent.stop()
    assert work.handled == ["before", "after"]
    assert [entry.article for entry in await bench.queue.results_after("0-0", 1)] == ["before", "after"]


async def _has(items: list[str], count: int) -> bool:
    return len(items) >= count


async def test_starting_twice_is_an_error_and_stopping_twice_is_none(bench: Bench) -> None:
    """An agent can be started again after it was stopped; `wait` then returns."""
    work = Scripted(well)
    agent = bench.agent(work)
    await agent.stop()
    await agent.start()
    with pytest.raises(RuntimeError, match="already"):
        await agent.start()
    waiting = asyncio.create_task(agent.wait())
    await asyncio.gather(agent.stop(), agent.stop())
    await waiting
    assert not work.is_open()
    await agent.start()
    assert work.is_open()
    await agent.stop()


async def test_starting_without_the_server_fails_and_cleans_up(bench: Bench) -> None:
    """After its patience `start` raises what is missing, and a later start is possible."""
    away = dataclasses.replace(bench.settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    work = Scripted(well)
    agent = Bench(away, bench.queue, bench.redis).agent(work)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable, match="Redis"):
            await agent.start()
    assert not work.is_open()


async def test_work_that_keeps_failing_becomes_a_dead_letter(bench: Bench) -> None:
    """After so many deliveries it is recorded with the reason, and the entries behind it were not held up."""

    async def behave(entry: Entry) -> None:
        if entry.article == "bad":
            message = "no such luck\nand a second line"
            raise ValueError(message)

    work = Scripted(behave)
    agent = bench.agent(work)
    await bench.queue.enqueue("bad")
    await bench.queue.enqueue("good")
    await agent.start()
    await until(bench.idle, "nothing is outstanding")
    await agent.stop()
    (letter,) = await bench.dead()
    assert work.handled.count("bad") == QUICK.max_deliveries
    assert work.handled.count("good") == 1
    assert work.handled.index("good") < len(work.handled) - 1
    assert (letter["article"], letter["agent"], letter["deliveries"]) == ("bad", "worker", "3")
    assert letter["reason"] == "ValueError: no such luck"
    assert work.given_up == [("bad", "ValueError: no such luck")]


async def test_work_that_fails_once_is_done_later(bench: Bench) -> None:
    """One failure is no dead letter."""

    async def behave(_entry: Entry) -> None:
        if len(work.handled) == 1:
            message = "first time"
            raise ValueError(message)

    work = Scripted(behave)
    agent = bench.agent(work)
    await bench.queue.enqueue("a")
    await agent.start()
    await until(lambda: _has(work.handled, 2), "it was tried again")
    await until(bench.idle, "it was acknowledged")
    await agent.stop()
    assert await bench.dead() == []


async def test_an_outage_does_not_count_against_an_article(bench: Bench) -> None:
    """A service may be away for longer than the deliveries an article has."""
    attempts = 0

    async def behave(_entry: Entry) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= QUICK.max_deliveries * 3:
            raise ServiceUnavailable("PostgreSQL", "here", "away")

    agent = bench.agent(Scripted(behave))
    await bench.queue.enqueue("a")
    await agent.start()
    await until(bench.idle, "it was acknowledged in the end")
    await agent.stop()
    assert await bench.dead() == []


async def test_an_article_that_kills_its_agent_becomes_a_dead_letter(bench: Bench) -> None:
    """Deliveries that nobody lived to acknowledge count; the entry is then not worked on again."""
    seat = Seat(bench.queue.articles, "worker", "test")
    await bench.queue.take_seat(seat)
    await bench.queue.enqueue("deadly")
    await bench.queue.read_new(seat, 1, 1)
    for _ in range(QUICK.max_deliveries - 1):
        await bench.queue.read_unfinished(seat, 1)
    work = Scripted(well)
    agent = bench.agent(work)
    await agent.start()
    await until(bench.idle, "it was buried")
    await agent.stop()
    (letter,) = await bench.dead()
    assert work.handled == []
    assert letter["reason"] == "the agent ended 3 times while working on it"


async def test_an_agent_takes_over_from_a_dead_one(bench: Bench) -> None:
    """What another consumer left unacknowledged is done by the one that lives."""
    gone = Seat(bench.queue.articles, "worker", "gone")
    await bench.queue.take_seat(gone)
    await bench.queue.enqueue("a")
    await bench.queue.read_new(gone, 1, 1)
    work = Scripted(well)
    agent = bench.agent(work, consumer="heir")
    await agent.start()
    await until(bench.idle, "it was acknowledged")
    await agent.stop()
    assert work.handled == ["a"]


async def test_work_in_hand_may_finish_when_stopped(bench: Bench) -> None:
    """A stop waits for the entry being worked on, and it is acknowledged."""
    begun, release = asyncio.Event(), asyncio.Event()

    async def behave(_entry: Entry) -> None:
        begun.set()
        await release.wait()

    agent = bench.agent(Scripted(behave), dataclasses.replace(QUICK, stop_within=60.0))
    await bench.queue.enqueue("a")
    await agent.start()
    await begun.wait()
    stopping = asyncio.create_task(agent.stop())
    release.set()
    await stopping
    assert await bench.idle()


async def test_work_that_does_not_finish_is_left_for_the_next_agent(bench: Bench) -> None:
    """A stop is bounded; stopping again and again over the same entry does not use up its deliveries."""
    begun = asyncio.Event()

    async def behave(_entry: Entry) -> None:
        begun.set()
        await asyncio.Event().wait()

    await bench.queue.enqueue("a")
    for _ in range(QUICK.max_deliveries + 2):
        begun.clear()
        agent = bench.agent(Scripted(behave), dataclasses.replace(QUICK, stop_within=0.01))
        await agent.start()
        await begun.wait()
        await agent.stop()
    assert not await bench.idle()
    work = Scripted(well)
    last = bench.agent(work)
    await last.start()
    await until(bench.idle, "it was acknowledged")
    await last.stop()
    assert work.handled == ["a"]
    assert await bench.dead() == []


async def test_an_idle_agent_stops_without_waiting_for_its_read(bench: Bench) -> None:
    """A blocking read of an hour does not delay the stop."""
    agent = bench.agent(
        Scripted(well), dataclasses.replace(QUICK, block=3600.0, sweep_every=3600.0, stop_within=3600.0)
    )
    await agent.start()
    async with asyncio.timeout(30):
        await agent.stop()


async def test_a_deleted_stream_is_joined_anew(bench: Bench) -> None:
    """An agent survives the loss of its stream and reads the next one from its beginning."""
    work = Scripted(well)
    agent = bench.agent(work)
    await bench.queue.enqueue("first")
    await agent.start()
    await until(lambda: _has(work.handled, 1), "the first was handled")
    async with bench.redis.client() as client:
        await client.delete(bench.queue.articles, f"{bench.queue.articles}:index")
    await bench.queue.enqueue("second")
    await until(lambda: _has(work.handled, 2), "the second was handled")
    await agent.stop()
    assert work.handled[-1] == "second"


async def test_an_error_that_waiting_cannot_mend_ends_the_agent(bench: Bench) -> None:
    """`wait` raises it; `stop` afterwards only cleans up."""

    @dataclass(slots=True)
    class Broken(Scripted):
        async def sweep(self) -> None:
            message = "cannot sweep"
            raise PermissionError(message)

    work = Broken(well)
    agent = bench.agent(work)
    await agent.start()
    with pytest.raises(PermissionError, match="cannot sweep"):
        await agent.wait()
    await agent.stop()
    assert not work.is_open()


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (1000, 30.0)]
)
def test_pauses_grow_to_a_bound(attempt: int, seconds: float) -> None:
    """Doubling from half a second, never above the cap."""
    assert Pace().pause(attempt) == seconds
