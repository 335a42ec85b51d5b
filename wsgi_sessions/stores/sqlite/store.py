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
    data BLOB NOT NULL
)""",
    'CREATE INDEX IF NOT EXISTS "{table}_expires_at" ON "{table}" (expires_at)',
    """CREATE TABLE IF NOT EXISTS "{table}_owners" (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (owner, key)
)""",
    'CREATE INDEX IF NOT EXISTS "{table}_owners_expires_at" ON "{table}_owners" (expires_at)',
)

STATEMENTS = {
    "load": 'SELECT data, version FROM "{table}" WHERE key = ? AND expires_at > ?',
    "create": """
        INSERT INTO "{table}" (key, version, expires_at, data) VALUES (?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET
            version = excluded.version, expires_at = excluded.expires_at, data = excluded.data
        WHERE "{table}".expires_at <= ?""",
    "replace": """
        UPDATE "{table}" SET version = ?, expires_at = ?, data = ?
        WHERE key = ? AND version = ? AND expires_at > ?""",
    "compare_and_delete": 'DELETE FROM "{table}" WHERE key = ? AND version = ? AND expires_at > ?',
    "delete": 'DELETE FROM "{table}" WHERE key = ?',
    "keys": """
        SELECT key FROM "{table}" WHERE key > ? AND expires_at > ? ORDER BY key LIMIT 1000""",
    "expired": 'SELECT 1 FROM "{table}" WHERE expires_at <= ? LIMIT 1',
    "purge": """
        DELETE FROM "{table}" WHERE rowid IN (
            SELECT rowid FROM "{table}" WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)""",
    "link": """
        INSERT INTO "{table}_owners" (owner, key, expires_at) VALUES (?, ?, ?)
        ON CONFLICT (owner, key) DO UPDATE SET expires_at = excluded.expires_at""",
    "unlink": 'DELETE FROM "{table}_owners" WHERE owner = ? AND key = ?',
    "keys_of": 'SELECT key FROM "{table}_owners" WHERE owner = ? AND expires_at > ?',
    "expired_owners": 'SELECT 1 FROM "{table}_owners" WHERE expires_at <= ? LIMIT 1',
    "purge_owners": """
        DELETE FROM "{table}_owners" WHERE rowid IN (
            SELECT rowid FROM "{table}_owners"
            WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)""",
}


class SQLiteStore:
    """Keeps records in table *table* of the SQLite database file at *path*.

    The file (mode 0600) and the tables are made on first use, and again if they are removed while
    the process runs. With ``create=False`` neither is made: run :attr:`ddl` yourself. Any number of
    processes may use the file, on one host: SQLite's locks do not work on network file systems.

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
        self._sql = {name: text.format(table=table) for name, text in STATEMENTS.items()}
        self.table: str = table
        self.create: bool = create
        self._purge_every = purge_every
        self._saves = 0
        self._clock = clock
        self._connections = Connections(
            os.path.abspath(path), create=create, seconds=check_timeouts(timeouts).answer
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
        now = self._clock()
        version = int.from_bytes(os.urandom(8)) >> 1
        if expires_at <= now:
            accepted = self._compare_and_delete(key, replacing, now)
        elif replacing is None:
            _, changed = self._run("create", key, version, expires_at, data, now)
            accepted = changed == 1
        else:
            _, changed = self._run("replace", version, expires_at, data, key, replacing, now)
            accepted = changed == 1
        self._purge_occasionally()
        return version if accepted else None

    def delete(self, key: str) -> None:
        self._run("delete", key)

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records, and as many expired entries of owners; the number
        of records removed. Between two batches the write lock is free as long as it was held."""
        removed, batch = 0, BATCH
        while removed < limit:
            size = min(batch, limit - removed)
            began = time.monotonic()
            records, owners = self._purge_batch(size)
            took = time.monotonic() - began
            removed += records
            if max(records, owners) < size:
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

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        self._run("link", owner, key, expires_at)

    def unlink(self, owner: str, key: str) -> None:
        self._run("unlink", owner, key)

    def keys_of(self, owner: str) -> list[str]:
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

    def _purge_batch(self, limit: int) -> tuple[int, int]:
        """Remove up to *limit* expired records and entries of owners. Looks first, which takes no
        lock."""
        now = self._clock()
        records = owners = 0
        if self._run("expired", now)[0]:
            records = self._run("purge", now, limit)[1]
        if self._run("expired_owners", now)[0]:
            owners = self._run("purge_owners", now, limit)[1]
        return records, owners

    def _run(self, name: str, *parameters: Any) -> tuple[list[Any], int]:
        """The rows and the number of rows changed."""
        try:
            connection = self._connections.acquire()
            try:
                return self._execute(connection, self._sql[name], parameters)
            finally:
                self._connections.release(connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"SQLite database {self._connections.path}: {error}",
                applied=False,
                busy=not getattr(error, "sqlite_errorname", "").startswith("SQLITE_IOERR"),
            ) from error

    def _execute(
        self, connection: sqlite3.Connection, sql: str, parameters: tuple[Any, ...]
    ) -> tuple[list[Any], int]:
        try:
            cursor = connection.execute(sql, parameters)
        except sqlite3.OperationalError as error:
            if not (self.create and str(error).startswith("no such table")):
                raise
            self._create_tables(connection)
            cursor = connection.execute(sql, parameters)
        return cursor.fetchall(), cursor.rowcount

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
