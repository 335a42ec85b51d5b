"""Runs the statements of the SQLAlchemy store over an engine, and reports what went wrong.

How this works, and the rules for maintainers:

* Statements go over the driver's own cursor on a connection checked out of the engine's pool; going
  through SQLAlchemy's Core would double the cost of an operation.
* Any exception, ``BaseException`` too (a gevent timeout, ``KeyboardInterrupt``), costs the
  connection it came over: an answer may still arrive over it. One that comes while the pool is at
  work costs the pool.
* A connection that turns out to be closed, or to be to a server that only reads since a failover,
  is likely not the only one. So the idle ones are dropped too, and the statement is sent once more
  over a new one, if little time has gone by. All statements are such that this does no harm; the
  result says so, for those where it matters.
* A balancer or a firewall forgets connections without a word, and what is sent over one gets no
  answer. So one that was idle for longer than 30 s is replaced before it is used, with all others
  (which were idle longer still), and a statement that reads or deletes and got no answer over a
  connection that was kept is sent once more over a new one, whatever time has gone by.
* Connections belong to a process, by its pid (uWSGI forks without Python's hooks): two that use
  one would read each other's answers.
* SQLite has locks inside, which a child would find held forever if a thread of the parent was in
  there. So a fork that Python makes waits for the statements that are running.
* The tables are made when a statement fails because they are missing, so that a process that finds
  them asks nothing.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import Pool, QueuePool, SingletonThreadPool, StaticPool

from wsgi_sessions.errors import ConfigurationError, StoreUnavailable
from wsgi_sessions.stores.forks import PerProcess, around_fork
from wsgi_sessions.stores.sqlalchemy.faults import Fault, describe
from wsgi_sessions.stores.sqlalchemy.limits import Limits
from wsgi_sessions.stores.sqlalchemy.pooler import Pooler
from wsgi_sessions.stores.sqlalchemy.table import FAMILIES, SessionTable, Statement
from wsgi_sessions.stores.sqlalchemy.unread import has_unread
from wsgi_sessions.stores.timeouts import IDLE_SECONDS

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection  # SQLAlchemy 1.4 has no such name

__all__ = ["Database", "Result"]

CREATE_ATTEMPTS = 4
_TICK_SECONDS = 0.0005  # by which a thread and a fork look whether the other is done

logger: logging.Logger = logging.getLogger("wsgi_sessions")

REPEATABLE = {Fault.LOST, Fault.ROLLED_BACK, Fault.READ_ONLY, Fault.POOLED}
WITH_ALL = {Fault.LOST, Fault.READ_ONLY, Fault.POOLED}
"""Faults of one connection that the idle ones are likely to have, too."""
USED_AT = "wsgi_sessions.used_at"
"""In the ``info`` of a kept connection: when it was last given back."""
HARMLESS = {"load", "keys", "keys_of", "expired", "delete"}
"""Statements that may be carried out twice, however much later."""
SUSPECT_PACKET_BYTES = 500_000
"""Escaped, they may be more than some server's max_allowed_packet."""


class Result(NamedTuple):
    """What a statement did."""

    rows: list[Any]
    changed: int
    last_id: int | None
    resent: bool = False
    """Sent before over a connection that was lost: may have been carried out then."""


