"""The store in Redis or Valkey, which many machines can share.

A stream of transitions per launcher, whose entries have the identifier ``RUN-SEQ``: the server refuses one that is not greater than the
last, which makes a repeated write harmless even when the first one arrives late. A snapshot per launcher that expires by itself, and the
set of all launchers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from launcher.model.stores import Record, Seen, Snapshot
from launcher.stores.base import StoreTrouble, decoded, encoded, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds to wait for a connection, and for each answer."""

PAGE = 500
"""Records that are read at a time."""

KNOWN = "launcher:launchers"
"""Key of the set of all launchers."""

_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}

_WORDS = {
    "OOM": ("its memory is full", "raise maxmemory of the server, or let it evict keys of other users"),
    "READONLY": ("it is a replica that takes no writes", "name the primary server in [state] url"),
    "NOPERM": ("the user may not do what is needed", "allow the keys launcher:* and the commands on them"),
    "NOAUTH": ("it wants a password", "write it into [state] url: redis://:${PASSWORD}@…"),
    "WRONGPASS": ("it refuses user name or password", "check [state] url"),
    "WRONGTYPE": ("a key launcher:… is used for something else", "use another database: redis://…/1"),
    "MISCONF": ("it cannot save to its disk", "see its log"),
    "DB": ("it has no database of this number", "write a smaller one: redis://…/0"),
    "LOADING": ("it is loading its data", ""),
    "MOVED": ("it is a cluster", "name a server that is none: transactions here span several keys"),
    "CROSSSLOT": ("it is a cluster", "name a server that is none: transactions here span several keys"),
}
"""What the first word of an answer means, and what to do about it. The rest of an answer may quote what was sent, and is not shown."""

_CLASSES = (
    (redis.OutOfMemoryError, "OOM"),
    (redis.exceptions.ReadOnlyError, "READONLY"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.AuthenticationError, "WRONGPASS"),
    (redis.exceptions.AuthenticationWrongNumberOfArgsError, "WRONGPASS"),
    (redis.BusyLoadingError, "LOADING"),
    (redis.exceptions.MovedError, "MOVED"),
)
"""Answers whose first word the library has taken away."""


class RedisStore:
    """Keeps everything in a Redis server; a connection is opened when it is needed, and anew after every failure.

    Args:
        url: of the server; may hold a password.
        kept: how many records of a launcher are kept.
        kept_for: seconds for which a launcher is remembered that writes no more.
    """

    remote = True

    def __init__(self, url: str, kept: int, kept_for: float) -> None:
        self._url = _canonical(url)
        self._kept = kept
        self._kept_for = kept_for
        self._client: redis.Redis | None = None

    def begin(self, launcher: str, at: int) -> int:
        """Return the number of a new run, and forget launchers of which nothing is left; see ``Store``."""

        def ask(client: Any) -> int:
            ids = sorted(client.smembers(KNOWN))
            pipe = client.pipeline(transaction=False)
            for each in ids:
                pipe.exists(_stream(_text(each)), _snapshot(_text(each)))
            gone = [each for each, there in zip(ids, pipe.execute() if ids else [], strict=True) if not there]
            if gone:
                client.srem(KNOWN, *gone)
            top = _top(client, launcher)
            return max(at, top[0] + 1) if top else at

        return self._asked(ask)

    def write(self, launcher: str, run: int, records: Sequence[Record], snapshot: Snapshot | None) -> None:
        """Append and replace in one transaction; see ``Store``."""

        def send(client: Any) -> None:
            stream = _stream(launcher)
            pipe = client.pipeline(transaction=True)
            for record in records:
                pipe.xadd(stream, {"body": encoded(record.body)}, id=f"{run}-{record.seq}")
            if records:
                pipe.xtrim(stream, maxlen=self._kept, approximate=False)
            pipe.pexpire(stream, _milliseconds(self._kept_for))
            if snapshot is not None:
                text = encoded({"lifetime": snapshot.lifetime, "body": snapshot.body})
                pipe.set(_snapshot(launcher), text, px=_milliseconds(snapshot.lifetime))
            pipe.sadd(KNOWN, launcher)
            answers = pipe.execute(raise_on_error=False)
            errors = [answer for answer in answers if isinstance(answer, Exception)]
            if errors:
                self._explain(client, launcher, run, records, errors)

        self._asked(send)

    def records(self, launcher: str) -> Iterator[Record]:
        """Return the records, the latest first, a page at a time."""
        end = "+"
        while True:
            page = self._asked(partial(_page, launcher=launcher, end=end))
            for identifier, fields in page:
                run, seq = _key(identifier)
                # By its place: a parameter of the URL may turn names into text.
                yield Record(seq, decoded(next(iter(fields.values()), b"")), run)
            if len(page) < PAGE:
                return
            end = f"({_text(page[-1][0])}"

    def snapshots(self) -> list[Seen]:
        """Return the last snapshot of every launcher; its age is known from the time that the server still keeps it."""

        def ask(client: Any) -> list[Seen]:
            ids = [_text(each) for each in sorted(client.smembers(KNOWN))]
            pipe = client.pipeline(transaction=True)
            for each in ids:
                pipe.get(_snapshot(each)).pttl(_snapshot(each))
            answers = pipe.execute() if ids else []
            seen = []
            for each, text, left in zip(ids, answers[::2], answers[1::2], strict=True):
                whole = decoded(text or b"")
                if isinstance(whole.get("body"), dict):
                    seen.append(Seen(each, max(0.0, whole["lifetime"] - left / 1000), whole["body"]))
            return seen

        return self._asked(ask)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.close()
            self._client = None

    def _explain(
        self, client: Any, launcher: str, run: int, records: Sequence[Record], errors: Sequence[Exception]
    ) -> None:
        """Return when the refused records are in the stream already, as after a write whose answer was lost.

        Raises:
            Overtaken: another run has gone on.
            redis.RedisError: they are not.
        """
        own = client.xrevrange(_stream(launcher), f"{run}-{2**64 - 1}", f"{run}-0", 1)
        written = _key(own[0][0])[1] if own else 0
        if missing(records, run, _top(client, launcher), written):
            raise errors[0]

    def _asked(self, ask: Callable[[Any], T]) -> T:
        try:
            if self._client is None:
                self._client = self._connected()
            return ask(self._client)
        except (redis.RedisError, OSError, ValueError, TypeError) as error:
            self.close()
            # Without the cause: what the library says may hold what was sent, a password too.
            raise _trouble(error) from None

    def _connected(self) -> redis.Redis:
        try:
            client = redis.Redis.from_url(
                self._url,
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                # Trying again is the writer's business; it knows what else there is to do.
                retry=Retry(NoBackoff(), 0),
                client_name="launcher",
                protocol=2,
            )
            client.connection_pool.make_connection()  # which is not opened, but takes all parameters
        except (TypeError, ValueError):
            raise StoreTrouble(
                "the URL has a parameter that is not understood", hint="see what follows the ? in [state] url"
            ) from None
        return client


