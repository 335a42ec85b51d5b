"""What is not so in a database with sessions."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex

import wsgi_sessions.cli.checks.checks as health
import wsgi_sessions.cli.checks.disk as health_disk
from wsgi_sessions.cli.checks.checks import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores.sqlalchemy.database import Database
from wsgi_sessions.stores.sqlalchemy.faults import describe
from wsgi_sessions.stores.sqlalchemy.tables import FAMILIES, Tables

if TYPE_CHECKING:
    from wsgi_sessions.stores.sqlalchemy import SQLAlchemyStore

MINIMUM = {"postgresql": "10", "mysql": "5.7.8", "mariadb": "10.1.1", "sqlite": "3.24"}
"""What the drivers speak to, and what has the time limits that the store sets."""

NAMES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite"}

EPOCH = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) / 1000000",
}


def findings(store: SQLAlchemyStore, database: Database) -> Iterator[Finding]:
    """As :meth:`~wsgi_sessions.cli.checks.checks.Checkable.findings`."""
    tables, create = database.tables, database.create
    yield from health.clients("sqlalchemy")
    file = database.engine.url.database or ""
    if database.engine.dialect.name == "sqlite":
        if not os.path.exists(file):  # connecting would make it
            yield _missing(list(_both(tables)), create, store.ddl)
            return
        yield health_disk.private(os.path.abspath(file))
    try:
        with database.engine.connect() as connection:
            yield from _of_server(connection)
            inspector = sa.inspect(connection)
            missing = [table for table in _both(tables) if not _is_there(inspector, table)]
            if missing:
                yield _missing(missing, create, store.ddl)
            for table in _both(tables):
                if table not in missing:
                    yield from _columns(inspector, table)
                    yield from _index(inspector, table, connection)
            if tables.records in missing:
                return
            try:
                yield _expired(connection, tables)
            except SQLAlchemyError as error:
                yield health.not_asked("what has expired", StoreUnavailable(describe(error)))
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"{database.name}: {describe(error)}") from None
    if not missing:
        yield health.probe(store)


def _of_server(connection: Connection) -> Iterator[Finding]:
    dialect = connection.dialect
    name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    yield health.reach(lambda: connection.execute(sa.text("SELECT 1")), NAMES[name])
    numbers = ".".join(str(number) for number in dialect.server_version_info or ())
    yield health.version(NAMES[name], numbers, MINIMUM[name])
    family = FAMILIES[dialect.name]
    if family != "sqlite":
        yield from health.exposure(**_way(connection, family))
        yield health.clock(lambda: float(connection.execute(sa.text(EPOCH[family])).scalar_one()))
        yield _isolation(connection, family)


def _way(connection: Connection, family: str) -> dict[str, Any]:
    """What :func:`health.exposure` needs to know, of the connection that there is."""
    url = connection.engine.url
    if family == "mysql":
        cipher = connection.execute(sa.text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
        host = None if "unix_socket" in url.query else url.host
        verified = bool({"ssl_ca", "ssl_verify_cert"} & url.query.keys())
        return {
            "hosts": [host],
            "encrypted": bool(cipher),
            "verified": verified,
            "password": bool(url.password),
        }
    query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    libpq = getattr(connection.connection.dbapi_connection, "pgconn", None)  # psycopg's
    options = {option.keyword: option.val for option in libpq.info} if libpq else {}
    hosts = (options.get(b"host") or (url.host or "").encode()).decode().split(",")
    return {
        "hosts": hosts,
        "encrypted": bool(connection.execute(sa.text(query)).scalar()),
        "verified": options.get(b"sslmode", b"verify-full") in (b"verify-ca", b"verify-full"),
        "password": bool(libpq.used_password if libpq else url.password),
    }


def _isolation(connection: Connection, family: str) -> Finding:
    if family == "postgresql":
        level = connection.execute(sa.text("SHOW default_transaction_isolation")).scalar_one()
    else:
        level = connection.get_isolation_level()
    level = str(level).upper()
    what = f"transaction isolation is {level}"
    if level == "READ UNCOMMITTED":
        return Finding(
            Level.WARNING,
            what,
            "a request may see a save that is then undone",
            "READ COMMITTED for this user",
        )
    if level == "SERIALIZABLE":
        return Finding(
            Level.NOTE,
            what,
            "more saves have to be sent twice than READ COMMITTED needs, and nothing is gained",
        )
    return Finding(Level.OK, what)


def _both(tables: Tables) -> tuple[sa.Table, sa.Table]:
    return tables.records, tables.owners


def _is_there(inspector: sa.Inspector, table: sa.Table) -> bool:
    return inspector.has_table(table.name, schema=table.schema)


def _missing(missing: list[sa.Table], create: bool, ddl: str) -> Finding:
    what = f"no table {' and no table '.join(table.fullname for table in missing)}"
    if create:
        return Finding(
            Level.NOTE,
            what,
            "the first session makes it, with the rights of the application's user",
            "none, or run the statements below and pass create=false",
            ddl,
        )
    return Finding(
        Level.ERROR,
        what,
        "with create=false the store does not make it",
        "run the statements below",
        ddl,
    )


def _columns(inspector: sa.Inspector, table: sa.Table) -> Iterator[Finding]:
    found = {
        column["name"]: column["type"]
        for column in inspector.get_columns(table.name, schema=table.schema)
    }
    wrong = [
        f"{column.name} {found.get(column.name, '(missing)')}"
        for column in table.columns
        if not _fits(column, found.get(column.name), inspector.dialect)
    ]
    engine = inspector.get_table_options(table.name, schema=table.schema).get("mysql_engine")
    if engine not in (None, "InnoDB"):
        wrong.append(f"engine {engine}")
    if wrong:
        yield Finding(
            Level.ERROR,
            f"table {table.fullname} has {', '.join(wrong)}",
            "what is stored there may come back changed, cut off or not at all",
            f"table= with a new name, and CREATE TABLE {table.name} as SQLAlchemyStore.ddl has it",
        )
    else:
        yield Finding(Level.OK, f"table {table.fullname} has the columns that it should")


def _fits(wanted: sa.Column[Any], found: Any, dialect: Dialect) -> bool:
    """Whether a column can hold what is put there."""
    if found is None:
        return False
    if wanted.type.python_type is not bytes:
        return isinstance(found, sa.BigInteger)
    long = wanted.type.dialect_impl(dialect)
    if isinstance(long, mysql.LONGBLOB):  # a BLOB of MySQL ends at 64 KB
        return isinstance(found, mysql.LONGBLOB | mysql.MEDIUMBLOB)
    return found.python_type is bytes


def _index(inspector: sa.Inspector, table: sa.Table, connection: Connection) -> Iterator[Finding]:
    indexes = inspector.get_indexes(table.name, schema=table.schema)
    if any(index["column_names"][0] == "expires_at" for index in indexes):
        yield Finding(Level.OK, f"table {table.fullname} has an index on the expiry")
        return
    (wanted,) = table.indexes
    statement = str(CreateIndex(wanted).compile(dialect=connection.dialect))
    yield Finding(
        Level.WARNING,
        f"table {table.fullname} has no index on expires_at",
        "each purge reads the whole table",
        "run the statement below",
        f"{statement};\n",
    )


def _expired(connection: Connection, tables: Tables) -> Finding:
    """By this machine's clock, the difference to the database's has been told."""
    end, now = tables.records.c.expires_at, time.time()
    first = sa.select(end).where(end <= int(now * 1e6)).order_by(end).limit(health.MOST).subquery()
    count, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(first.c.expires_at))
    ).one()
    return health.expired(count, now - oldest / 1e6 if count else 0.0)
