"""The tables of the SQLAlchemy store, their DDL, and the SQL of each operation.

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


def _binary(length: int) -> sa.LargeBinary:
    """Bytes that MySQL can index."""
    return sa.LargeBinary().with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


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


class Tables:
    """The table of records and that of owners, in a ``MetaData`` of their own."""

    def __init__(self, name: str, schema: str | None) -> None:
        self.metadata: sa.MetaData = sa.MetaData()
        self.records: sa.Table = sa.Table(
            name,
            self.metadata,
            sa.Column("key", _binary(64), primary_key=True),
            sa.Column("version", sa.BigInteger, nullable=False),
            sa.Column("expires_at", sa.BigInteger, nullable=False),  # microseconds
            sa.Column(
                "data",
                sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"),
                nullable=False,
            ),
            schema=schema,
            mysql_engine="InnoDB",
            mariadb_engine="InnoDB",
        )
        self.owners: sa.Table = sa.Table(
            f"{name}_owners",
            self.metadata,
            sa.Column("owner", _binary(32), primary_key=True),  # SHA-256 of the name
            sa.Column("key", _binary(64), primary_key=True),
            sa.Column("expires_at", sa.BigInteger, nullable=False),
            schema=schema,
            mysql_engine="InnoDB",
            mariadb_engine="InnoDB",
        )
        for table in (self.records, self.owners):
            sa.Index(f"{table.name}_expires_at", table.c.expires_at)

    def ddl(self, dialect: Dialect) -> list[str]:
        """The statements that make tables and indexes where they are missing."""
        statements = []
        for table in (self.records, self.owners):
            (index,) = table.indexes
            text = str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()
            if FAMILIES[dialect.name] == "mysql":
                # Its DDL commits at once: an index of its own could be left out by a crash.
                name = dialect.identifier_preparer.quote(str(index.name))
                columns, _, rest = text.rpartition("\n)")
                statements.append(f"{columns}, \n\tINDEX {name} (expires_at)\n){rest}")
            else:
                create = CreateIndex(index, if_not_exists=True)
                statements += [text, str(create.compile(dialect=dialect))]
        return statements

    def statements(self, dialect: Dialect) -> dict[str, Statement]:
        """The operations, for the server that *dialect* has been connected to."""
        return {
            name: Statement(clause.compile(dialect=dialect))  # type: ignore[arg-type]
            for name, clause in _clauses(self, dialect).items()
        }


def _clauses(tables: Tables, dialect: Dialect) -> dict[str, sa.ClauseElement]:
    family, records, owners = FAMILIES[dialect.name], tables.records.c, tables.owners.c
    now: sa.ColumnElement[int] = sa.literal_column(_NOW[family], sa.BigInteger)
    this = records.key == sa.bindparam("this")
    live = records.expires_at > now
    # The row has the second if this very statement has been carried out before.
    expected = records.version.in_((sa.bindparam("replacing"), sa.bindparam("version")))
    page = sa.select(records.key).where(live, records.key > sa.bindparam("this"))
    owned = sa.and_(owners.owner == sa.bindparam("owner"), owners.expires_at > now)
    link = sa.and_(owners.owner == sa.bindparam("owner"), owners.key == sa.bindparam("this"))
    return {
        "load": sa.select(records.data, records.version).where(this, live),
        "create": _create(tables.records, family, now),
        "replace": tables.records.update()
        .where(this, live, expected)
        .values({name: sa.bindparam(name) for name in ("version", "expires_at", "data")}),
        "compare_and_delete": tables.records.delete().where(
            this, live, records.version == sa.bindparam("replacing")
        ),
        "delete": tables.records.delete().where(this),
        "purge": _purge(tables.records, dialect, now),
        "purge_owners": _purge(tables.owners, dialect, now),
        "expired": _expired(records.expires_at, now),
        "keys": page.order_by(records.key).limit(sa.literal_column(str(PAGE))),
        "link": _link(tables.owners, family),
        "unlink": tables.owners.delete().where(link),
        "keys_of": sa.select(owners.key).where(owned),
    }


def _create(table: sa.Table, family: str, now: sa.ColumnElement[int]) -> Any:
    """Insert, or replace what has expired.

    MySQL has no condition there and counts an insertion like a row left alone. So for what is in
    the way its version is returned as the "last insert id", which is 0 otherwise.
    """
    changed = ("version", "expires_at", "data")
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
        [(name, taken[name]) for name in ("version", "data", "expires_at")]
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
    keys, limit = list(table.primary_key.columns), sa.bindparam("limit", type_=sa.Integer)
    expired = sa.select(*keys).where(table.c.expires_at <= now)
    doomed = expired.order_by(table.c.expires_at).limit(limit)
    if family == "postgresql":  # reads the expression once, but might read a subquery again
        locked = doomed.with_for_update(skip_locked=True).cte("doomed")
        doomed = sa.select(*locked.c)
    return table.delete().where(sa.tuple_(*keys).in_(doomed))


def _link(table: sa.Table, family: str) -> Any:
    row: dict[str, Any] = {
        "owner": sa.bindparam("owner"),
        "key": sa.bindparam("this"),
        "expires_at": sa.bindparam("expires_at"),
    }
    if family == "mysql":
        upsert = mysql.insert(table).values(row)
        return upsert.on_duplicate_key_update(expires_at=upsert.inserted.expires_at)
    insert = (postgresql if family == "postgresql" else sqlite).insert(table).values(row)
    return insert.on_conflict_do_update(
        index_elements=["owner", "key"], set_={"expires_at": insert.excluded.expires_at}
    )