class Database:
    """An engine, and the table in it."""

    def __init__(
        self,
        engine: Engine,
        table: SessionTable,
        limits: Limits,
        *,
        pooler: Pooler | None,
        create: bool,
    ) -> None:
        """Over *engine*, which is the store's own if there is a *pooler* to know of."""
        self.engine: Engine = engine
        self.table: SessionTable = table
        self.create: bool = create
        self.limits: Limits = limits
        self._pooler = pooler
        self._own = own = pooler is not None
        self._has_pool = isinstance(engine.pool, QueuePool)
        self._has_one = isinstance(engine.pool, StaticPool | SingletonThreadPool)
        """One connection for all or for each thread, the application's: it may be all that a
        database in memory lives in, so it is never closed."""
        driver: Any = engine.dialect.dbapi  # "loaded_dbapi", but SQLAlchemy 1.4 has no such name
        self._driver_error: Any = driver.Error
        self._errors = (self._driver_error, SQLAlchemyError, OSError)
        self._mysql = FAMILIES[engine.dialect.name] == "mysql"
        # Text has two digits for each byte of a record: a read of 50 KB costs five times as much.
        # Of an engine handed in, the application may have chosen cursors that cannot do it.
        reads_binary = own and engine.dialect.driver == "psycopg"
        self._cursor_options = {"binary": True} if reads_binary else {}
        self._borrows_autocommit = not own and engine.dialect.name == "postgresql"
        self._statements: dict[str, Statement] | None = None
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._creating = PerProcess(Lock)
        self._process = os.getpid()
        self._renewing = PerProcess(Lock)
        self._inherited: list[Pool] = []
        _databases.add(self)

    def ddl(self) -> list[str]:
        """The statements that make the table."""
        return self.table.ddl(self.engine.dialect)

    def close(self) -> None:
        """Close the connections that are not in use, if they are the store's own."""
        if self._has_pool:
            self.engine.dispose()

    def _count(self) -> AbstractContextManager[object]:
        return _running.get()() if self._is_sqlite else nullcontext()

    def _leave_to_parent(self) -> None:
        """In a child: use no connection of the parent's. They are kept, since collecting one might
        close it; but SQLite's are closed, which in another process it would take for its own (see
        :mod:`wsgi_sessions.stores.sqlite.connections`). One connection for all is the application's
        to renew: it may be a database in memory."""
        with self._renewing.get():
            if self._process == os.getpid():
                return
            if not self._has_one:
                self._inherited.append(self.engine.pool)
                self.engine.dispose(close=self._is_sqlite)
            self._process = os.getpid()

    def run(self, name: str, /, **values: Any) -> Result:
        """Carry out one statement. Raises :exc:`StoreUnavailable` where that cannot be done,
        without the driver's error as its cause, since a server may quote the row in it; and
        :exc:`ConfigurationError` for a table without the columns of owners."""
        started = monotonic()
        try:
            return self._attempt(name, values)
        except _Failed as failed:
            first = failed
        if first.fault is Fault.MISSING_TABLE and self.create:
            return self._attempt_with_tables(name, values)
        died = first.kept and first.fault is Fault.LOST and name in HARMLESS
        in_time = first.fault in REPEATABLE and monotonic() - started <= self.limits.retry
        if not (died or in_time):
            raise self._unavailable(first, values) from None
        try:
            return self._attempt(name, values)._replace(resent=first.fault is Fault.LOST)
        except _Failed as failed:
            unavailable = self._unavailable(failed, values)
            if first.fault is Fault.LOST and isinstance(unavailable, StoreUnavailable):
                unavailable.applied = None  # the first attempt may have been carried out
            raise unavailable from None

    def _attempt_with_tables(self, name: str, values: Mapping[str, Any]) -> Result:
        """Carry out a statement that failed because the tables are missing.

        One thread makes them. That can take longer than a statement may, most of all while other
        processes do so too.
        """
        with self._creating.get():
            for _ in range(CREATE_ATTEMPTS):
                try:
                    return self._attempt(name, values)
                except _Failed as failed:
                    last = failed
                if last.fault is not Fault.MISSING_TABLE:
                    break
                self._create_tables()
        raise self._unavailable(last, values) from None

    def _attempt(self, name: str, values: Mapping[str, Any]) -> Result:
        if self._process != os.getpid():
            self._leave_to_parent()
        with self._count(), self._cursor(writes=name not in HARMLESS) as cursor:
            if self._statements is None:  # connected, so the dialect knows the server's version
                self._statements = self.table.statements(self.engine.dialect)
            statement = self._statements[name]
            cursor.execute(statement.text, statement.parameters(values))
            rows = cursor.fetchall() if cursor.description else []
            return Result(rows, cursor.rowcount, getattr(cursor, "lastrowid", None))

    def _create_tables(self) -> None:
        """Make the tables, unless another process does so at the same time.

        That may fail, in PostgreSQL for instance, and is no error: what failed because the table
        was missing is tried again, and reports it.
        """
        begin = {"postgresql": ["BEGIN"], "sqlite": ["BEGIN IMMEDIATE"]}
        around = begin.get(self.engine.dialect.name, [])  # MySQL's DDL has no transactions
        try:
            with self._count(), self._cursor() as cursor:
                for statement in [*around, *self.ddl(), *(["COMMIT"] if around else [])]:
                    cursor.execute(statement)
        except _Failed as failed:
            logger.info("%s: tables not made: %s", self.name, describe(failed.error))

    @contextmanager
    def _cursor(self, *, writes: bool = False) -> Iterator[Any]:
        """The driver's cursor on a connection from the pool, each statement a transaction. With
        *writes* on none that can be seen to have been closed by the server, since what was sent
        over that would perhaps have been done.

        Of an engine handed in, a connection to PostgreSQL is in autocommit mode during this time,
        which psycopg does without asking the server; another one is committed at the end.
        """
        try:
            pool, connection = self._acquire(writes)
            kept = USED_AT in connection.info
            driver: Any = connection.dbapi_connection
        except self._errors as error:
            if isinstance(error, OSError):  # not of the driver: a signal handler's, perhaps
                self._start_over()
            waited = isinstance(error, PoolTimeout)  # for others, who will say what is wrong
            raise _Failed(Fault.BUSY if waited else Fault.OTHER, error) from error
        except BaseException:
            self._start_over()
            raise
        try:
            borrowed = self._borrows_autocommit and not driver.autocommit
            if borrowed:
                driver.autocommit = True
            cursor = driver.cursor(**self._cursor_options)
            yield cursor
            cursor.close()
            if borrowed:
                driver.autocommit = False
            elif not self._own:
                driver.commit()
        except self._errors as error:
            raise _Failed(self._discard(connection, pool, error), error, kept=kept) from error
        except BaseException:
            self._give_up(connection)
            raise
        try:
            self._release(pool, connection)
        except BaseException:
            self._start_over()
            raise

    def _acquire(self, writes: bool) -> tuple[Pool, PoolProxiedConnection]:
        """A connection and the pool that it is of; a new one if that was idle for too long."""
        pool = self.engine.pool
        connection = pool.connect()
        used_at = connection.info.get(USED_AT)
        if used_at is None or self._is_sqlite or not self._has_pool:
            return pool, connection
        is_fresh = monotonic() - used_at <= IDLE_SECONDS
        if is_fresh and not (writes and has_unread(connection.dbapi_connection)):
            return pool, connection
        connection.invalidate()
        if self.engine.pool is pool:
            self.engine.dispose()
        pool = self.engine.pool
        return pool, pool.connect()

    def _release(self, pool: Pool, connection: PoolProxiedConnection) -> None:
        if self._pooler is not None and self._pooler.wants_back:
            connection.invalidate()
        else:
            connection.info[USED_AT] = monotonic()
            connection.close()
        if self.engine.pool is not pool:  # another thread has dropped it: close what came back
            pool.dispose()

    def _give_up(self, connection: PoolProxiedConnection) -> None:
        """Close it, or roll back the only one."""
        if self._has_one:
            connection.close()
        else:
            connection.invalidate()

    def _start_over(self) -> None:
        """Take a new pool: the other was broken off in the middle of its books, and may count a
        connection as in use forever."""
        if self._has_pool:
            self.engine.dispose()

    def _discard(self, connection: PoolProxiedConnection, pool: Pool, error: Exception) -> Fault:
        """Close a connection after an error; what the error means."""
        dialect, driver = self.engine.dialect, connection.dbapi_connection
        lost = isinstance(error, self._driver_error) and dialect.is_disconnect(error, driver, None)
        fault = Fault.LOST if lost else Fault.of(error)
        self._give_up(connection)
        if fault is Fault.POOLED and self._pooler is not None:
            self._pooler.present = True
        if fault in WITH_ALL and self._has_pool and self.engine.pool is pool:
            self.engine.dispose()
        return fault

    @property
    def name(self) -> str:
        """What may be shown of the URL."""
        url = self.engine.url
        place = f"{url.host}/{url.database}" if url.host else url.database
        return f"{self.engine.dialect.name} {place}"

    def _unavailable(self, failed: _Failed, values: Mapping[str, Any]) -> Exception:
        reason = describe(failed.error)
        if failed.fault is Fault.MISSING_COLUMN:
            statements = "; ".join(self.table.upgrade(self.engine.dialect))
            return ConfigurationError(
                f"{self.name}: the table is of an earlier shape, without owners: run {statements}"
            )
        if failed.fault is Fault.MISSING_TABLE:
            reason += " (SQLAlchemyStore.ddl has the statements that make the tables"
            reason += "; this user may not, or it takes long)" if self.create else ")"
        elif failed.fault is Fault.TOO_LARGE or (
            failed.fault is Fault.LOST
            and len(values.get("data", b"")) > SUSPECT_PACKET_BYTES
            and self._mysql
        ):  # the server may close the connection before it can say why
            reason += " (is the record larger than the server's max_allowed_packet?)"
        return StoreUnavailable(
            f"{self.name}: {reason}",
            applied=None if failed.fault is Fault.LOST else False,
            busy=failed.fault in (Fault.BUSY, Fault.READ_ONLY),
        )