def _canonical(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{_SCHEMES.get(scheme.lower(), scheme)}{separator}{rest}"


def _stream(launcher: str) -> str:
    return f"launcher:{launcher}:transitions"


def _snapshot(launcher: str) -> str:
    return f"launcher:{launcher}:snapshot"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _key(identifier: bytes | str) -> tuple[int, int]:
    run, _, seq = _text(identifier).partition("-")
    return int(run), int(seq)


def _page(client: Any, launcher: str, end: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    rows: list[tuple[bytes, dict[bytes, bytes]]] = client.xrevrange(_stream(launcher), end, "-", PAGE)
    return rows


def _top(client: Any, launcher: str) -> tuple[int, int] | None:
    """Return run and number of the last record."""
    rows = client.xrevrange(_stream(launcher), "+", "-", 1)
    return _key(rows[0][0]) if rows else None


def _trouble(error: Exception) -> StoreTrouble:
    """Say in words of our own what went wrong."""
    # An error of a transaction quotes the command before the answer.
    answer = str(error).rpartition("caused error: ")[2]
    first = next((word for kind, word in _CLASSES if isinstance(error, kind)), answer.partition(" ")[0])
    if first in _WORDS:
        message, hint = _WORDS[first]
        return StoreTrouble(message, hint=hint)
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return StoreTrouble(f"no answer within {PATIENCE:g} s")
    if isinstance(error, redis.ConnectionError | OSError):
        return StoreTrouble(_connection_words(error))
    if isinstance(error, redis.ResponseError):
        return StoreTrouble(
            "it refuses what is asked of it", hint="it has to be Valkey, or Redis 6.2 or later"
        )
    return StoreTrouble(f"it answers with what is not understood ({type(error).__name__})")


def _connection_words(error: BaseException) -> str:
    """Return the reason of the operating system, which the library puts into a longer sentence with the address."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, OSError):
        inner = inner.__cause__ or inner.__context__
    if inner is None:
        return "the connection was closed"
    if isinstance(inner, socket.gaierror):
        return "the name of its machine cannot be resolved"
    if isinstance(inner, ssl.SSLError):  # whose numbers are none of the operating system
        return f"no connection with TLS ({inner.reason or type(inner).__name__})"
    return os.strerror(inner.errno).lower() if inner.errno else f"no connection ({type(inner).__name__})"
