"""Server-side sessions for any WSGI application that lose nothing when requests overlap.

.. code:: python

    from wsgi_sessions import SessionMiddleware, SQLiteStore

    def application(environ, start_response):
        visits = environ["wsgi.session"].increment("visits")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{visits} visits".encode()]

    application = SessionMiddleware(application, store=SQLiteStore("sessions.db"))

The application finds its session, a dict, in ``environ["wsgi.session"]``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wsgi_sessions.cookie import CookieStore
from wsgi_sessions.errors import (
    ConfigurationError,
    ConflictError,
    SessionClosed,
    SessionError,
    SessionTooLarge,
    StoreError,
    StoreUnavailable,
    UnsupportedValue,
)
from wsgi_sessions.manager import Options, SessionInfo, SessionManager
from wsgi_sessions.middleware import SessionMiddleware
from wsgi_sessions.record import MsgpackCodec
from wsgi_sessions.session import Session
from wsgi_sessions.stores import Store, open_store

if TYPE_CHECKING:
    from wsgi_sessions.stores import MemoryStore
    from wsgi_sessions.stores.dynamodb import DynamoDBStore
    from wsgi_sessions.stores.file import FileStore
    from wsgi_sessions.stores.memcached import MemcachedStore
    from wsgi_sessions.stores.mongodb import MongoDBStore
    from wsgi_sessions.stores.redis import RedisStore
    from wsgi_sessions.stores.sqlalchemy import SQLAlchemyStore
    from wsgi_sessions.stores.sqlite import SQLiteStore

__version__: str = "0.1.0"

_STORES = {
    "DynamoDBStore": "dynamodb",
    "FileStore": "file",
    "MemcachedStore": "memcached",
    "MemoryStore": "memory",
    "MongoDBStore": "mongodb",
    "RedisStore": "redis",
    "SQLAlchemyStore": "sqlalchemy",
    "SQLiteStore": "sqlite",
}

__all__ = [
    "ConfigurationError",
    "ConflictError",
    "CookieStore",
    "DynamoDBStore",
    "FileStore",
    "MemcachedStore",
    "MemoryStore",
    "MongoDBStore",
    "MsgpackCodec",
    "Options",
    "RedisStore",
    "SQLAlchemyStore",
    "SQLiteStore",
    "Session",
    "SessionClosed",
    "SessionError",
    "SessionInfo",
    "SessionManager",
    "SessionMiddleware",
    "SessionTooLarge",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "UnsupportedValue",
    "open_store",
]


def __getattr__(name: str) -> Any:
    """A store's module is imported when the store is first named."""
    if name in _STORES:
        return getattr(import_module(f"wsgi_sessions.stores.{_STORES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """With the stores that have not been named yet."""
    return sorted({*globals(), *_STORES})
