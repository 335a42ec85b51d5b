"""A store in an SQLite file: many processes on one host, without any server.

Every operation is one statement in autocommit mode, so a transaction is never left open and never
upgraded. Versions are 63 random bits, so one is not used again when a key is deleted and created.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.base import Stored, system_clock
from wsgi_sessions.stores.given import path_of
from wsgi_sessions.stores.listing import places
from wsgi_sessions.stores.place import check_writable
from wsgi_sessions.stores.sqlite.connections import Connections
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts

__all__ = ["SQLiteStore"]

BATCH = 50
"""Rows removed in one transaction: 0.5 ms of write lock at 600 bytes a record, 2 ms at 50 KB. More
at once would not be cheaper."""

BATCH_SECONDS = 0.004
"""A batch that took longer, on a slow disk or with large records, is followed by smaller ones."""

DDL = (
    """CREATE TABLE IF NOT EXISTS "{table}" (
    key TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    expires_at REAL NOT NULL,
    data BLOB NOT NULL,
    owner TEXT,
    listed_at INTEGER
)""",
    'CREATE INDEX IF NOT EXISTS "{table}_expires_at" ON "{table}" (expires_at)',
    'CREATE INDEX IF NOT EXISTS "{table}_owner" ON "{table}" (owner, listed_at) '
    "WHERE owner IS NOT NULL",
)

UPGRADE = (
    'ALTER TABLE "{table}" ADD COLUMN owner TEXT',
    'ALTER TABLE "{table}" ADD COLUMN listed_at INTEGER',
)

STATEMENTS = {
    "load": 'SELECT data, version FROM "{table}" WHERE key = ? AND expires_at > ?',
    "create": """
        INSERT INTO "{table}" (key, version, expires_at, data, owner, listed_at)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET
            version = excluded.version, expires_at = excluded.expires_at, data = excluded.data,
            owner = excluded.owner, listed_at = excluded.listed_at
        WHERE "{table}".expires_at <= ?""",
    "replace": """
        UPDATE "{table}" SET version = ?, expires_at = ?, data = ?
        WHERE key = ? AND version = ? AND expires_at > ?""",
    "replace_owned": """
        UPDATE "{table}" SET version = ?, expires_at = ?, data = ?, owner = ?,
            listed_at = CASE WHEN owner = ? THEN listed_at ELSE ? END
        WHERE key = ? AND version = ? AND expires_at > ?""",
    "compare_and_delete": 'DELETE FROM "{table}" WHERE key = ? AND version = ? AND expires_at > ?',
    "delete": 'DELETE FROM "{table}" WHERE key = ?',
    "keys": """
        SELECT key FROM "{table}" WHERE key > ? AND expires_at > ? ORDER BY key LIMIT 1000""",
    "expired": 'SELECT 1 FROM "{table}" WHERE expires_at <= ? LIMIT 1',
    "purge": """
        DELETE FROM "{table}" WHERE rowid IN (
            SELECT rowid FROM "{table}" WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)""",
    "keys_of": """
        SELECT key FROM "{table}" WHERE owner = ? AND expires_at > ? ORDER BY listed_at""",
}


class SQLiteStore:
    """Keeps records in table *table* of the SQLite database file at *path*.

    The file (mode 0600; 0660 with *group*, if its group shares the sessions) and the tables are
    made on first use, and again if they are removed while the process runs. With ``create=False``
    neither is made: run :attr:`ddl` yourself. A file that others may write to is refused with
    :exc:`~wsgi_sessions.StoreUnavailable`. Any number of processes may use the file, on one host:
    SQLite's locks do not work on network file systems.

    Every *purge_every* saves up to twice as many expired records are removed, so they do not pile
    up; 0 leaves that to :meth:`purge`. A write waits for the write of another process as long as
    *timeouts* give it for an answer, by default 0.5 s; nothing else of them is used.
    Whatever SQLite refuses, locked, full, read-only or not a database, raises
    :exc:`~wsgi_sessions.StoreUnavailable`.

    Connections are opened when needed and kept; :meth:`close` closes them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        table: str = "sessions",
        create: bool = True,
        group: bool = False,
        purge_every: int = 10,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Callable[[], float] = system_clock,
    ) -> None:
        path = path_of("SQLiteStore", path)
        if path == ":memory:" or path.startswith("file:"):
            raise ConfigurationError(
                f"SQLiteStore needs the path of a file, not {path!r}; "
                f"to keep sessions in memory use MemoryStore"
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", table):
            raise ConfigurationError(
                f"table {table!r} must consist of letters, digits and _, and not begin with a digit"
            )
        if purge_every < 0:
            raise ConfigurationError(f"purge_every must be 0 or more, not {purge_every}")
        self._ddl = [statement.format(table=table) for statement in DDL]
        self._upgrade = [text.format(table=table) for text in (*UPGRADE, DDL[-1])]
        self._sql = {name: text.format(table=table) for name, text in STATEMENTS.items()}
        self.table: str = table
        self.create: bool = create
        self._purge_every = purge_every
        self._saves = 0
        self._clock = clock
        self._places = places(clock)
        self._connections = Connections(
            os.path.abspath(path),
            create=create,
            seconds=check_timeouts(timeouts).answer,
            group=group,
        )

    @property
    def path(self) -> str:
        """The absolute path of the database file."""
        return self._connections.path

    @property
    def ddl(self) -> str:
        """The statements that make the tables and indexes, for ``create=False``."""
        return "".join(f"{statement};\n" for statement in self._ddl)

    def check_place(self) -> None:
        """Raise :exc:`~wsgi_sessions.ConfigurationError` if the file can neither be written to nor
        created. Nothing is created."""
        check_writable(self._connections.path)

    def close(self) -> None:
        """Close the connections of this process. The store can be used again."""
        self._connections.close()

    def load(self, key: str) -> Stored | None:
        rows, _ = self._run("load", key, self._clock())
        return Stored._make(rows[0]) if rows else None

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        now, version = self._clock(), _new_version()
        if expires_at <= now:
            accepted = self._compare_and_delete(key, replacing, now)
        elif replacing is None:
            _, changed = self._run("create", key, version, expires_at, data, None, None, now)
            accepted = changed == 1
        else:
            _, changed = self._run("replace", version, expires_at, data, key, replacing, now)
            accepted = changed == 1
        self._purge_occasionally()
        return version if accepted else None

    def save_owned(
        self,
        key: str,
        data: bytes,
        *,
        expires_at: float,
        replacing: Hashable | None,
        owner: str | None,
        was: str | None,  # noqa: ARG002 - the row says it
    ) -> Hashable | None:
        """The same statement; the owner is a column of the row."""
        now, version = self._clock(), _new_version()
        if expires_at <= now:
            return self.save(key, data, expires_at=expires_at, replacing=replacing)
        place = None if owner is None else next(self._places)
        if replacing is None:
            row = (key, version, expires_at, data, owner, place, now)
            _, changed = self._run("create", *row)
        else:
            change = (version, expires_at, data, owner, owner, place)
            _, changed = self._run("replace_owned", *change, key, replacing, now)
        self._purge_occasionally()
        return version if changed == 1 else None

    def delete(self, key: str) -> None:
        self._run("delete", key)

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records; the number removed. Between two batches the write
        lock is free as long as it was held."""
        removed, batch = 0, BATCH
        while removed < limit:
            size = min(batch, limit - removed)
            began = time.monotonic()
            count = self._purge_batch(size)
            took = time.monotonic() - began
            removed += count
            if count < size:
                break
            if took > BATCH_SECONDS:
                batch = max(1, batch // 2)
            time.sleep(took)
        return removed

    def keys(self) -> Iterator[str]:
        """The keys of the live records; one statement a thousand."""
        last = ""
        while rows := self._run("keys", last, self._clock())[0]:
            yield from (key for (key,) in rows)
            [last] = rows[-1]

    def keys_of(self, owner: str) -> list[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. One
        statement."""
        rows, _ = self._run("keys_of", owner, self._clock())
        return [key for (key,) in rows]

    def _compare_and_delete(self, key: str, replacing: Hashable | None, now: float) -> bool:
        """Carry out a save that leaves nothing stored."""
        if replacing is None:
            return not self._run("load", key, now)[0]
        return self._run("compare_and_delete", key, replacing, now)[1] == 1

    def _purge_occasionally(self) -> None:
        if not self._purge_every:
            return
        self._saves += 1
        if self._saves % self._purge_every == 0:
            with contextlib.suppress(StoreUnavailable):  # the save itself is done
                self._purge_batch(min(2 * self._purge_every, BATCH))

    def _purge_batch(self, limit: int) -> int:
        """Remove up to *limit* expired records. Looks first, which takes no lock."""
        now = self._clock()
        return self._run("purge", now, limit)[1] if self._run("expired", now)[0] else 0

    def _run(self, name: str, *parameters: Any) -> tuple[list[Any], int]:
        """The rows and the number of rows changed."""
        sql, connections = self._sql[name], self._connections
        try:
            connection = connections.acquire()
            try:
                try:
                    cursor = connection.execute(sql, parameters)
                except sqlite3.OperationalError as error:
                    if not (self.create and str(error).startswith("no such table")):
                        raise
                    self._create_tables(connection)
                    cursor = connection.execute(sql, parameters)
                return cursor.fetchall(), cursor.rowcount
            finally:
                connections.release(connection)
        except sqlite3.Error as error:
            if re.search("no such column|has no column", str(error)):
                raise ConfigurationError(
                    f"SQLite database {self._connections.path}: the table is of an earlier shape, "
                    f"without owners: run {'; '.join(self._upgrade)}"
                ) from None
            raise StoreUnavailable(
                f"SQLite database {self._connections.path}: {error}",
                applied=False,
                busy=not getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"),
            ) from error

    def _create_tables(self, connection: sqlite3.Connection) -> None:
        """All or none, also when many processes begin at the same time."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in self._ddl:
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise


def _new_version() -> int:
    return int.from_bytes(os.urandom(8)) >> 1
