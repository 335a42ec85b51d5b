"""The floors: an application that makes the one call, or the two, that no session library gets
around, and does nothing with what comes back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from benchmarks.contenders import Pair, Places
from tests.support.plain import OK, bare
from tests.support.scenarios import LARGE, SMALL

DAY = 86_400
_RECORDS = {"small": json.dumps(SMALL).encode(), "large": json.dumps(LARGE).encode()}

Get = Callable[[str], object]
Set = Callable[[str, bytes], object]


def _pair(get: Get, set: Set) -> Pair:
    """Requests that need the store call *get*, then *set* if they change something."""
    for key, data in _RECORDS.items():
        set(key, data)
    calls: dict[str, Callable[[], object]] = {
        "/read": lambda: get("small"),
        "/large-read": lambda: get("large"),
        "/write": lambda: (get("small"), set("small", _RECORDS["small"])),
        "/large-write": lambda: (get("large"), set("large", _RECORDS["large"])),
        "/new": lambda: set("small", _RECORDS["small"]),
    }

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call = calls.get(environ["PATH_INFO"])
        if call is not None:
            call()
        start_response("200 OK", OK.copy())
        return [b"ok"]

    return Pair(bare, application)


def redis(places: Places) -> Pair:
    """redis-py's client as it comes."""
    from redis import Redis

    client = Redis.from_url(places["redis"])
    return _pair(client.get, lambda key, data: client.set(key, data, ex=DAY))


def redis_connection(places: Places) -> Pair:
    """One connection of redis-py's, without its client and pool."""
    from redis import Redis

    connection = Redis.from_url(places["redis"]).connection_pool.get_connection()

    def call(*command: Any) -> object:
        connection.send_packed_command(connection.pack_command(*command), False)
        return connection.read_response()

    return _pair(
        lambda key: call("GET", key),
        lambda key, data: call("SET", key, data, "EX", DAY),
    )


def memcached(places: Places) -> Pair:
    from pymemcache import Client

    client = Client(places["memcached"], no_delay=True)
    return _pair(
        client.get,
        lambda key, data: client.set(key, data, expire=DAY, noreply=False),
    )


def sqlite(places: Places) -> Pair:
    """One connection that is kept, in autocommit mode, with a write-ahead log."""
    path = Path(places["directory"], "floor.db")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, data BLOB)")
    return _pair(
        lambda key: connection.execute("SELECT data FROM records WHERE key = ?", (key,)).fetchone(),
        lambda key, data: connection.execute("REPLACE INTO records VALUES (?, ?)", (key, data)),
    )


def postgresql(places: Places) -> Pair:
    """SQLAlchemy Core, a connection of the pool and a transaction for each statement."""
    import sqlalchemy as sql
    from sqlalchemy.dialects.postgresql import insert

    engine = sql.create_engine(
        places["postgresql"].replace("postgresql://", "postgresql+psycopg://")
    )
    records = sql.Table(
        "floor",
        sql.MetaData(),
        sql.Column("key", sql.String, primary_key=True),
        sql.Column("data", sql.LargeBinary),
    )
    records.metadata.create_all(engine)
    select = sql.select(records.c.data).where(records.c.key == sql.bindparam("this"))
    put = insert(records)
    put = put.on_conflict_do_update(index_elements=["key"], set_={"data": put.excluded.data})

    def get(key: str) -> object:
        with engine.connect() as connection:
            return connection.execute(select, {"this": key}).scalar()

    def set(key: str, data: bytes) -> None:
        with engine.begin() as connection:
            connection.execute(put, {"key": key, "data": data})

    return _pair(get, set)
