"""The table of the SQLAlchemy store, its DDL, and the SQL of each operation.

Rules for maintainers:

* One statement an operation, which decides and writes at once.
* Expiry is compared with the database's clock, as constant during a statement, so that the index
  on ``expires_at`` serves.
* Each write may be sent a second time after a lost answer: what it matches includes the row that it
  would have written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.compiler import SQLCompiler

PAGE = 1000
"""Keys read by one statement of ``keys``."""

# Microseconds since the epoch, free of time zones, and constant while a statement runs.
_NOW = {
    "postgresql": "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint",
    "mysql": "timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(6))",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
}
FAMILIES = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql", "sqlite": "sqlite"}


def _binary(of_mysql: Any) -> Any:
    """Bytes, which in MySQL are of that type. (SQLAlchemy 1.4 takes one name at a time.)"""
    return sa.LargeBinary().with_variant(of_mysql, "mysql").with_variant(of_mysql, "mariadb")


class Statement:
    """One compiled SQL text, for the driver's own cursor."""

    __slots__ = ("_fixed", "_order", "text")

    def __init__(self, compiled: SQLCompiler) -> None:
        self.text: str = str(compiled)
        self._order = compiled.positiontup if compiled.positional else None
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """*values* in the driver's paramstyle."""
        if self._fixed:
            values = {**self._fixed, **values}
        return values if self._order is None else tuple([values[name] for name in self._order])


class SessionTable:
    """The table of records, in a ``MetaData`` of its own."""

    def __init__(self, name: str, schema: str | None) -> None:
        self.records: sa.Table = sa.Table(
            name,
            sa.MetaData(),
            sa.Column("key", _binary(mysql.VARBINARY(64)), primary_key=True),
            sa.Column("version", sa.BigInteger, nullable=False),
            sa.Column("expires_at", sa.BigInteger, nullable=False),  # microseconds
            sa.Column(
                "data",
                _binary(mysql.LONGBLOB()),
                nullable=False,
            ),
            sa.Column("owner", _binary(mysql.VARBINARY(32))),  # SHA-256 of the name
            sa.Column("listed_at", sa.BigInteger),
            schema=schema,
            mysql_engine="InnoDB",
            mariadb_engine="InnoDB",
        )
        column = self.records.c
        owned = column.owner.is_not(None)
        self._indexes = (
            sa.Index(f"{name}_expires_at", column.expires_at),
            sa.Index(
                *(f"{name}_owner", column.owner, column.listed_at),
                postgresql_where=owned,
                sqlite_where=owned,
            ),
        )

    def ddl(self, dialect: Dialect) -> list[str]:
        """The statements that make table and indexes where they are missing."""
        create = CreateTable(self.records, if_not_exists=True)
        text = str(create.compile(dialect=dialect)).strip()
        if FAMILIES[dialect.name] != "mysql":
            indexes = [CreateIndex(index, if_not_exists=True) for index in self._indexes]
            return [text, *(str(index.compile(dialect=dialect)) for index in indexes)]
        # Its DDL commits at once: an index of its own could be left out by a crash.
        columns, _, rest = text.rpartition("\n)")
        quote = dialect.identifier_preparer.quote
        for index in self._indexes:
            names = ", ".join(quote(column.name) for column in index.columns)
            columns += f", \n\tINDEX {quote(str(index.name))} ({names})"
        return [f"{columns}\n){rest}"]

    def upgrade(self, dialect: Dialect) -> list[str]:
        """The statements that give a table of an earlier shape the columns of owners."""
        prepare = dialect.identifier_preparer
        name, owner = prepare.format_table(self.records), self.records.c.owner.type
        alter = f"ALTER TABLE {name} ADD COLUMN"
        columns = [f"{alter} owner {owner.compile(dialect=dialect)}", f"{alter} listed_at BIGINT"]
        return [*columns, str(CreateIndex(self._indexes[1]).compile(dialect=dialect))]

    def statements(self, dialect: Dialect) -> dict[str, Statement]:
        """The operations, for the server that *dialect* has been connected to."""
        return {
            name: Statement(clause.compile(dialect=dialect))  # type: ignore[arg-type]
            for name, clause in _clauses(self.records, dialect).items()
        }


