"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite, over SQLAlchemy.

This module needs nothing but the standard library; what needs SQLAlchemy is in the modules beside
it and is imported when a store is built.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Hashable, Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable, cannot_import
from wsgi_sessions.stores.base import Expired, Stored, system_clock
from wsgi_sessions.stores.listing import places
from wsgi_sessions.stores.sqlalchemy.faults import describe
from wsgi_sessions.stores.sqlalchemy.limits import limits_of
from wsgi_sessions.stores.timeouts import DEFAULT_TIMEOUTS, Timeouts, check_timeouts
from wsgi_sessions.stores.url_options import FLAG, TEXT, take_options

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import URL, Engine

    from wsgi_sessions.stores.sqlalchemy.database import Result

__all__ = ["SQLAlchemyStore"]

BATCH = 200
"""Rows removed by one statement of ``purge``."""

LAST = 2**63 - 1  # the end of times in a BIGINT


class SQLAlchemyStore:
    """Keeps sessions in a table of its own, over connections and transactions of its own.

    *engine_or_url* is a URL of SQLAlchemy's (``postgresql://``, ``mysql://``, ``mariadb://``,
    ``sqlite+pysqlite:///path``; the drivers are psycopg and PyMySQL), or an ``Engine`` of one of
    these databases with any driver. From a URL the store builds an engine with *timeouts*, by
    default 250 ms to connect and 500 ms to answer: an operation ends after 1.1 seconds whatever
    happens (after 1.4, if it is a load whose connection has died without a word). An engine handed
    in keeps its own limits (most drivers have none). Of one with a ``QueuePool`` the store takes a
    second pool, of the same creator, events and size, so that requests which hold a connection each
    do not wait for themselves; another engine is used as it is. No connection, ``Session`` or
    transaction that the application has open is touched. With it, MySQL and SQLite are sent a
    ``COMMIT`` after each statement, and what the pool sends when a connection comes back. An engine
    that has one connection for all (``StaticPool``; for each thread, ``SingletonThreadPool``) is
    used as it is too, since a database in memory may live in it; there the ``COMMIT`` is one of
    whatever the application has begun on it.

    *table* and *schema* name the table. It is made when it turns out to be missing, also while the
    process runs. With *create* false it is not: :attr:`ddl` has the statements. The owner of a
    session is a column of its row, as a SHA-256, with an index.

    The database's clock decides what has expired, for every operation, so hosts whose clocks
    differ agree on it. A host whose clock is wrong gives its own sessions a wrong end, no others.
    Expired rows stay until :meth:`purge`.

    Each operation is one statement in a transaction of its own. After a connection turned out to
    be closed, a deadlock or a serialization failure, it is sent a second time.
    """

    def __init__(
        self,
        engine_or_url: Engine | URL | str,
        *,
        table: str = "sessions",
        schema: str | None = None,
        create: bool = True,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,44}", table):
            raise ConfigurationError(
                "the name of the table has up to 45 letters, digits and underscores, "
                f"and no digit first: {table!r}"
            )
        limits = limits_of(check_timeouts(timeouts))
        try:
            from wsgi_sessions.stores.sqlalchemy.database import Database
            from wsgi_sessions.stores.sqlalchemy.engine import engine_of
            from wsgi_sessions.stores.sqlalchemy.table import SessionTable
        except ImportError as error:
            needs = "SQLAlchemyStore needs SQLAlchemy"
            raise cannot_import(error, needs, "wsgi-sessions[sqlalchemy]") from error
        engine, pooler = engine_of(engine_or_url, limits)
        self._database = Database(
            engine, SessionTable(table, schema), limits, pooler=pooler, create=create
        )
        self._places = places(system_clock)
        self._mysql = engine.dialect.name in ("mysql", "mariadb")

    @classmethod
    def from_url(cls, url: str) -> SQLAlchemyStore:
        """The store for ``postgresql://user:password@host/database?table=…&schema=…&create=…``,
        with ``connect_timeout`` and ``answer_timeout``. A pooler is noticed at once:
        nothing is asked of its sessions, and connections are closed after use. With
        ``pooler=transaction``, for that mode of it, they are kept. Other options are the driver's.
        """
        address, options = take_options(url, {"table": TEXT, "schema": TEXT, "create": FLAG})
        return cls(address, **options)

    def __repr__(self) -> str:
        return f"<SQLAlchemyStore {self._database.name}>"

    @property
    def ddl(self) -> str:
        """The statements that make the tables and indexes where they are missing."""
        return "".join(f"{statement};\n" for statement in self._database.ddl())

    @property
    def engine(self) -> Engine:
        """The engine over which the store works."""
        return self._database.engine

    @property
    def table(self) -> Table:
        """The table, for Alembic for example: its ``metadata`` has nothing else in it."""
        return self._database.table.records

    @property
    def create(self) -> bool:
        """Whether the store makes its table where it is missing."""
        return self._database.create

    def load(self, key: str) -> Stored | None:
        """One ``SELECT``. A row with something else than bytes in it is missing."""
        for data, version in self._database.run("load", this=key.encode()).rows:
            if isinstance(data, (bytes, bytearray, memoryview)):
                return Stored(bytes(data), version)
        return None

    def save(
        self, key: str, data: bytes, *, expires_at: float, replacing: Hashable | None
    ) -> Hashable | None:
        """One ``INSERT``, ``UPDATE`` or ``DELETE``.

        Raises :exc:`~wsgi_sessions.StoreUnavailable` too if the connection was lost and it is
        unclear whether this save or another one has changed the stored record, and
        :exc:`~wsgi_sessions.ConfigurationError`, with the statements to run, for a table of an
        earlier shape.
        """
        return self._save("replace", key, data, expires_at, replacing, None)

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
        """The same statement; the owner is a column of the row, and only its SHA-256 is kept."""
        return self._save("replace_owned", key, data, expires_at, replacing, owner)

    def delete(self, key: str) -> None:
        """One ``DELETE``."""
        self._database.run("delete", this=key.encode())

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records.

        In batches of 200 by the index on the expiry, each a transaction of its own. Rows that are
        locked are passed over by PostgreSQL.
        """
        removed = 0
        while removed < limit:
            batch = min(BATCH, limit - removed)
            count = self._database.run("purge", limit=batch).changed
            removed += count
            if count < batch:
                break
        return removed

    def keys(self) -> Iterator[str]:
        """One ``SELECT`` for each 1,000 keys."""
        last = b""
        while rows := self._database.run("keys", this=last).rows:
            for (key,) in rows:
                last = bytes(key)
                yield last.decode()

    def keys_of(self, owner: str) -> Sequence[str]:
        """The keys of the live records of *owner*, in the order in which they were listed. One
        ``SELECT``."""
        rows = self._database.run("keys_of", owner=_digest(owner)).rows
        return [bytes(key).decode() for (key,) in rows]

    def expired(self, limit: int) -> Expired:
        """What waits for a purge, counted up to *limit*. One ``SELECT``."""
        [(records, oldest)] = self._database.run("expired", limit=limit).rows
        return Expired(int(records), float(oldest or 0) / 1e6)

    def unavailable(self, error: Exception) -> StoreUnavailable:
        """A driver's or SQLAlchemy's *error* as the store reports it: in one line, without the
        details in which servers quote a row's values."""
        return StoreUnavailable(f"{self._database.name}: {describe(error)}")

    def close(self) -> None:
        """Close the connections that are not in use, except those of the application's own pool.
        The store can still be used."""
        self._database.close()

    def _save(
        self,
        replace: str,
        key: str,
        data: bytes,
        expires_at: float,
        replacing: Hashable | None,
        owner: str | None,
    ) -> Hashable | None:
        version = 1 + secrets.randbelow(LAST)  # 0 would be "none" for MySQL's last insert id
        if expires_at <= system_clock():
            return version if self._compare_and_delete(key, replacing) else None
        values: dict[str, Any] = {
            "this": key.encode(),
            "version": version,
            "expires_at": _microseconds(expires_at),
            "data": data,
        }
        if owner is not None:
            values |= {"owner": _digest(owner), "listed_at": next(self._places)}
        elif replacing is None or replace == "replace_owned":
            values |= {"owner": None, "listed_at": None}
        if replacing is None:
            result = self._database.run("create", **values)
            saved = not result.last_id if self._mysql else result.changed > 0
        else:
            result = self._database.run(replace, replacing=replacing, **values)
            saved = result.changed > 0
        return version if saved or _refused(result) else None

    def _compare_and_delete(self, key: str, replacing: Hashable | None) -> bool:
        """Carry out a save that leaves nothing stored."""
        if replacing is None:
            return self.load(key) is None
        result = self._database.run("compare_and_delete", this=key.encode(), replacing=replacing)
        return result.changed > 0 or _refused(result)


def _microseconds(moment: float) -> int:
    """Rounded up, so that nothing ends early."""
    return min(math.ceil(moment * 1e6), LAST) if moment < LAST else LAST


def _refused(result: Result) -> bool:
    """``False`` for a statement that found nothing to change; an error if it may have been sent
    twice, since the first one may have done it and something else have come since."""
    if result.resent:
        raise StoreUnavailable("the answer to a save was lost: it may or may not have happened")
    return False


def _digest(owner: str) -> bytes:
    return sha256(owner.encode("utf-8", "surrogatepass")).digest()
