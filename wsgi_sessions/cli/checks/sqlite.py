"""What is not so with an SQLite file of sessions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import wsgi_sessions.cli.checks.checks as health
import wsgi_sessions.cli.checks.disk as health_disk
from wsgi_sessions.cli.checks.checks import Finding, Level
from wsgi_sessions.errors import StoreUnavailable

if TYPE_CHECKING:
    from wsgi_sessions.stores.sqlite import SQLiteStore

MINIMUM = "3.24"
"""``ON CONFLICT … DO UPDATE``."""


class Plan(NamedTuple):
    """What the store wants to be there."""

    path: str
    table: str
    ddl: list[str]
    create: bool


def findings(store: SQLiteStore, plan: Plan, now: float) -> Iterator[Finding]:
    """As :meth:`~wsgi_sessions.cli.checks.checks.Checkable.findings`."""
    yield health.version("SQLite", sqlite3.sqlite_version, MINIMUM)
    directory = os.path.dirname(plan.path)
    if not os.path.exists(plan.path):
        if plan.create:
            yield health_disk.can_be_made(plan.path)
        yield _missing(plan, plan.ddl, f"table {plan.table}")
        return
    yield health_disk.private(plan.path)
    yield from health_disk.network(plan.path)
    yield from health_disk.room(directory)
    try:
        # Apart from the store's own connections, which would change what is to be seen.
        with closing(sqlite3.connect(f"file:{quote(plan.path)}?mode=ro", uri=True)) as connection:
            yield _journal(connection)
            complaint = _compare(plan, connection)
            if complaint:
                yield complaint
            if complaint and complaint.level is not Level.WARNING:
                return
            yield _expired(plan, connection, now)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"SQLite database {plan.path}: {error}") from error
    other_user = health_disk.owned(plan.path)
    if other_user:
        yield other_user
        return
    yield health.reach_by_load(store, "SQLite")
    yield health.probe(store)


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


def _compare(plan: Plan, connection: sqlite3.Connection) -> Finding | None:
    """What is not as the DDL makes it."""
    with closing(sqlite3.connect(":memory:")) as model:
        for statement in plan.ddl:
            model.execute(statement)
        wanted, there = _schema(model), _schema(connection)
        for table in (name for kind, name in set(wanted) & set(there) if kind == "table"):
            if _columns(model, table) != _columns(connection, table):
                return Finding(
                    Level.ERROR,
                    f"table {table} has other columns than the store's",
                    "it is another program's, or was made by hand",
                    "another table=, or the statements below on a new one",
                    "".join(f"{statement};\n" for statement in plan.ddl),
                )
    missing = [key for key in wanted if key not in there]
    statements = [
        statement
        for statement, key in zip(plan.ddl, wanted, strict=True)
        if key in missing or ("table", plan.table) not in there
    ]
    if not missing:
        return None
    kinds = {kind for kind, _ in missing}
    names = ", ".join(f"{kind} {name}" for kind, name in missing)
    return _missing(plan, statements, names) if "table" in kinds else _slow(names, statements)


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Kind and name of what is there, in the order in which it was made."""
    return connection.execute(
        "SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()


def _columns(connection: sqlite3.Connection, table: str) -> set[tuple[str, str, int]]:
    """Name, type and place in the primary key of each."""
    rows = connection.execute(f'PRAGMA table_info("{table}")')
    return {(row[1], row[2].upper(), row[5]) for row in rows}


def _missing(plan: Plan, statements: list[str], what: str) -> Finding:
    text = "".join(f"{statement};\n" for statement in statements)
    if plan.create:
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


def _expired(plan: Plan, connection: sqlite3.Connection, now: float) -> Finding:
    ends = connection.execute(
        f'SELECT count(*), min(expires_at) FROM (SELECT expires_at FROM "{plan.table}" '
        "WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        (now, health.MOST),
    )
    count, first = ends.fetchone()
    return health.expired(count, now - first if count else 0.0)
