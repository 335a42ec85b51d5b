"""Many sessions at once: copies of one record, made in the store itself."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

from benchmarks.contenders import Places
from tests.support.repeated_request import Client


def copy(name: str, application: Any, places: Places, number: int, *, expires_in: float) -> None:
    """Put *number* copies of a new session's record under random keys into the store of the
    contender called *name*. Negative *expires_in*: they have expired already."""
    cookie = Client(application).cookies("/fill/small")["sid"]
    key = application.manager.open(f"sid={cookie}").id
    make = _WAYS.get(name)
    if make is not None:
        make(places, key, number, time() + expires_in)
        return
    store = application.manager.store
    data = store.load(key).data
    for _ in range(number):
        store.save(_new_key(), data, expires_at=time() + expires_in, replacing=None)


def _new_key() -> str:
    return secrets.token_urlsafe(16)


def _redis(places: Places, key: str, number: int, expires_at: float) -> None:
    from redis import Redis

    with Redis.from_url(places["redis"]) as client:
        record, until = client.get(f"ours:{key}"), int(expires_at)
        for done in range(0, number, 1000):
            pipeline = client.pipeline(transaction=False)
            for _ in range(min(1000, number - done)):
                pipeline.set(f"ours:{_new_key()}", record, exat=until)
            pipeline.execute()


def _sqlite(places: Places, key: str, number: int, expires_at: float) -> None:
    connection = sqlite3.connect(Path(places["directory"], "ours.db"), timeout=30)
    with connection:
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO sessions (key, version, expires_at, data)"
            " SELECT lower(hex(randomblob(11))), 1, ?, data FROM sessions, n WHERE key = ?",
            (number, expires_at, key),
        )
    connection.close()


def _postgresql(places: Places, key: str, number: int, expires_at: float) -> None:
    import psycopg

    with psycopg.connect(places["postgresql"], autocommit=True) as connection:
        connection.execute(
            "INSERT INTO sessions (key, version, expires_at, data)"
            " SELECT decode(left(md5(random()::text || i), 22), 'escape'), 1, %s, data"
            " FROM sessions, generate_series(1, %s) AS n (i) WHERE key = %s",
            (int(expires_at * 1e6), number, key.encode()),
        )
        connection.execute("ANALYZE sessions")


_WAYS: dict[str, Callable[[Places, str, int, float], None]] = {
    "ours-redis": _redis,
    "ours-sqlite": _sqlite,
    "ours-postgresql": _postgresql,
}
