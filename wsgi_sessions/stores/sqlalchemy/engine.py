"""The engine that the SQLAlchemy store builds from a URL: short time limits, each statement its own
transaction, and nothing sent besides the statements."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ref

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect, Engine, make_url
from sqlalchemy.pool import QueuePool

from wsgi_sessions.errors import ConfigurationError, cannot_import
from wsgi_sessions.stores.place import check_private_database, create_private
from wsgi_sessions.stores.sqlalchemy.limits import Limits
from wsgi_sessions.stores.sqlalchemy.pooler import Pooler
from wsgi_sessions.stores.sqlalchemy.table import FAMILIES

MAX_IDLE = 20
"""Connections in the pool, which opens no more."""

DEFAULT_DRIVERS = {
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "sqlite": "pysqlite",
}


class Driver(NamedTuple):
    """What a driver needs to keep the limits and to commit each statement."""

    module: str
    package: str
    arguments: Callable[[URL, Limits], dict[str, Any]]


def _psycopg(url: URL, limits: Limits) -> dict[str, Any]:
    given = url.query.get("options", "")
    return {"autocommit": True, "options": f"{limits.postgresql} {given}".strip()}


def _pymysql(_: URL, limits: Limits) -> dict[str, Any]:
    # MySQL passes over the comment for MariaDB; MariaDB over that for MySQL from 5.7 on. MySQL has
    # a limit in milliseconds for SELECT only.
    settings = (
        f"SET SESSION innodb_lock_wait_timeout = {limits.lock}, lock_wait_timeout = {limits.lock}"
        f" /*M! , max_statement_time = {limits.server:.3f} */"
        f" /*!50708 , max_execution_time = {round(limits.server * 1000)} */"
    )
    return {
        "autocommit": True,
        "init_command": settings,
        "connect_timeout": limits.connect,
        "read_timeout": limits.answer,
        "write_timeout": limits.answer,
    }


def _pysqlite(_: URL, limits: Limits) -> dict[str, Any]:
    # A pool hands connections to any thread; SQLAlchemy 1.4 would forbid that.
    return {"isolation_level": None, "timeout": limits.answer, "check_same_thread": False}


DRIVERS = {
    "postgresql+psycopg": Driver("psycopg", "psycopg[binary]", _psycopg),
    "mysql+pymysql": Driver("pymysql", "PyMySQL", _pymysql),
    "mariadb+pymysql": Driver("pymysql", "PyMySQL", _pymysql),
    "sqlite+pysqlite": Driver("sqlite3", "", _pysqlite),
}


def engine_of(engine_or_url: Engine | URL | str, limits: Limits) -> tuple[Engine, Pooler | None]:
    """An engine over the one handed in, or a new one with these *limits*. Of a new one also what it
    knows of a pooler; its connections are in autocommit mode.

    Raises :exc:`~wsgi_sessions.ConfigurationError` for one that cannot work."""
    if isinstance(engine_or_url, Engine):
        _check(engine_or_url)
        return _with_own_pool(engine_or_url), None
    if not isinstance(engine_or_url, str | URL):
        raise ConfigurationError(
            f"SQLAlchemyStore takes an Engine or a URL, not {type(engine_or_url).__name__}"
        )
    try:
        url = make_url(engine_or_url)
    except (sa.exc.ArgumentError, ValueError):  # they quote the URL, and so the password
        raise ConfigurationError("this is no URL of SQLAlchemy's") from None
    pooler = Pooler(url.query.get("pooler"))
    return _build(url.difference_update_query(["pooler"]), limits, pooler), pooler


def _with_own_pool(given: Engine) -> Engine:
    """An engine with a second pool, of the same creator, events and size, where *given* has a pool
    whose connections can run out: requests that hold one each would wait for themselves. It is
    disposed of with *given*."""
    if not isinstance(given.pool, QueuePool):
        return given
    second = Engine(
        given.pool.recreate(),
        given.dialect,
        given.url,
        logging_name=given.logging_name,
        hide_parameters=True,
    )
    reference = ref(second)

    def dispose(_: Engine) -> None:
        if (engine := reference()) is not None:
            engine.dispose()

    sa.event.listen(given, "engine_disposed", dispose)
    return second


def _check(engine: Engine) -> None:
    """Refuse an engine that cannot work."""
    if engine.dialect.name not in FAMILIES:
        raise ConfigurationError(
            f"SQLAlchemyStore works on {', '.join(FAMILIES)}, not on {engine.dialect.name}"
        )
    if engine.dialect.is_async:
        raise ConfigurationError("SQLAlchemyStore needs an engine with a synchronous driver")


def _build(url: URL, limits: Limits, pooler: Pooler) -> Engine:
    """An engine for *url*. Connects to nothing."""
    driver = _driver(url := _with_driver(url))
    if driver.module == "sqlite3" and url.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "SQLite in memory is another database in every connection: "
            "name a file, sqlite+pysqlite:///path, or use MemoryStore()"
        )
    engine = _create_engine(
        url,
        connect_args=driver.arguments(url, limits),
        poolclass=QueuePool,
        pool_size=MAX_IDLE,
        max_overflow=0,
        pool_timeout=limits.pool,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # no transaction is ever left open
        hide_parameters=True,
    )
    if driver.module == "sqlite3":
        sa.event.listen(engine, "do_connect", _keep_private)
        sa.event.listen(engine, "connect", _prepare_sqlite)
    else:
        sa.event.listen(engine, "do_connect", _connect_within(limits, pooler))
    return engine


def _create_engine(url: URL, **options: Any) -> Engine:
    try:
        return sa.create_engine(url, **options)
    except sa.exc.NoSuchModuleError:
        raise ConfigurationError(
            f"SQLAlchemy {sa.__version__} knows no {url.drivername}://, SQLAlchemy 2 does; or hand "
            f"in an Engine of your own"
        ) from None


def _with_driver(url: URL) -> URL:
    """*url* with the driver named, since SQLAlchemy's default depends on its version."""
    default = DEFAULT_DRIVERS.get(url.drivername)
    return url.set(drivername=f"{url.drivername}+{default}") if default else url


def _driver(url: URL) -> Driver:
    driver = DRIVERS.get(url.drivername)
    if driver is None:
        raise ConfigurationError(
            f"{url.drivername}:// cannot keep the store's time limits: use "
            f"{', '.join(f'{name}://' for name in DRIVERS)}, or hand in an Engine of your own"
        )
    try:
        importlib.import_module(driver.module)
    except ImportError as error:
        raise cannot_import(error, f"{url.drivername}:// needs a driver", driver.package) from error
    return driver


def _keep_private(_: Dialect, _record: object, args: list[Any], _options: dict[str, Any]) -> None:
    """Make the file for this user alone, and refuse one that others may write to."""
    path = str(args[0])
    if not path.startswith("file:"):
        create_private(path)
        check_private_database(path)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Let readers and a writer not wait for each other; a crash of the host may lose the last."""
    with contextlib.suppress(sqlite3.OperationalError):  # locked: another process does it now
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _connect_within(limits: Limits, pooler: Pooler) -> Callable[..., Any]:
    """Connects with a connection class that keeps the limits which the driver cannot."""

    def connect(dialect: Dialect, _record: object, args: list[Any], options: dict[str, Any]) -> Any:
        module = importlib.import_module(f"wsgi_sessions.stores.sqlalchemy.{dialect.driver}")
        return module.connect(limits, pooler, *args, **options)

    return connect
