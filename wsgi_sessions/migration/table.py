"""A table in which another library keeps sessions, over SQLAlchemy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wsgi_sessions.errors import cannot_import
from wsgi_sessions.stores import Timeouts
from wsgi_sessions.stores.sqlalchemy import engine_of

__all__ = ["Table"]


class Table:
    """Reads and deletes rows by their key. *columns* name the key, the data and, if there is one,
    the expiry, which is in UTC. *timeouts* hold for an engine that is built from a URL."""

    def __init__(
        self,
        engine_or_url: Any,
        name: str,
        schema: str | None,
        columns: tuple[str, ...],
        timeouts: Timeouts,
    ) -> None:
        try:
            import sqlalchemy as sa
        except ImportError as error:
            needs = "reading a table needs SQLAlchemy"
            raise cannot_import(error, needs, "wsgi-sessions[sqlalchemy]") from error
        self._engine = engine_of(engine_or_url, timeouts)
        self._name, self._schema = name, schema
        table = sa.table(name, *map(sa.column, columns[:2]), schema=schema)
        for expiry in columns[2:]:
            table.append_column(sa.column(expiry, sa.DateTime))  # SQLite keeps it as text
        key, *others = table.columns
        self._select = sa.select(*others).where(key == sa.bindparam("this"))
        self._delete = sa.delete(table).where(key == sa.bindparam("this"))

    def read(self, key: str) -> Any:
        """The data under *key*; ``None`` if there are none, they have expired, or there is no such
        table."""
        import sqlalchemy as sa

        try:
            with self._engine.connect() as connection:
                row = connection.execute(self._select, {"this": key}).first()
        except sa.exc.DBAPIError:
            if sa.inspect(self._engine).has_table(self._name, schema=self._schema):
                raise
            return None
        return None if row is None or any(map(_is_expired, row[1:])) else row[0]

    def delete(self, key: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._delete, {"this": key})


def _is_expired(expiry: datetime | None) -> bool:
    now = datetime.now(UTC)
    return expiry is None or expiry <= (now if expiry.tzinfo else now.replace(tzinfo=None))
