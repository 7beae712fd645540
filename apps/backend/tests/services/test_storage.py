"""Articles, outcomes, and getting them onto the stream."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from services.article_queue import ArticleQueue, Entry, GroupMissing, Seat
from services.articles import ArticleStore, content_id
from services.errors import ServiceUnavailable
from services.outbox import publish_stored
from services.schema import migrate, seeds
from services.settings import Settings
from tests.backend_servers import environment, free_port, own_newsdesk, postgres_of, redis_of, variables

BOTH = frozenset({"one", "two"})


@dataclass(frozen=True, slots=True)
class Room:
    """The store and the queue of one newsdesk."""

    store: ArticleStore
    queue: ArticleQueue


@pytest.fixture
async def room(settings: Settings) -> AsyncIterator[Room]:
    async with postgres_of(settings) as postgres, redis_of(settings) as redis:
        yield Room(ArticleStore(postgres), ArticleQueue(redis, settings.namespace))


async def drain(queue: ArticleQueue, group: str = "reader") -> list[str]:
    """The articles a new group reads from the stream, without acknowledging them."""
    seat = Seat(queue.articles, group, "test")
    await queue.take_seat(seat)
    return [entry.article for entry in await queue.read_new(seat, 1000, 1)]


async def test_adding_twice_stores_once(room: Room) -> None:
    """The second call returns what is stored and says that it was there."""
    first, created = await room.store.add("a", "Title", "Body")
    second, again = await room.store.add("a", "Other", "Text")
    assert (created, again) == (True, False)
    assert second == first


async def test_adding_at_the_same_time_stores_once(room: Room) -> None:
    """Of many callers exactly one is told that it stored the article."""
    answers = await asyncio.gather(*(room.store.add("same", "T", "B") for _ in range(8)))
    assert sorted(created for _, created in answers) == [False] * 7 + [True]


async def test_an_article_settles_when_all_have_delivered(room: Room) -> None:
    """One result of two is not enough; a redelivered one does not count twice."""
    await room.store.add("a", "T", "B")
    await room.store.deliver("a", "one", {"n": 1})
    await room.store.deliver("a", "one", {"n": 2})
    assert not await room.store.settle("a", BOTH)
    await room.store.deliver("a", "two", {})
    assert await room.store.to_settle(BOTH) == ["a"]
    assert await room.store.settle("a", BOTH)
    dossier = await room.store.dossier("a")
    assert dossier is not None
    assert dossier.complete
    assert dossier.outcomes["one"].result == {"n": 2}
    assert await room.store.to_settle(BOTH) == []


async def test_an_error_settles_without_completing(room: Room) -> None:
    """An article with an error is failed; reopened, it can still become complete."""
    await room.store.add("a", "T", "B")
    await room.store.deliver("a", "one", {})
    await room.store.give_up("a", "two", "cannot")
    await room.store.settle("a", BOTH)
    failed = await room.store.dossier("a")
    assert failed is not None
    assert failed.settled
    assert not failed.complete
    assert (await room.store.counts()).failed == 1
    assert await room.store.reopen("a")
    assert not await room.store.reopen("a")
    await room.store.deliver("a", "two", {})
    await room.store.settle("a", BOTH)
    mended = await room.store.dossier("a")
    assert mended is not None
    assert mended.complete


async def test_giving_up_does_not_replace_a_result(room: Room) -> None:
    """A late failure of a second copy of an agent cannot undo what the first has delivered."""
    await room.store.add("a", "T", "B")
    await room.store.deliver("a", "one", {"n": 1})
    await room.store.give_up("a", "one", "too late")
    await room.store.give_up("unknown", "one", "no such article")
    dossier = await room.store.dossier("a")
    assert dossier is not None
    assert dossier.outcomes["one"].error is None


async def test_pages_follow_each_other(room: Room) -> None:
    """Reading page by page gives every article once, newest first."""
    for number in range(5):
        await room.store.add(f"a{number}", "T", "B")
    seen: list[str] = []
    before: int | None = None
    while page := await room.store.page(2, before):
        seen += [article.id for article, _ in page]
        before = page[-1][0].seq
    assert seen == ["a4", "a3", "a2", "a1", "a0"]


async def test_everything_stored_is_enqueued_once(room: Room) -> None:
    """Publishing again, also by several processes at once, puts nothing on the stream a second time."""
    for number in range(250):
        await room.store.add(f"a{number}", "T", "B")
    await asyncio.gather(*(publish_stored(room.store, room.queue) for _ in range(4)))
    await publish_stored(room.store, room.queue)
    assert sorted(await drain(room.queue)) == sorted(f"a{number}" for number in range(250))


async def test_a_crash_between_stream_and_mark_enqueues_once(room: Room) -> None:
    """The article is on the stream but not marked: publishing again marks it, and the agents see it once."""
    await room.store.add("a", "T", "B")
    await room.queue.enqueue("a")
    assert await publish_stored(room.store, room.queue) == 1
    assert await drain(room.queue) == ["a"]


async def test_a_failure_while_enqueueing_leaves_the_article_unmarked(room: Room) -> None:
    """The row still counts as not enqueued, and the error still names the service that failed."""
    await room.store.add("a", "T", "B")

    async def enqueue_without_redis() -> None:
        async with room.store.to_enqueue(10) as ids:
            assert ids == ["a"]
            raise ServiceUnavailable("Redis", "here", "gone")

    with pytest.raises(ServiceUnavailable, match="Redis"):
        await enqueue_without_redis()
    assert await publish_stored(room.store, room.queue) == 1


async def test_a_settled_article_leaves_the_stream(room: Room) -> None:
    """What remains on the stream is work; a settled article can be enqueued anew."""
    await room.queue.enqueue("a")
    await room.queue.forget("a")
    assert await room.queue.waiting() == 0
    await room.queue.enqueue("a")
    assert await room.queue.waiting() == 1


async def test_deliveries_are_counted_and_can_be_undone(room: Room) -> None:
    """Each reading of an unacknowledged entry counts, except one that is put back."""
    seat = Seat(room.queue.articles, "reader", "me")
    await room.queue.take_seat(seat)
    await room.queue.enqueue("a")
    (entry,) = await room.queue.read_new(seat, 10, 1)
    assert entry.deliveries == 1
    (entry,) = await room.queue.read_unfinished(seat, 1)
    assert entry.deliveries == 2
    await room.queue.put_back(seat, entry)
    (entry,) = await room.queue.read_unfinished(seat, 1)
    assert entry.deliveries == 2
    await room.queue.finish(seat, entry, announce=True)
    assert await room.queue.read_unfinished(seat, 1) == []
    (news,) = await room.queue.results_after("0-0", 1)
    assert news.fields == {"article": "a", "agent": "reader"}


async def test_what_a_dead_consumer_left_is_adopted(room: Room) -> None:
    """Only after it has been idle long enough, and without counting as a delivery."""
    dead, heir = (Seat(room.queue.articles, "reader", name) for name in ("dead", "heir"))
    await room.queue.take_seat(dead)
    await room.queue.enqueue("a")
    await room.queue.read_new(dead, 10, 1)
    await room.queue.adopt(heir, 3_600_000)
    assert await room.queue.read_unfinished(heir, 10) == []
    await room.queue.adopt(heir, 0)
    (entry,) = await room.queue.read_unfinished(heir, 10)
    assert (entry.article, entry.deliveries) == ("a", 2)


async def test_an_entry_deleted_meanwhile_comes_without_fields(room: Room) -> None:
    """It is still delivered to the one who holds it, who can then acknowledge it."""
    seat = Seat(room.queue.articles, "reader", "me")
    await room.queue.take_seat(seat)
    await room.queue.enqueue("a")
    await room.queue.read_new(seat, 10, 1)
    await room.queue.forget("a")
    (entry,) = await room.queue.read_unfinished(seat, 10)
    assert entry.fields == {}
    await room.queue.finish(seat, entry, announce=False)
    assert await room.queue.read_unfinished(seat, 10) == []


async def test_a_group_that_is_gone_is_said_to_be_missing(room: Room) -> None:
    """A deleted stream is told apart from an empty one."""
    seat = Seat(room.queue.articles, "nobody", "me")
    with pytest.raises(GroupMissing):
        await room.queue.read_new(seat, 10, 1)
    with pytest.raises(GroupMissing):
        await room.queue.adopt(seat, 0)
    with pytest.raises(GroupMissing):
        await room.queue.put_back(seat, Entry("1-1", {}))


async def test_migrations_at_the_same_time_plant_the_seeds_once(servers: Settings) -> None:
    """Three one-shot jobs and one more: every seed is on the stream exactly once."""
    async with own_newsdesk(servers, tables=False) as own:
        await asyncio.gather(*(migrate(own, seed=True) for _ in range(3)))
        assert "; 0 stored" in await migrate(own, seed=True)
        async with redis_of(own) as redis:
            planted = await drain(ArticleQueue(redis, own.namespace))
        assert sorted(planted) == sorted(content_id(title, body) for title, body in seeds())
        assert len(planted) >= 5


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({}, 0, "the tables are there"),
        ({"POSTGRES_URL": "closed"}, 1, "hint: start the server, or set POSTGRES_URL"),
        ({"REDIS_URL": "http://nowhere"}, 2, "REDIS_URL"),
    ],
)
async def test_the_migration_as_a_program(
    settings: Settings, change: dict[str, str], status: int, said: str
) -> None:
    """Its exit status tells success, a service that is away, and wrong settings apart."""
    closed = {"closed": f"postgresql://newsdesk@127.0.0.1:{free_port()}/postgres"}
    given = {name: closed.get(value, value) for name, value in change.items()}
    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.schema"],
        env=environment(**{**variables(settings), **given}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == status
    assert said in result.stdout + result.stderr
