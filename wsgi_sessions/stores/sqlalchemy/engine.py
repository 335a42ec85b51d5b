"""The engine that the SQLAlchemy store builds from a URL: short time limits, each statement its own
transaction, and nothing sent besides the statements."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect, Engine
from sqlalchemy.pool import QueuePool, SingletonThreadPool, StaticPool

from wsgi_sessions.errors import ConfigurationError
from wsgi_sessions.stores.sqlalchemy.tables import FAMILIES

CONNECT_SECONDS = 0.25
LOGIN_SECONDS = 0.4  # with the authentication, which starts a process in PostgreSQL
ANSWER_SECONDS = 0.5
SERVER_SECONDS = 0.45  # the server gives up first, so that it does nothing we no longer wait for
LOCK_SECONDS = 1  # the least that MySQL takes
POOL_SIZE = 20
POOL_SECONDS = 0.5  # for one of them; who waited need not connect

DEFAULT_DRIVERS = {
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "sqlite": "pysqlite",
}


class Driver(NamedTuple):
    """What to tell a driver, so that it keeps the limits and commits each statement."""

    module: str
    package: str
    arguments: Callable[[URL], dict[str, Any]]


def _psycopg(url: URL) -> dict[str, Any]:
    milliseconds = round(SERVER_SECONDS * 1000)
    limits = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
    given = url.query.get("options", "")
    return {"autocommit": True, "options": f"{limits} {given}".strip()}


def _pymysql(_: URL) -> dict[str, Any]:
    # MySQL passes over the comment for MariaDB; MariaDB over that for MySQL from 5.7 on. MySQL has
    # a limit in milliseconds for SELECT only.
    limits = (
        f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}, lock_wait_timeout = {LOCK_SECONDS}"
        f" /*M! , max_statement_time = {SERVER_SECONDS} */"
        f" /*!50708 , max_execution_time = {round(SERVER_SECONDS * 1000)} */"
    )
    return {
        "autocommit": True,
        "init_command": limits,
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": ANSWER_SECONDS,
        "write_timeout": ANSWER_SECONDS,
    }


def _pysqlite(_: URL) -> dict[str, Any]:
    return {"isolation_level": None, "timeout": ANSWER_SECONDS}


DRIVERS = {
    "postgresql+psycopg": Driver("psycopg", "psycopg[binary]", _psycopg),
    "mysql+pymysql": Driver("pymysql", "PyMySQL", _pymysql),
    "mariadb+pymysql": Driver("pymysql", "PyMySQL", _pymysql),
    "sqlite+pysqlite": Driver("sqlite3", "", _pysqlite),
}


def engine_of(engine_or_url: Engine | URL | str) -> tuple[Engine, bool]:
    """The engine handed in, or a new one; and whether it is the store's own."""
    if isinstance(engine_or_url, Engine):
        _check(engine_or_url)
        return engine_or_url, False
    if not isinstance(engine_or_url, str | URL):
        raise ConfigurationError(
            f"SQLAlchemyStore takes an Engine or a URL, not {type(engine_or_url).__name__}"
        )
    try:
        url = sa.make_url(engine_or_url)
    except (sa.exc.ArgumentError, ValueError):  # they quote the URL, and so the password
        raise ConfigurationError("this is no URL of SQLAlchemy's") from None
    return _build(url), True


def _check(engine: Engine) -> None:
    """Refuse an engine that cannot work."""
    if engine.dialect.name not in FAMILIES:
        raise ConfigurationError(
            f"SQLAlchemyStore works on {', '.join(FAMILIES)}, not on {engine.dialect.name}"
        )
    if engine.dialect.is_async:
        raise ConfigurationError("SQLAlchemyStore needs an engine with a synchronous driver")
    if isinstance(engine.pool, StaticPool | SingletonThreadPool):
        raise ConfigurationError(
            "this engine has one connection for all, and the store would commit the application's "
            "transactions: use a database in a file, a URL, or MemoryStore()"
        )


def _build(url: URL) -> Engine:
    """An engine for *url*. Connects to nothing."""
    driver = _driver(url := _with_driver(url))
    if driver.module == "sqlite3" and url.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "SQLite in memory is another database in every connection: "
            "name a file, sqlite+pysqlite:///path, or use MemoryStore()"
        )
    engine = sa.create_engine(
        url,
        connect_args=driver.arguments(url),
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # no transaction is ever left open
        hide_parameters=True,
    )
    if driver.module == "sqlite3":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    else:
        sa.event.listen(engine, "do_connect", _connect_bounded)
    return engine


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
        raise ConfigurationError(
            f'{url.drivername}:// needs a driver: pip install "{driver.package}"'
        ) from error
    return driver


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Let readers and a writer not wait for each other; a crash of the host may lose the last."""
    with contextlib.suppress(sqlite3.OperationalError):  # locked: another process does it now
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _connect_bounded(
    dialect: Dialect, _record: object, args: list[Any], options: dict[str, Any]
) -> Any:
    """Connect with a connection class that keeps the limits which the driver cannot."""
    module = importlib.import_module(f"wsgi_sessions.stores.sqlalchemy.{dialect.driver}")
    if dialect.driver == "psycopg":
        return module.BoundedConnection.connect(*args, **options)
    return module.BoundedConnection(*args, **options)
