"""Sessions in PostgreSQL, MySQL, MariaDB or SQLite, over SQLAlchemy.

This module needs nothing but the standard library; what needs SQLAlchemy is in the modules beside
it and is imported when a store is built.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Hashable, Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.base import Stored, system_clock
from wsgi_sessions.stores.text import parse_boolean

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

    from wsgi_sessions.cli.checks import Finding
    from wsgi_sessions.stores.sqlalchemy.database import Result

__all__ = ["SQLAlchemyStore"]

BATCH = 200
"""Rows removed by one statement of ``purge``."""

LAST = 2**63 - 1  # the end of times in a BIGINT


class SQLAlchemyStore:
    """Keeps sessions in a table of its own, over connections and transactions of its own.

    *engine_or_url* is a URL of SQLAlchemy's (``postgresql://``, ``mysql://``, ``mariadb://``,
    ``sqlite+pysqlite:///path``; the drivers are psycopg and PyMySQL), or an ``Engine`` of one of
    these databases with any driver. From a URL the store builds an engine that allows 250 ms to
    connect and 500 ms to answer. An engine handed in keeps its own limits (most drivers have none)
    and its pool, from which the store takes a connection for each operation; no connection,
    ``Session`` or transaction that the application has open is touched. With it, MySQL and SQLite
    are sent a ``COMMIT`` after each statement, and what the pool sends when a connection comes
    back. An engine that has one connection for all cannot be used.

    *table* and *schema* name the table; ``{table}_owners`` is beside it. Both are made when they
    turn out to be missing, also while the process runs. With *create* false they are not:
    :attr:`ddl` has the statements.

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
    ) -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,44}", table):
            raise ConfigurationError(
                "the name of the table has up to 45 letters, digits and underscores, "
                f"and no digit first: {table!r}"
            )
        try:
            from wsgi_sessions.stores.sqlalchemy.database import Database
            from wsgi_sessions.stores.sqlalchemy.engine import engine_of
            from wsgi_sessions.stores.sqlalchemy.tables import Tables
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                'SQLAlchemyStore needs SQLAlchemy: pip install "wsgi-sessions[sqlalchemy]"'
            ) from error
        engine, own = engine_of(engine_or_url)
        self._database = Database(engine, Tables(table, schema), own=own, create=create)
        self._mysql = engine.dialect.name in ("mysql", "mariadb")

    @classmethod
    def from_url(cls, url: str) -> SQLAlchemyStore:
        """The store for ``postgresql://user:password@host/database?table=…&schema=…&create=…``.

        Other options in the query are the driver's.
        """
        address, _, query = url.partition("?")
        options: dict[str, Any] = {}
        theirs = []
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            if name in ("table", "schema", "create"):
                options[name] = parse_boolean(name, value) if name == "create" else value
            else:
                theirs.append(pair)
        return cls(f"{address}?{'&'.join(theirs)}" if theirs else address, **options)

    def __repr__(self) -> str:
        return f"<SQLAlchemyStore {self._database.name}>"

    @property
    def ddl(self) -> str:
        """The statements that make the tables and indexes where they are missing."""
        return "".join(f"{statement};\n" for statement in self._database.ddl())

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
        unclear whether this save or another one has changed what was there.
        """
        version = 1 + secrets.randbelow(LAST)  # 0 would be "none" for MySQL's last insert id
        if expires_at <= system_clock():
            return version if self._end(key, replacing) else None
        values = {
            "this": key.encode(),
            "version": version,
            "expires_at": _microseconds(expires_at),
            "data": data,
        }
        if replacing is None:
            result = self._database.run("create", **values)
            saved = not result.last_id if self._mysql else result.changed > 0
        else:
            result = self._database.run("replace", replacing=replacing, **values)
            saved = result.changed > 0
        return version if saved or _refused(result) else None

    def _end(self, key: str, replacing: Hashable | None) -> bool:
        """Carry out a save that leaves nothing there."""
        if replacing is None:
            return self.load(key) is None
        result = self._database.run("end", this=key.encode(), replacing=replacing)
        return result.changed > 0 or _refused(result)

    def touch(self, key: str, *, expires_at: float) -> bool:
        """One ``UPDATE``; a ``DELETE`` for a time that is over."""
        if expires_at <= system_clock():
            result = self._database.run("end_any", this=key.encode())
            return result.changed > 0 or _refused(result)
        end = _microseconds(expires_at)
        return self._database.run("touch", this=key.encode(), expires_at=end).changed > 0

    def delete(self, key: str) -> None:
        """One ``DELETE``."""
        self._database.run("delete", this=key.encode())

    def purge(self, limit: int = 1000) -> int:
        """Remove up to *limit* expired records, and as many expired notes of owners.

        In batches of 200 by the index on the expiry, each a transaction of its own. Rows that are
        locked are passed over by PostgreSQL.
        """
        removed = 0
        while removed < limit:
            batch = min(BATCH, limit - removed)
            self._database.run("purge_owners", limit=batch)
            count = self._database.run("purge", limit=batch).changed
            removed += count
            if count < batch:
                break
        return removed

    def keys(self) -> Iterator[str]:
        """One ``SELECT`` for every 1,000 keys."""
        last = b""
        while rows := self._database.run("keys", this=last).rows:
            for (key,) in rows:
                last = bytes(key)
                yield last.decode()

    def link(self, owner: str, key: str, *, expires_at: float) -> None:
        """One ``INSERT``. Of *owner* only the SHA-256 is kept."""
        end = _microseconds(expires_at)
        self._database.run("link", owner=_digest(owner), this=key.encode(), expires_at=end)

    def unlink(self, owner: str, key: str) -> None:
        """One ``DELETE``."""
        self._database.run("unlink", owner=_digest(owner), this=key.encode())

    def keys_of(self, owner: str) -> Iterable[str]:
        """One ``SELECT``."""
        rows = self._database.run("keys_of", owner=_digest(owner)).rows
        return [bytes(key).decode() for (key,) in rows]

    def findings(self) -> Iterator[Finding]:
        """For ``wsgi-sessions check``: server, way to it, tables, and what waits for a purge."""
        from wsgi_sessions.cli.checks.sqlalchemy import findings

        return findings(self, self._database)

    def close(self) -> None:
        """Close the connections, unless the engine was handed in. The store can still be used."""
        self._database.close()


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
