"""The streams between the gateway and the agents, in Redis.

Four keys below the namespace:

* `articles` (stream): one entry per article on which work is outstanding; one consumer group per agent.
* `articles:index` (hash): article id → its entry, so that an article is on the stream at most once.
* `results` (stream): "this agent has delivered for this article"; read by the director's group and by
  watching clients. It is only a nudge: what was delivered is in PostgreSQL, so trimming or losing it loses
  nothing.
* `dead` (stream): entries an agent gave up on, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.exceptions import ResponseError

from services.redis_streams import RedisService

RESULTS_KEPT = 10_000
"""About how many entries `results` keeps; the director also looks at the articles themselves from time to time."""

IDLE_CONSUMER_MS = 3_600_000
"""A consumer with nothing pending that has been silent for this long is forgotten (1 h)."""

ADOPTED_AT_ONCE = 1000
"""How many abandoned entries one look takes over; more wait for the next look."""

# Adds the article unless it has an entry already, in one step, so that enqueueing may be repeated.
_ENQUEUE = """
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known and #redis.call('XRANGE', KEYS[1], known, known) == 1 then return known end
local entry = redis.call('XADD', KEYS[1], '*', 'article', ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], entry)
return entry
"""

_FORGET = """
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known then redis.call('XDEL', KEYS[1], known); redis.call('HDEL', KEYS[2], ARGV[1]) end
return 1
"""


class GroupMissing(Exception):
    """The consumer group does not exist, because the stream was deleted; create it again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream as delivered to a consumer; `deliveries` counts this delivery too."""

    id: str
    fields: Mapping[str, str]
    deliveries: int = 1

    @property
    def article(self) -> str:
        """The id of the article the entry is about; empty if it names none."""
        return self.fields.get("article", "")


@dataclass(frozen=True, slots=True)
class Seat:
    """A place at a stream: which stream, as which group, under which consumer name."""

    stream: str
    group: str
    consumer: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """Lengths of the streams, and how many delivered entries each agent has not yet acknowledged."""

    waiting: int
    dead: int
    pending: Mapping[str, int]


class ArticleQueue:
    """The streams of one namespace."""

    def __init__(self, redis: RedisService, namespace: str) -> None:
        self._redis = redis
        self.articles = f"{namespace}:articles"
        self.results = f"{namespace}:results"
        self._index = f"{namespace}:articles:index"
        self._dead = f"{namespace}:dead"

    async def enqueue(self, article_id: str) -> None:
        """Put an article on the stream unless it is there already."""
        async with self._redis.client() as client:
            await client.eval(_ENQUEUE, 2, self.articles, self._index, article_id)

    async def forget(self, article_id: str) -> None:
        """Take a settled article off the stream."""
        async with self._redis.client() as client:
            await client.eval(_FORGET, 2, self.articles, self._index, article_id)

    async def announce(self, article_id: str, agent: str) -> None:
        """Tell the readers of `results` that there is something new about an article."""
        async with self._redis.client() as client:
            await client.xadd(self.results, _result(article_id, agent), maxlen=RESULTS_KEPT)

    async def finish(self, seat: Seat, entry: Entry, *, announce: bool) -> None:
        """Acknowledge an entry, announcing its result in the same step."""
        async with self._redis.client() as client, client.pipeline(transaction=True) as both:
            if announce:
                both.xadd(self.results, _result(entry.article, seat.group), maxlen=RESULTS_KEPT)
            both.xack(seat.stream, seat.group, entry.id)
            await both.execute()

    async def bury(self, seat: Seat, entry: Entry, reason: str) -> None:
        """Move an entry to the dead letters: in one step it is recorded there, announced and acknowledged."""
        letter = {
            "stream": seat.stream,
            "entry": entry.id,
            "article": entry.article,
            "agent": seat.group,
            "deliveries": str(entry.deliveries),
            "reason": reason,
        }
        async with self._redis.client() as client, client.pipeline(transaction=True) as both:
            both.xadd(self._dead, cast(Any, letter))
            both.xadd(self.results, _result(entry.article, seat.group), maxlen=RESULTS_KEPT)
            both.xack(seat.stream, seat.group, entry.id)
            await both.execute()

    async def put_back(self, seat: Seat, entry: Entry) -> None:
        """Leave an entry to the next reader as if this delivery had not happened: it was given up for no fault of its own."""
        async with self._redis.client() as client:
            try:
                await client.xclaim(
                    seat.stream,
                    seat.group,
                    seat.consumer,
                    0,
                    [entry.id],
                    retrycount=max(entry.deliveries - 1, 0),
                    justid=True,
                )
            except ResponseError as problem:
                raise _group_missing(problem) from problem

    async def take_seat(self, seat: Seat) -> None:
        """Create the group, from the first entry of the stream on, unless it exists."""
        async with self._redis.client() as client:
            try:
                await client.xgroup_create(seat.stream, seat.group, id="0", mkstream=True)
            except ResponseError as problem:
                if not str(problem).startswith("BUSYGROUP"):
                    raise

    async def read_new(self, seat: Seat, count: int, block_ms: int) -> list[Entry]:
        """Entries never delivered to the group, waiting up to `block_ms` for the first; raises `GroupMissing`."""
        return await self._read(seat, ">", count, block_ms)

    async def read_unfinished(self, seat: Seat, count: int, after: str = "0") -> list[Entry]:
        """Entries delivered to this consumer earlier and never acknowledged; reading them counts as a delivery."""
        entries = await self._read(seat, after, count, None)
        if not entries:
            return []
        async with self._redis.client() as client:
            details = await client.xpending_range(
                seat.stream, seat.group, entries[0].id, entries[-1].id, len(entries), seat.consumer
            )
        deliveries = {item["message_id"]: int(item["times_delivered"]) for item in details}
        return [Entry(entry.id, entry.fields, deliveries.get(entry.id, 1)) for entry in entries]

    async def adopt(self, seat: Seat, idle_ms: int) -> None:
        """Take over what other consumers left unacknowledged for `idle_ms`, and forget consumers long gone.

        The entries are then found by `read_unfinished`; adopting them does not count as a delivery.
        """
        async with self._redis.client() as client:
            try:
                await client.xautoclaim(
                    seat.stream,
                    seat.group,
                    seat.consumer,
                    idle_ms,
                    start_id="0-0",
                    count=ADOPTED_AT_ONCE,
                    justid=True,
                )
            except ResponseError as problem:
                raise _group_missing(problem) from problem
            for consumer in await client.xinfo_consumers(seat.stream, seat.group):
                if (
                    consumer["pending"] == 0
                    and consumer["idle"] > IDLE_CONSUMER_MS
                    and consumer["name"] != seat.consumer
                ):
                    await client.xgroup_delconsumer(seat.stream, seat.group, consumer["name"])

    async def newest_result(self) -> str:
        """The id of the newest entry of `results`, from which `results_after` continues."""
        async with self._redis.client() as client:
            newest = await client.xrevrange(self.results, count=1)
            return str(newest[0][0]) if newest else "0-0"

    async def results_after(self, entry_id: str, block_ms: int) -> list[Entry]:
        """Entries of `results` newer than `entry_id`, waiting up to `block_ms` for the first."""
        async with self._redis.client() as client:
            answer = await client.xread({self.results: entry_id}, count=100, block=block_ms)
            return _entries(answer)

    async def waiting(self) -> int:
        """How many articles are on the stream."""
        async with self._redis.client() as client:
            return int(await client.xlen(self.articles))

    async def state(self, agents: Sequence[str]) -> QueueState:
        """Lengths of the streams and pending entries of `agents`; an agent that never ran has none."""
        async with self._redis.client() as client:
            pending = dict.fromkeys(agents, 0)
            for stream in (self.articles, self.results):
                if await client.exists(stream):
                    for group in await client.xinfo_groups(stream):
                        if group["name"] in pending:
                            pending[group["name"]] = int(group["pending"])
            return QueueState(
                int(await client.xlen(self.articles)), int(await client.xlen(self._dead)), pending
            )

    async def _read(self, seat: Seat, after: str, count: int, block_ms: int | None) -> list[Entry]:
        async with self._redis.client() as client:
            try:
                answer = await client.xreadgroup(
                    seat.group, seat.consumer, {seat.stream: after}, count=count, block=block_ms
                )
            except ResponseError as problem:
                raise _group_missing(problem) from problem
            return _entries(answer)


def _result(article_id: str, agent: str) -> Any:
    return {"article": article_id, "agent": agent}


def _group_missing(problem: ResponseError) -> Exception:
    return GroupMissing() if str(problem).startswith("NOGROUP") else problem


def _entries(answer: object) -> list[Entry]:
    """The entries in the answer to a read of one stream, in either protocol version.

    A deleted entry that is still pending comes without fields; it is kept, so that it can be acknowledged.
    """
    streams = answer.items() if isinstance(answer, dict) else cast(Sequence[tuple[str, Any]], answer or ())
    found: list[Entry] = []
    for _, batches in streams:
        for item in batches:
            pairs = [item] if isinstance(item, tuple) else item
            found += [Entry(str(identity), fields or {}) for identity, fields in pairs]
    return found