class _Failed(Exception):
    def __init__(self, fault: Fault, error: Exception, *, kept: bool = False) -> None:
        self.fault, self.error = fault, error
        self.kept = kept  # over a connection that had served before


class _Running:
    """Counts the threads that are in SQLite. Nobody gets in during a fork.

    Without a lock, which a signal handler that raises could leave held: a thread puts its mark
    first and looks then whether a fork is under way, the fork the other way round."""

    def __init__(self) -> None:
        self._marks: dict[object, None] = {}
        self._forking = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        mark = object()
        try:
            self._marks[mark] = None
            while self._forking:
                self._marks.pop(mark, None)
                sleep(_TICK_SECONDS)
                self._marks[mark] = None
            yield
        finally:
            self._marks.pop(mark, None)

    def before_fork(self, seconds: float) -> None:
        self._forking = True
        deadline = monotonic() + seconds
        while self._marks and monotonic() < deadline:
            sleep(_TICK_SECONDS)

    def after_fork(self) -> None:
        self._forking = False


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_running = PerProcess(_Running)


def _before_fork() -> None:
    seconds = max((each.limits.fork for each in list(_databases)), default=0.0)
    _running.get().before_fork(seconds)


# The child's pid is another, and so is what it counts.
around_fork(
    before=_before_fork,
    after_in_parent=lambda: _running.get().after_fork(),
    after_in_child=lambda: None,
)