def _clauses(table: sa.Table, dialect: Dialect) -> dict[str, sa.ClauseElement]:
    family, records = FAMILIES[dialect.name], table.c
    now: sa.ColumnElement[int] = sa.literal_column(_NOW[family], sa.BigInteger)
    this = records.key == sa.bindparam("this")
    live = records.expires_at > now
    # The row has the second if this very statement has been carried out before.
    expected = records.version.in_((sa.bindparam("replacing"), sa.bindparam("version")))
    page = sa.select(records.key).where(live, records.key > sa.bindparam("this"))
    owned = records.owner == sa.bindparam("owner", type_=records.owner.type)
    place = sa.case(
        (owned, records.listed_at), else_=sa.bindparam("listed_at", type_=sa.BigInteger)
    )
    replace = table.update().where(this, live, expected)
    content: list[tuple[Any, Any]] = [
        (records[name], sa.bindparam(name)) for name in ("version", "expires_at", "data")
    ]
    return {
        "load": sa.select(records.data, records.version).where(this, live),
        "create": _create(table, family, now),
        "replace": replace.ordered_values(*content),
        # In this order: MySQL's later assignments see what the earlier ones have assigned.
        "replace_owned": replace.ordered_values(
            *content, (records.listed_at, place), (records.owner, sa.bindparam("owner"))
        ),
        "compare_and_delete": table.delete().where(
            this, live, records.version == sa.bindparam("replacing")
        ),
        "delete": table.delete().where(this),
        "purge": _purge(table, dialect, now),
        "expired": _expired(records.expires_at, now),
        "keys": page.order_by(records.key).limit(sa.literal_column(str(PAGE))),
        "keys_of": sa.select(records.key).where(owned, live).order_by(records.listed_at),
    }


def _create(table: sa.Table, family: str, now: sa.ColumnElement[int]) -> Any:
    """Insert, or replace what has expired.

    MySQL has no condition there and counts an insertion like a row left alone. So for what is in
    the way its version is returned as the "last insert id", which is 0 otherwise.
    """
    changed = ("version", "expires_at", "data", "owner", "listed_at")
    row: dict[str, Any] = {name: sa.bindparam(name) for name in changed}
    row["key"] = sa.bindparam("this")
    if family != "mysql":
        insert = (postgresql if family == "postgresql" else sqlite).insert(table).values(row)
        given = insert.excluded
        free = sa.or_(table.c.expires_at <= now, table.c.version == given.version)
        return insert.on_conflict_do_update(
            index_elements=["key"], set_={name: given[name] for name in changed}, where=free
        )
    upsert = mysql.insert(table).values(row)
    new = upsert.inserted
    free = sa.or_(table.c.expires_at <= now, table.c.version == new.version)
    taken = {name: sa.func.if_(free, new[name], table.c[name]) for name in changed}
    taken["version"] = sa.func.if_(
        free, new.version, sa.func.last_insert_id(table.c.version), type_=sa.BigInteger
    )
    # Assigned in this order, and each sees what those before have assigned: "free" still holds
    # after the version is the new one, and would not after expires_at is.
    return upsert.on_duplicate_key_update(
        [(name, taken[name]) for name in ("version", "data", "owner", "listed_at", "expires_at")]
    )


def _expired(end: sa.ColumnElement[int], now: sa.ColumnElement[int]) -> sa.ClauseElement:
    """How many have expired, up to a limit, and how many microseconds ago the first."""
    limit = sa.bindparam("limit", type_=sa.Integer)
    first = sa.select(end).where(end <= now).order_by(end).limit(limit).subquery()
    return sa.select(sa.func.count(), now - sa.func.min(first.c.expires_at)).select_from(first)


def _purge(table: sa.Table, dialect: Dialect, now: sa.ColumnElement[int]) -> sa.ClauseElement:
    """Delete what expired first. Rows that somebody has locked are left for the next time."""
    family = FAMILIES[dialect.name]
    if family == "mysql":  # the LIMIT of a DELETE is not in SQLAlchemy's language
        name = dialect.identifier_preparer.format_table(table)
        return sa.text(
            f"DELETE FROM {name} WHERE expires_at <= {now} ORDER BY expires_at LIMIT :limit"
        )
    limit = sa.bindparam("limit", type_=sa.Integer)
    expired = sa.select(table.c.key).where(table.c.expires_at <= now)
    doomed = expired.order_by(table.c.expires_at).limit(limit)
    if family == "postgresql":  # reads the expression once, but might read a subquery again
        locked = doomed.with_for_update(skip_locked=True).cte("doomed")
        doomed = sa.select(locked.c.key)
    return table.delete().where(table.c.key.in_(doomed))
