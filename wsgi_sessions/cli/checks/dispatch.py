"""Which check belongs to which store."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import cast

from wsgi_sessions.cli.checks.checks import check_load_time, check_operations
from wsgi_sessions.cli.checks.finding import Finding
from wsgi_sessions.stores import MemoryStore, Store
from wsgi_sessions.stores.dynamodb import DynamoDBStore
from wsgi_sessions.stores.file import FileStore
from wsgi_sessions.stores.memcached import MemcachedStore
from wsgi_sessions.stores.mongodb import MongoDBStore
from wsgi_sessions.stores.redis import RedisStore
from wsgi_sessions.stores.sqlalchemy import SQLAlchemyStore
from wsgi_sessions.stores.sqlite import SQLiteStore

__all__ = ["CHECKS", "check_store"]

CHECKS: dict[type[Store], str] = {
    DynamoDBStore: "dynamodb",
    FileStore: "file",
    MemcachedStore: "memcached",
    MemoryStore: "memory",
    MongoDBStore: "mongodb",
    RedisStore: "redis",
    SQLAlchemyStore: "sqlalchemy",
    SQLiteStore: "sqlite",
}
"""Store → module beside this one, whose ``check(store)`` gives the findings. It is imported when it
is needed, since it may need the store's client library."""


def check_store(store: Store) -> Iterator[Finding]:
    """Look at everything, try the operations, and report one by one.

    A store of another kind than those of this library is loaded from, and its operations are tried.
    For operators, not for the request path: some dozens of round trips. Raises
    :exc:`~wsgi_sessions.StoreUnavailable` if the store cannot be reached at all.
    """
    for kind in type(store).__mro__:
        if kind in CHECKS:
            check = import_module(f"wsgi_sessions.cli.checks.{CHECKS[kind]}").check
            yield from cast(Iterator[Finding], check(store))
            return
    yield check_load_time(store, type(store).__name__)
    yield check_operations(store)
