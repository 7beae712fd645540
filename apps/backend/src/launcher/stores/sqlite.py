"""The store in a file, for one machine: several launchers may share it, and a history needs no launcher."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launcher.model.stores import Record, Seen, Snapshot
from launcher.stores.base import StoreTrouble, decoded, encoded, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PATIENCE = 2.0
"""Seconds to wait for a lock that another process holds."""

VERSION = 1
"""Of the tables, in ``user_version`` of the file; a file of a later version is left alone."""

_TABLES = """
CREATE TABLE IF NOT EXISTS transitions (
    launcher TEXT NOT NULL, run INTEGER NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (launcher, run, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS launchers (
    launcher TEXT NOT NULL PRIMARY KEY, heard REAL NOT NULL, shown REAL, lifetime REAL, snapshot TEXT
) WITHOUT ROWID;
"""

_HINTS = {
    sqlite3.SQLITE_BUSY: "another process holds the file; it is tried again",
    sqlite3.SQLITE_LOCKED: "another process holds the file; it is tried again",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_READONLY: "let the user of the launcher write the file and its directory",
    sqlite3.SQLITE_PERM: "let the user of the launcher write the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "see that its directory exists and belongs to the user of the launcher",
    sqlite3.SQLITE_CORRUPT: "move the file away: another one is made",
    sqlite3.SQLITE_NOTADB: "it is no SQLite file: name another one, or move it away",
}


_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class _Open(NamedTuple):
    """The file that is open: the connection, and which file it was."""

    connection: sqlite3.Connection
    identity: tuple[int, int]


class SqliteStore:
    """Keeps everything in one file, which is made with its directory when it is first written.

    Args:
        path: absolute path of the file.
        kept: how many records of a launcher are kept.
        kept_for: seconds for which a launcher is remembered that writes no more.
        clock: seconds since the epoch.
    """

    remote = False

    def __init__(
        self, path: str | os.PathLike[str], kept: int, kept_for: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = Path(path)
        self._kept = kept
        self._kept_for = kept_for
        self._clock = clock
        self._open: _Open | None = None

    def begin(self, launcher: str, at: int) -> int:
        """Return the number of a new run, and forget launchers that have not written for long; see ``Store``."""
        with self._transaction() as connection:
            gone = self._clock() - self._kept_for
            connection.execute("DELETE FROM launchers WHERE heard < ? AND launcher <> ?", (gone, launcher))
            connection.execute(
                "DELETE FROM transitions WHERE launcher NOT IN (SELECT launcher FROM launchers)"
            )
            top = _top(connection, launcher)
        return max(at, top[0] + 1) if top else at

    def write(self, launcher: str, run: int, records: Sequence[Record], snapshot: Snapshot | None) -> None:
        """Append and replace in one transaction; see ``Store``."""
        with self._transaction() as connection:
            written = connection.execute(
                "SELECT max(seq) FROM transitions WHERE launcher = ? AND run = ?", (launcher, run)
            ).fetchone()[0]
            new = missing(records, run, _top(connection, launcher), written or 0)
            connection.executemany(
                "INSERT INTO transitions VALUES (?, ?, ?, ?)",
                [(launcher, run, record.seq, encoded(record.body)) for record in new],
            )
            now = self._clock()
            connection.execute(
                "INSERT INTO launchers (launcher, heard) VALUES (?, ?) ON CONFLICT DO UPDATE SET heard = ?",
                (launcher, now, now),
            )
            if new:
                self._trim(connection, launcher)
            if snapshot is not None:
                connection.execute(
                    "UPDATE launchers SET shown = ?, lifetime = ?, snapshot = ? WHERE launcher = ?",
                    (now, snapshot.lifetime, encoded(snapshot.body), launcher),
                )

    def records(self, launcher: str) -> Iterator[Record]:
        """Return the records, the latest first."""
        query = "SELECT run, seq, body FROM transitions WHERE launcher = ? ORDER BY run DESC, seq DESC"
        with self._reading() as connection:
            if connection is not None:
                for run, seq, text in connection.execute(query, (launcher,)):
                    yield Record(seq, decoded(text), run)

    def snapshots(self) -> list[Seen]:
        """Return the last snapshot of every launcher."""
        query = "SELECT launcher, shown, lifetime, snapshot FROM launchers WHERE snapshot IS NOT NULL ORDER BY launcher"
        now = self._clock()
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute(query).fetchall()
        # A clock that was put back makes no snapshot younger than new.
        aged = [(launcher, max(0.0, now - shown), lifetime, text) for launcher, shown, lifetime, text in rows]
        return [
            Seen(launcher, age, decoded(text)) for launcher, age, lifetime, text in aged if age < lifetime
        ]

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            with contextlib.suppress(sqlite3.Error):
                self._open.connection.close()
            self._open = None

    def _trim(self, connection: sqlite3.Connection, launcher: str) -> None:
        oldest = connection.execute(
            "SELECT run, seq FROM transitions WHERE launcher = ? ORDER BY run DESC, seq DESC LIMIT 1 OFFSET ?",
            (launcher, self._kept - 1),
        ).fetchone()
        if oldest is not None:
            connection.execute(
                "DELETE FROM transitions WHERE launcher = ? AND (run, seq) < (?, ?)", (launcher, *oldest)
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; after any failure the file is opened anew, since it may have been replaced by another one."""
        try:
            connection = self._writable()
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise _trouble(error) from None
        except BaseException:
            self.close()  # which rolls back
            raise

    def _writable(self) -> sqlite3.Connection:
        if self._open is not None and self._open.identity != _identity(self._path):
            self.close()  # somebody has moved the file away
        if self._open is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Reasons and environments of a backend are nobody else's business.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
            self._open = _Open(connection, _identity(self._path))
            _check_version(connection)
            # A write-ahead log: who reads does not hold up who writes. Without a sync for each write a loss of power may cost the last
            # ones; the end of a process costs nothing, and the file stays whole in both cases.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        return self._open.connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection that changes nothing; ``None`` where nothing was ever written."""
        if not self._path.exists():
            yield None
            return
        try:
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=ro", uri=True, timeout=PATIENCE, isolation_level=None
            )
            try:
                _check_version(connection)
                found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'launchers'").fetchone()
                yield connection if found else None
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            raise _trouble(error) from None


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino


def _top(connection: sqlite3.Connection, launcher: str) -> tuple[int, int] | None:
    """Return run and number of the last record."""
    row: tuple[int, int] | None = connection.execute(
        "SELECT run, seq FROM transitions WHERE launcher = ? ORDER BY run DESC, seq DESC LIMIT 1", (launcher,)
    ).fetchone()
    return row


def _check_version(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise StoreTrouble(
            f"the file is of a later version of the launcher ({found}; this one knows {VERSION})",
            hint="use that version, or another file",
        )


def _trouble(error: sqlite3.Error | OSError) -> StoreTrouble:
    if isinstance(error, OSError):
        code = sqlite3.SQLITE_READONLY if error.errno in _FORBIDDEN else sqlite3.SQLITE_CANTOPEN
        return StoreTrouble((error.strerror or type(error).__name__).lower(), hint=_HINTS[code])
    # The lower byte of an extended code is the primary one (https://www.sqlite.org/rescode.html).
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return StoreTrouble(str(error), hint=_HINTS.get(code, ""))
