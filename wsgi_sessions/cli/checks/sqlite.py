"""Problems with an SQLite file of sessions, and their remedies."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

from wsgi_sessions.cli.checks.checks import (
    COUNT_LIMIT,
    check_expired,
    check_load_time,
    check_operations,
    check_version,
)
from wsgi_sessions.cli.checks.disk import (
    check_creatable,
    check_local,
    check_owner,
    check_private,
    check_room,
)
from wsgi_sessions.cli.checks.finding import Finding, Level
from wsgi_sessions.errors import StoreUnavailable
from wsgi_sessions.stores import Expired, system_clock
from wsgi_sessions.stores.sqlite import SQLiteStore

MINIMUM = "3.24"
"""``ON CONFLICT … DO UPDATE``."""


def check(store: SQLiteStore) -> Iterator[Finding]:
    """File, tables, and what waits for a purge. Looks over a connection of its own, since the
    store's would change what is to be seen."""
    yield check_version("SQLite", sqlite3.sqlite_version, MINIMUM)
    directory = os.path.dirname(store.path)
    if not os.path.exists(store.path):
        if store.create:
            yield check_creatable(store.path)
        yield _missing(store, _statements(store), f"table {store.table}")
        return
    yield check_private(store.path)
    yield from check_local(store.path)
    yield from check_room(directory)
    try:
        with closing(sqlite3.connect(f"file:{quote(store.path)}?mode=ro", uri=True)) as connection:
            yield _journal(connection)
            complaint = _compare(store, connection)
            if complaint:
                yield complaint
            if complaint and complaint.level is not Level.WARNING:
                return
            yield check_expired(_expired(store, connection))
    except sqlite3.Error as error:
        raise StoreUnavailable(f"SQLite database {store.path}: {error}") from error
    other_user = check_owner(store.path)
    if other_user:
        yield other_user
        return
    yield check_load_time(store, "SQLite")
    yield check_operations(store)


def _journal(connection: sqlite3.Connection) -> Finding:
    [mode] = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        return Finding(Level.OK, "journal mode is wal")
    return Finding(
        Level.NOTE,
        f"journal mode is {mode}",
        "readers and writers would wait for each other",
        "none: the store changes it to wal",
    )


def _compare(store: SQLiteStore, connection: sqlite3.Connection) -> Finding | None:
    """The difference between the file and what the DDL makes."""
    ddl = _statements(store)
    with closing(sqlite3.connect(":memory:")) as model:
        for statement in ddl:
            model.execute(statement)
        wanted, there = _schema(model), _schema(connection)
        for table in (name for kind, name in set(wanted) & set(there) if kind == "table"):
            if _columns(model, table) != _columns(connection, table):
                return Finding(
                    Level.ERROR,
                    f"table {table} has other columns than the store's",
                    "it is another program's, or was made by hand",
                    "another table=, or the statements below on a new one",
                    store.ddl,
                )
    missing = [key for key in wanted if key not in there]
    statements = [
        statement
        for statement, key in zip(ddl, wanted, strict=True)
        if key in missing or ("table", store.table) not in there
    ]
    if not missing:
        return None
    kinds = {kind for kind, _ in missing}
    names = ", ".join(f"{kind} {name}" for kind, name in missing)
    return _missing(store, statements, names) if "table" in kinds else _slow(names, statements)


def _statements(store: SQLiteStore) -> list[str]:
    return [statement for statement in store.ddl.split(";\n") if statement]


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Kind and name of what exists, in the order in which it was made."""
    return connection.execute(
        "SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()


def _columns(connection: sqlite3.Connection, table: str) -> set[tuple[str, str, int]]:
    """Name, type and place in the primary key of each."""
    rows = connection.execute(f'PRAGMA table_info("{table}")')
    return {(row[1], row[2].upper(), row[5]) for row in rows}


def _missing(store: SQLiteStore, statements: list[str], what: str) -> Finding:
    text = "".join(f"{statement};\n" for statement in statements)
    if store.create:
        return Finding(Level.NOTE, f"{what} not there: the first session makes it", statements=text)
    return Finding(
        Level.ERROR,
        f"{what} not there",
        "with create=false the store does not make it",
        "run the statements below",
        text,
    )


def _slow(names: str, statements: list[str]) -> Finding:
    return Finding(
        Level.WARNING,
        f"{names} not there",
        "each purge reads the whole table",
        "run the statements below",
        "".join(f"{statement};\n" for statement in statements),
    )


def _expired(store: SQLiteStore, connection: sqlite3.Connection) -> Expired:
    now = system_clock()
    ends = connection.execute(
        f'SELECT count(*), min(expires_at) FROM (SELECT expires_at FROM "{store.table}" '
        "WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        (now, COUNT_LIMIT),
    )
    count, first = ends.fetchone()
    return Expired(count, now - first if count else 0.0)
