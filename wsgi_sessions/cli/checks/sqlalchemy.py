"""Problems in a database with sessions, and their remedies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex

from wsgi_sessions.cli.checks.checks import (
    COUNT_LIMIT,
    check_answer_time,
    check_clients,
    check_clock,
    check_expired,
    check_operations,
    check_route,
    check_version,
    not_checked,
)
from wsgi_sessions.cli.checks.disk import check_private
from wsgi_sessions.cli.checks.finding import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Route
from wsgi_sessions.stores.sqlalchemy import SQLAlchemyStore

MINIMUM = {"postgresql": "10", "mysql": "5.7.8", "mariadb": "10.1.1", "sqlite": "3.24"}
"""The oldest that the drivers work with, and what has the time limits that the store sets."""

NAMES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite"}

EPOCH = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6)) / 1000000",
}


def check(store: SQLAlchemyStore) -> Iterator[Finding]:
    """Server, route to it, table, and what waits for a purge."""
    yield from check_clients("sqlalchemy")
    file = store.engine.url.database or ""
    if store.engine.dialect.name == "sqlite":
        if not os.path.exists(file):  # connecting would make it
            yield _missing(store)
            return
        yield check_private(os.path.abspath(file))
    try:
        with store.engine.connect() as connection:
            yield from _check_server(connection)
            inspector = sa.inspect(connection)
            if not inspector.has_table(store.table.name, schema=store.table.schema):
                yield _missing(store)
                return
            yield from _check_columns(inspector, store.table)
            yield from _check_indexes(inspector, store.table, connection)
    except SQLAlchemyError as error:
        raise store.unavailable(error) from None
    try:
        yield check_expired(store.expired(COUNT_LIMIT))
    except StoreUnavailable as error:
        yield not_checked("what has expired", error)
    yield check_operations(store)


def _check_server(connection: Connection) -> Iterator[Finding]:
    dialect = connection.dialect
    name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    yield check_answer_time(lambda: connection.execute(sa.text("SELECT 1")), NAMES[name])
    numbers = ".".join(str(number) for number in dialect.server_version_info or ())
    yield check_version(NAMES[name], numbers, MINIMUM[name])
    family = "mysql" if name == "mariadb" else name
    if family != "sqlite":
        yield from check_route(_route(connection, family))
        yield check_clock(lambda: float(connection.execute(sa.text(EPOCH[family])).scalar_one()))
        yield _check_isolation(connection, family)


def _route(connection: Connection, family: str) -> Route:
    """How this connection reaches its server."""
    url = connection.engine.url
    if family == "mysql":
        cipher = connection.execute(sa.text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
        return Route(
            hosts=("" if "unix_socket" in url.query else url.host or "",),
            encrypted=bool(cipher),
            verified=bool({"ssl_ca", "ssl_verify_cert"} & url.query.keys()),
            password=bool(url.password),
        )
    query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    libpq = getattr(connection.connection.dbapi_connection, "pgconn", None)  # psycopg's
    options = {option.keyword: option.val for option in libpq.info} if libpq else {}
    hosts = (options.get(b"host") or (url.host or "").encode()).decode().split(",")
    return Route(
        hosts=tuple(hosts),
        encrypted=bool(connection.execute(sa.text(query)).scalar()),
        verified=options.get(b"sslmode", b"verify-full") in (b"verify-ca", b"verify-full"),
        password=bool(libpq.used_password if libpq else url.password),
    )


def _check_isolation(connection: Connection, family: str) -> Finding:
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


def _missing(store: SQLAlchemyStore) -> Finding:
    what = f"no table {store.table.fullname}"
    if store.create:
        return Finding(
            Level.NOTE,
            what,
            "the first session makes it, with the rights of the application's user",
            "none, or run the statements below and pass create=false",
            store.ddl,
        )
    return Finding(
        Level.ERROR,
        what,
        "with create=false the store does not make it",
        "run the statements below",
        store.ddl,
    )


def _check_columns(inspector: sa.Inspector, table: sa.Table) -> Iterator[Finding]:
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


def _check_indexes(
    inspector: sa.Inspector, table: sa.Table, connection: Connection
) -> Iterator[Finding]:
    indexes = inspector.get_indexes(table.name, schema=table.schema)
    on = {index["column_names"][0] for index in indexes}
    costs = {
        "expires_at": "each purge reads the whole table",
        "owner": "the sessions of an owner are looked for in the whole table",
    }
    for wanted in sorted(table.indexes, key=lambda index: str(index.name)):
        column = wanted.columns[0].name
        if column in on:
            yield Finding(Level.OK, f"table {table.fullname} has an index on {column}")
            continue
        statement = str(CreateIndex(wanted).compile(dialect=connection.dialect))
        yield Finding(
            Level.WARNING,
            f"table {table.fullname} has no index on {column}",
            costs[column],
            "run the statement below",
            f"{statement};\n",
        )
